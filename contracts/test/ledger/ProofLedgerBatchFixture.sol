// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {LedgerFixture} from "./LedgerFixture.sol";

/// @dev Two anchored epochs of two chunks, and the items that prove all four chunks.
abstract contract ProofLedgerBatchFixture is LedgerFixture {
    function setUp() public override {
        super.setUp();
        register(Pin.Epoch);
        runId = openRun(datasetId);
        anchor(0);
        anchor(1);
    }

    function honest() internal view returns (IProofLedger.EpochItem[] memory items) {
        items = new IProofLedger.EpochItem[](4);
        for (uint64 i = 0; i < 4; ++i)
            items[i] = item(i / 2, 0, chunk(i % 2, 3 + 2 * (i % 2), 5 - 2 * (i % 2)));
    }

    function item(
        uint64 epoch,
        uint64 number,
        Chunk memory x
    ) internal view returns (IProofLedger.EpochItem memory) {
        return item(Pin.Epoch, epoch, number, x);
    }

    function item(
        Pin pin,
        uint64 epoch,
        uint64 number,
        Chunk memory x
    ) internal view returns (IProofLedger.EpochItem memory) {
        return
            IProofLedger.EpochItem({
                runId: runId,
                epoch: epoch,
                number: number,
                c: x.c,
                a: x.ab[0],
                b: x.ab[1],
                commitments: commitments(x),
                poks: poksOf(pin, x),
                proof: epochProof(seedOf(epoch, number), x)
            });
    }

    function expectNothing() internal view {
        for (uint64 epoch = 0; epoch < 2; ++epoch) {
            IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, epoch, 0);
            assertEq(a.chunksProved | a.productA | a.productB, 0, "nothing recorded");
        }
    }

    function spoil(IProofLedger.EpochItem memory x, uint256 what) internal view {
        if (what < 4) shift(x, what, 99);
        else if (what == 4) x.a = addmod(x.a, 1, R);
        else x.b = addmod(x.b, 1, R);
    }

    /// Adds scalar * generator to A, to C, to the pok of U or to the pok of P.
    function shift(IProofLedger.EpochItem memory x, uint256 what, uint256 scalar) internal view {
        uint256[2] memory by = sim.g1(scalar);
        if (what == 0) x.proof.a = Bn254.add(x.proof.a, by);
        else if (what == 1) x.proof.c = Bn254.add(x.proof.c, by);
        else x.poks[what - 2] = Bn254.add(x.poks[what - 2], by);
    }
}
