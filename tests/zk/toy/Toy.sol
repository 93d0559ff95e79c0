// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kinds} from "./Kinds.sol";

/// @dev What a contract would ask about the toy statement; reverts where an answer is not the table's.
contract Toy {
    fallback() external {
        require(Kinds.TOY == 9 && Kinds.LAST == 9 && Kinds.isKnown(9) && !Kinds.isKnown(10));
        require(Kinds.MODEL_LEDGER == 0x3c0 && Kinds.stageOf(9) == Kinds.QUANTIZE_STAGE);
        require(Kinds.fitsSlots(9, 64) && !Kinds.fitsSlots(9, 65) && !Kinds.fitsSlots(9, 0));
        require(Kinds.fitsDepth(9, 1) && Kinds.fitsDepth(9, 7) && !Kinds.fitsDepth(9, 8));
        require(Kinds.blockBytes(9) == 18 && Kinds.codeWords(9, 8) == 5);
        require(Kinds.publicCount(9, 8) == 1 + 2 + 5 && Kinds.commitmentCount(9) == 0);
    }
}
