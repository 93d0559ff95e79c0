// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {ProofLedger} from "../../ProofLedger.sol";
import {RunId} from "../../types/RunId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";

/// @dev Each test carries out one attack on an anchored epoch. Proofs verify wherever an attacker
/// could make them verify.
contract ProofLedgerAttacksTest is LedgerFixture {
    function setUp() public override {
        super.setUp();
        register(Pin.Epoch);
        runId = openRun(datasetId);
        anchor(0);
    }

    /// A proof A = alpha, B = beta, C = 0 with a D that cancels the rest needs no witness. The
    /// ledger refuses it, since D is not the registered point.
    function test_forgeryWithUncheckedD() public {
        Chunk memory x = chunk(0, 7, 7);
        (IProofLedger.Proof memory proof, uint256[2] memory d) = sim.forge(
            _inputs(seedOf(0, 0), x)
        );
        d = Bn254.add(d, Bn254.negate(Bn254.add(sim.g1(x.scalars[1]), sim.g1(x.scalars[2]))));
        uint256[2][3] memory coms = commitments(x);
        coms[0] = d;
        _expect(_wrongPoint(0, coms[0], sim.g1(dScalar(0))), x, coms, poksOf(Pin.Epoch, x), proof);
    }

    /// D + X and P - X have the same sum as D and P, so the equation holds. The ledger refuses
    /// them, since they are not the registered and the anchored point.
    function test_shiftedDAndP() public {
        Chunk memory x = chunk(0, 7, 7);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        uint256[2][3] memory coms = commitments(x);
        uint256[2] memory shift = sim.g1(99);
        coms[0] = Bn254.add(coms[0], shift);
        coms[2] = Bn254.add(coms[2], Bn254.negate(shift));
        _expect(_wrongPoint(0, coms[0], sim.g1(dScalar(0))), x, coms, poksOf(Pin.Epoch, x), proof);
        coms[0] = sim.g1(dScalar(0));
        bytes memory wrong = _wrongPair(0, coms, ledger.chunkHash(runId, 0, 0, 0));
        _expect(wrong, x, coms, poksOf(Pin.Epoch, x), proof);
    }

    /// U + X and P - X are anchored: the equation holds, but their proofs of knowledge do not.
    function test_anchoredPointsShiftedAgainstEachOther() public {
        Chunk memory x = chunk(0, 7, 7);
        uint256[2][] memory u = points(2, 1);
        uint256[2][] memory p = points(2, 2);
        u[0] = Bn254.add(u[0], sim.g1(99));
        p[0] = Bn254.add(p[0], Bn254.negate(sim.g1(99)));
        vm.prank(OWNER);
        ledger.anchorEpoch(runId, 1, datasetId, COUNT, u, p);
        IProofLedger.Proof memory proof = epochProof(seedOf(1, 0), x);
        uint256[2][3] memory coms = commitments(x);
        (coms[1], coms[2]) = (u[0], p[0]);
        uint256[2][2] memory poks = poksOf(Pin.Epoch, x);
        vm.expectRevert(_invalid(0));
        ledger.proveEpoch(runId, 1, 0, 0, 7, 7, coms, poks, proof);
    }

    function test_poksShiftedSoThatTheirFoldAgrees() public {
        Chunk memory x = chunk(0, 7, 7);
        uint256[2][2] memory poks = poksOf(Pin.Epoch, x);
        poks[0] = Bn254.add(poks[0], sim.g1(99));
        poks[1] = Bn254.add(poks[1], Bn254.negate(sim.g1(99)));
        _expect(_invalid(0), x, commitments(x), poks, epochProof(seedOf(0, 0), x));
    }

    /// Each of U and P needs a proof of knowledge of its own.
    function test_onePokIsWrong() public {
        Chunk memory x = chunk(0, 7, 7);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        for (uint256 k = 0; k < 2; ++k) {
            uint256[2][2] memory poks = poksOf(Pin.Epoch, x);
            poks[k] = [uint256(0), 0];
            _expect(_invalid(0), x, commitments(x), poks, proof);
        }
    }

    function test_missingOrSwappedPoks() public {
        Chunk memory x = chunk(0, 7, 7);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        uint256[2][2] memory poks = poksOf(Pin.Epoch, x);
        (poks[0], poks[1]) = (poks[1], poks[0]);
        _expect(_invalid(0), x, commitments(x), poks, proof);
        uint256[2][2] memory none;
        _expect(_invalid(0), x, commitments(x), none, proof);
    }

    /// (-A, -B, C) verifies, too. It must not count a second time.
    function test_negatedProofDoesNotCountTwice() public {
        Chunk memory x = chunk(0, 7, 7);
        submit(Pin.Epoch, 0, 0, x);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        proof.a = Bn254.negate(proof.a);
        (proof.b[2], proof.b[3]) = (Bn254.Q - proof.b[2], Bn254.Q - proof.b[3]);
        ledger.proveEpoch(runId, 0, 0, 0, 7, 7, commitments(x), poksOf(Pin.Epoch, x), proof);
        assertEq(uint256(ledger.anchoringOf(runId, 0, 0).chunksProved), 1, "counted once");
        assertTrue(!ledger.anchoringOf(runId, 0, 0).accepted, "not accepted");
    }

    function test_incompleteEpochIsNotAccepted() public {
        submit(Pin.Epoch, 0, 0, chunk(0, 7, 7));
        assertTrue(!ledger.anchoringOf(runId, 0, 0).accepted, "one chunk of two");
    }

    function test_zeroProducts() public {
        Chunk memory x = chunk(0, 0, 0);
        bytes memory zero = abi.encodeWithSelector(IProofLedger.ZeroProduct.selector, 0);
        _expect(zero, x, commitments(x), poksOf(Pin.Epoch, x), epochProof(seedOf(0, 0), x));
        x.ab = [uint256(7), 0];
        _expect(zero, x, commitments(x), poksOf(Pin.Epoch, x), epochProof(seedOf(0, 0), x));
        x.ab = [uint256(0), 7];
        _expect(zero, x, commitments(x), poksOf(Pin.Epoch, x), epochProof(seedOf(0, 0), x));
    }

    /// A product of r, which is zero modulo r, and any other product plus r.
    function test_productsBelowR() public {
        Chunk memory x = chunk(0, 7, 7);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        uint256[3] memory shifts = [R, 2 * R, 5 * R];
        for (uint256 i = 0; i < 3; ++i) {
            x.ab = [7 + shifts[i], 7];
            bytes memory reason = abi.encodeWithSelector(Groth16.NotInField.selector, 3, x.ab[0]);
            _expect(reason, x, commitments(x), poksOf(Pin.Epoch, x), proof);
            x.ab = [uint256(7), 7 + shifts[i]];
            reason = abi.encodeWithSelector(Groth16.NotInField.selector, 4, x.ab[1]);
            _expect(reason, x, commitments(x), poksOf(Pin.Epoch, x), proof);
        }
        x.ab = [R, 7];
        bytes memory zero = abi.encodeWithSelector(Groth16.NotInField.selector, 3, R);
        _expect(zero, x, commitments(x), poksOf(Pin.Epoch, x), proof);
    }

    /// The proof of chunk 0 and all its points, submitted as chunk 1; and points exchanged between
    /// chunks.
    function test_anotherChunk() public {
        Chunk memory x = chunk(0, 7, 7);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        uint256[2][2] memory poks = poksOf(Pin.Epoch, x);
        uint256[2][3] memory coms = commitments(x);
        x.c = 1;
        _expect(_wrongPoint(1, coms[0], sim.g1(dScalar(1))), x, coms, poks, proof);
        x.c = 2;
        _expect(
            abi.encodeWithSelector(IProofLedger.ChunkOutOfRange.selector, 2, 2),
            x,
            coms,
            poks,
            proof
        );
        // The ledger sets `start`, so a proof of chunk 1's points with start 0 is false.
        Chunk memory y = chunk(1, 7, 7);
        y.c = 0;
        proof = epochProof(seedOf(0, 0), y);
        y.c = 1;
        _expect(_invalid(1), y, commitments(y), poksOf(Pin.Epoch, y), proof);
    }

    /// The same points and products under another number, epoch or run: the seed differs, so the
    /// proof is false.
    function test_replayElsewhere() public {
        Chunk memory x = chunk(0, 7, 7);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        anchor(0);
        anchor(1);
        _expectAt(_invalid(0), 0, 1, x, proof);
        _expectAt(_invalid(0), 1, 0, x, proof);
        _expectAt(
            abi.encodeWithSelector(IProofLedger.UnknownAnchoring.selector, runId, 0, 2),
            0,
            2,
            x,
            proof
        );
        RunId first = runId;
        runId = openRun(datasetId);
        anchor(0);
        _expectAt(_invalid(0), 0, 0, x, proof);
        runId = first;
        submit(Pin.Epoch, 0, 0, x);
    }

    function test_anotherKey() public {
        Chunk memory x = chunk(0, 7, 7);
        register(Pin.EpochOther);
        runId = openRun(datasetId);
        anchor(0);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        _expect(_invalid(0), x, commitments(x), poksOf(Pin.Epoch, x), proof);
        submit(Pin.EpochOther, 0, 0, x);
    }

    /// The same calls give another seed on another ledger or another chain.
    function test_anotherLedgerOrChain() public {
        bytes32 seed = seedOf(0, 0);
        ProofLedger first = ledger;
        ledger = ProofLedger(deploy("ProofLedger", abi.encode(address(registry), pins)));
        register(Pin.Epoch);
        runId = openRun(datasetId);
        anchor(0);
        assertTrue(seedOf(0, 0) != seed, "ledger");
        Chunk memory x = chunk(0, 7, 7);
        _expectAt(_invalid(0), 0, 0, x, epochProof(seed, x));
        vm.chainId(1);
        assertTrue(RunId.unwrap(registry.runIdOf(OWNER, 0)) != RunId.unwrap(runId), "chain");
        assertTrue(address(first) != address(ledger), "two ledgers");
    }

    /// A U of another epoch in the calldata is refused: only the anchored one is accepted.
    function test_pointsOutsideThePreimage() public {
        Chunk memory x = chunk(0, 7, 7);
        x.scalars[1] = chunk(1, 0, 0).scalars[1];
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        uint256[2][3] memory coms = commitments(x);
        bytes memory wrong = _wrongPair(0, coms, ledger.chunkHash(runId, 0, 0, 0));
        _expect(wrong, x, coms, poksOf(Pin.Epoch, x), proof);
    }

    function test_gammaIsNotDelta() public view {
        (uint256 gamma, uint256 delta) = ledger.challengesOf(seedOf(0, 0));
        assertTrue(gamma != delta, "separately indexed");
    }

    /// With too little gas a valid submission reverts as a whole; nothing is recorded.
    function testFuzz_starvedGas(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 50_000, 500_000);
        Chunk memory x = chunk(0, 7, 7);
        IProofLedger.Proof memory proof = epochProof(seedOf(0, 0), x);
        uint256[2][3] memory coms = commitments(x);
        uint256[2][2] memory poks = poksOf(Pin.Epoch, x);
        try ledger.proveEpoch{gas: gasLimit}(runId, 0, 0, 0, 7, 7, coms, poks, proof) {
            assertEq(uint256(ledger.anchoringOf(runId, 0, 0).chunksProved), 1, "recorded");
        } catch (bytes memory reason) {
            if (reason.length != 0)
                assertTrue(bytes4(reason) == Bn254.LowGas.selector, "another reason");
            assertEq(uint256(ledger.anchoringOf(runId, 0, 0).chunksProved), 0, "nothing recorded");
        }
    }

    function _inputs(bytes32 seed, Chunk memory x) private pure returns (uint256[] memory inputs) {
        inputs = new uint256[](5);
        (inputs[0], inputs[1]) = challenges(seed);
        (inputs[2], inputs[3], inputs[4]) = (x.c * SLOTS, x.ab[0], x.ab[1]);
    }

    function _invalid(uint64 c) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, c);
    }

    function _wrongPoint(
        uint64 c,
        uint256[2] memory actual,
        uint256[2] memory expected
    ) private pure returns (bytes memory) {
        bytes32 a = keccak256(abi.encode(actual));
        return
            abi.encodeWithSelector(
                IProofLedger.WrongPoint.selector,
                c,
                keccak256(abi.encode(expected)),
                a
            );
    }

    function _wrongPair(
        uint64 c,
        uint256[2][3] memory coms,
        bytes32 expected
    ) private pure returns (bytes memory) {
        bytes32 actual = keccak256(abi.encode(coms[1], coms[2]));
        return abi.encodeWithSelector(IProofLedger.WrongPoint.selector, c, expected, actual);
    }

    function _expect(
        bytes memory reason,
        Chunk memory x,
        uint256[2][3] memory coms,
        uint256[2][2] memory poks,
        IProofLedger.Proof memory proof
    ) private {
        vm.expectRevert(reason);
        ledger.proveEpoch(runId, 0, 0, x.c, x.ab[0], x.ab[1], coms, poks, proof);
    }

    function _expectAt(
        bytes memory reason,
        uint64 epoch,
        uint64 number,
        Chunk memory x,
        IProofLedger.Proof memory proof
    ) private {
        uint256[2][3] memory coms = commitments(x);
        uint256[2][2] memory poks = poksOf(Pin.Epoch, x);
        vm.expectRevert(reason);
        ledger.proveEpoch(runId, epoch, number, x.c, x.ab[0], x.ab[1], coms, poks, proof);
    }
}
