// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kinds} from "./Kinds.sol";

/// @dev What a contract would ask about the toy statement; reverts where an answer is not the table's.
contract Toy {
    fallback() external {
        uint64 toy = Kinds.TOY;
        require(toy > Kinds.MERGE && toy == Kinds.LAST);
        require(Kinds.isKnown(toy) && !Kinds.isKnown(toy + 1));
        require(Kinds.MODEL_LEDGER >> toy == 1 && (Kinds.MODEL_LEDGER >> Kinds.MERGE) & 1 == 1);
        require(Kinds.PROOF_LEDGER >> toy == 0 && Kinds.DATASET_AUDITS >> toy == 0);
        require(Kinds.stageOf(toy) == Kinds.QUANTIZE_STAGE);
        require(Kinds.fitsSlots(toy, 64) && !Kinds.fitsSlots(toy, 65) && !Kinds.fitsSlots(toy, 0));
        require(Kinds.fitsDepth(toy, 8, 1) && Kinds.fitsDepth(toy, 8, 7));
        require(!Kinds.fitsDepth(toy, 8, 8));
        require(Kinds.blockBytes(toy) == 18 && Kinds.codeWords(toy, 8) == 5);
        require(Kinds.publicCount(toy, 8) == 1 + 2 + 5 && Kinds.commitmentCount(toy) == 0);
    }
}
