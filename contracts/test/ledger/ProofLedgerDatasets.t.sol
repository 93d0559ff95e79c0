// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {KeyId} from "../../types/KeyId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";

contract ProofLedgerDatasetsTest is LedgerFixture {
    DatasetId private constant NO_DATASET = DatasetId.wrap(bytes32(uint256(1)));

    /// @dev The arguments of `beginDataset`.
    struct Begin {
        KeyId epochKey;
        KeyId treeKey;
        uint256 root;
        uint64 depth;
        uint64 count;
        uint256[2][] d;
        uint256[2][] poks;
    }

    function test_registration() public {
        DatasetId id = register(Pin.Epoch);
        IProofLedger.Dataset memory d = ledger.datasetOf(id);
        assertEq(d.owner, OWNER, "owner");
        assertEq(d.epochKey, vk(Pin.Epoch), "epoch key");
        assertEq(d.treeKey, vk(Pin.Tree), "tree key");
        assertEq(d.root, ROOT, "root");
        assertEq(uint256(d.depth), 5, "depth");
        assertEq(uint256(d.count), COUNT, "count");
        assertEq(uint256(d.slots), SLOTS, "slots");
        assertEq(uint256(d.chunks), 2, "chunks");
        assertEq(uint256(d.treesProved) + d.linksProved, 4, "proofs");
        assertTrue(d.finished, "finished");
        assertEq(d.linkSeed, linkSeed, "seed preimage");
        DatasetId expected = DatasetId.wrap(
            keccak256(abi.encode(keccak256("provenance/v1/dataset"), linkSeed))
        );
        assertEq(id, expected, "id preimage");
        (uint256 gamma, uint256 delta) = ledger.challengesOf(linkSeed);
        (uint256 expectedGamma, uint256 expectedDelta) = challenges(linkSeed);
        assertEq(gamma, expectedGamma, "gamma");
        assertEq(delta, expectedDelta, "delta");
        ledger.finishDataset(id); // again: nothing happens
    }

    function test_registrationWithEveryKindOfKey() public {
        register(Pin.EpochOther);
        register(Pin.EpochCeremony);
    }

    /// Two tree chunks in one epoch chunk: their products multiply.
    function test_registrationWithTwoTreesInAChunk() public {
        DatasetId id = begin(Pin.Epoch512, 1);
        ledger.proveTree(id, 1, 9, 3, treeProof(1, 9, 3));
        ledger.proveLink(id, 0, sim.g1(dScalar(0)), 12, 2, linkProof(0, 12, 2));
        ledger.proveTree(id, 0, 10, 5, treeProof(0, 10, 5));
        ledger.finishDataset(id); // 12 * 3 * 5 = 2 * 9 * 10
        assertTrue(ledger.datasetOf(id).finished, "finished");
    }

    function test_productsMustAgree() public {
        DatasetId id = begin(Pin.Epoch512, 1);
        ledger.proveTree(id, 0, 10, 5, treeProof(0, 10, 5));
        ledger.proveTree(id, 1, 9, 3, treeProof(1, 9, 3));
        ledger.proveLink(id, 0, sim.g1(dScalar(0)), 12, 3, linkProof(0, 12, 3));
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProductsDiffer.selector, 0, 180, 270));
        ledger.finishDataset(id);
    }

    /// Products must agree in each chunk, so two errors that cancel over the dataset are refused.
    function test_productsMustAgreeInEachChunk() public {
        DatasetId id = begin(Pin.Epoch, 2);
        for (uint64 c = 0; c < 2; ++c) {
            ledger.proveTree(id, c, 6, 6, treeProof(c, 6, 6));
            (uint256 a, uint256 b) = c == 0 ? (2, 3) : (3, 2);
            ledger.proveLink(id, c, sim.g1(dScalar(c)), a, b, linkProof(c, a, b));
        }
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProductsDiffer.selector, 0, 12, 18));
        ledger.finishDataset(id);
    }

    function test_finishNeedsEveryProof() public {
        DatasetId id = begin(Pin.Epoch, 2);
        ledger.proveTree(id, 0, 6, 2, treeProof(0, 6, 2));
        ledger.proveLink(id, 0, sim.g1(dScalar(0)), 6, 2, linkProof(0, 6, 2));
        // The chunk was accepted before: nothing happens, whatever the call holds.
        IProofLedger.Proof memory junk;
        ledger.proveTree(id, 0, 0, 0, junk);
        ledger.proveLink(id, 0, [uint256(0), 0], 0, 0, junk);
        bytes4 incomplete = IProofLedger.DatasetIncomplete.selector;
        vm.expectRevert(abi.encodeWithSelector(incomplete, id, 1, 1));
        ledger.finishDataset(id);
        ledger.proveTree(id, 1, 6, 2, treeProof(1, 6, 2));
        vm.expectRevert(abi.encodeWithSelector(incomplete, id, 2, 1));
        ledger.finishDataset(id);
    }

    function test_sameRegistrationTwice() public {
        DatasetId id = begin(Pin.Epoch, 2);
        (uint256[2][] memory d, uint256[2][] memory poks) = dPoints(Pin.Epoch, 2);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.DatasetExists.selector, id));
        vm.prank(OWNER);
        ledger.beginDataset(vk(Pin.Epoch), vk(Pin.Tree), ROOT, 5, COUNT, d, poks);
        // A stranger who copies the call begins a registration of their own.
        vm.prank(STRANGER);
        DatasetId copy = ledger.beginDataset(vk(Pin.Epoch), vk(Pin.Tree), ROOT, 5, COUNT, d, poks);
        assertTrue(copy != id, "own id");
    }

    function test_keysOfOtherKindsAreRefused() public {
        (KeyId e, KeyId t) = (vk(Pin.Epoch), vk(Pin.Tree));
        bytes4 unknown = IProofLedger.UnknownKey.selector;
        Begin memory x = _honest();
        x.epochKey = t;
        _expectBegin(abi.encodeWithSelector(unknown, t, 1), x);
        x.epochKey = KeyId.wrap(0);
        _expectBegin(abi.encodeWithSelector(unknown, bytes32(0), 1), x);
        (x.epochKey, x.treeKey) = (e, e);
        _expectBegin(abi.encodeWithSelector(unknown, e, 2), x);
        (x.epochKey, x.treeKey) = (vk(Pin.Epoch16), t);
        _expectBegin(abi.encodeWithSelector(IProofLedger.SlotsMismatch.selector, 16, 256), x);
    }

    function test_rootCountAndDepthAreChecked() public {
        Begin memory x = _honest();
        x.root = R;
        _expectBegin(abi.encodeWithSelector(IProofLedger.RootNotInField.selector, R), x);
        _expectShape(abi.encodeWithSelector(IProofLedger.BadCount.selector, 0), Pin.Tree, 5, 0);
        uint64 most = 16 ** 6;
        _expectShape(
            abi.encodeWithSelector(IProofLedger.BadCount.selector, most + 1),
            Pin.Tree,
            6,
            most + 1
        );
        bytes4 depth = IProofLedger.WrongDepth.selector;
        uint64 small = 16 ** 5;
        _expectShape(abi.encodeWithSelector(depth, 6, COUNT, 5), Pin.Tree, 6, COUNT);
        _expectShape(abi.encodeWithSelector(depth, 6, small, 6), Pin.TreeDeep, 6, small);
        _expectShape(abi.encodeWithSelector(depth, 5, small + 1, 5), Pin.Tree, 5, small + 1);
    }

    function test_onePointForEachEpochChunk() public {
        bytes4 points = IProofLedger.WrongPointCount.selector;
        _expectShape(abi.encodeWithSelector(points, 4097, 2), Pin.TreeDeep, 6, 16 ** 5 + 1);
        _expectShape(abi.encodeWithSelector(points, 1, 2), Pin.Tree, 5, 256);
        Begin memory x = _honest();
        x.poks = new uint256[2][](1);
        _expectBegin(abi.encodeWithSelector(points, 2, 1), x);
    }

    /// Without this check D could be a point that lets its maker forge every later proof.
    function test_registeredPointsNeedKnowledge() public {
        bytes memory refused = abi.encodeWithSelector(IProofLedger.KnowledgeNotProved.selector);
        Begin memory x = _honest();
        uint256[2] memory kept = x.poks[1];
        x.poks[1] = x.poks[0];
        _expectBegin(refused, x);
        x.poks[1] = Bn254.add(kept, sim.g1(5));
        x.poks[0] = Bn254.add(x.poks[0], Bn254.negate(sim.g1(5)));
        _expectBegin(refused, x);
        x = _honest();
        (, x.d[1]) = sim.forge(new uint256[](5));
        _expectBegin(refused, x);
    }

    function test_treeRefusals() public {
        DatasetId id = begin(Pin.Epoch, 2);
        IProofLedger.Proof memory proof = treeProof(0, 6, 2);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.UnknownDataset.selector, NO_DATASET));
        ledger.proveTree(NO_DATASET, 0, 6, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ChunkOutOfRange.selector, 2, 2));
        ledger.proveTree(id, 2, 6, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 1));
        ledger.proveTree(id, 1, 6, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 0));
        ledger.proveTree(id, 0, 7, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, 6, R + 6));
        ledger.proveTree(id, 0, R + 6, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, 7, R + 2));
        ledger.proveTree(id, 0, 6, R + 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ZeroProduct.selector, 0));
        ledger.proveTree(id, 0, 0, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ZeroProduct.selector, 0));
        ledger.proveTree(id, 0, 6, 0, proof);
    }

    function test_linkRefusals() public {
        DatasetId id = begin(Pin.Epoch, 2);
        IProofLedger.Proof memory proof = linkProof(0, 6, 2);
        uint256[2] memory d0 = sim.g1(dScalar(0));
        uint256[2] memory d1 = sim.g1(dScalar(1));
        bytes memory wrong = abi.encodeWithSelector(
            IProofLedger.WrongPoint.selector,
            0,
            keccak256(abi.encode(d0)),
            keccak256(abi.encode(d1))
        );
        vm.expectRevert(wrong);
        ledger.proveLink(id, 0, d1, 6, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ChunkOutOfRange.selector, 2, 2));
        ledger.proveLink(id, 2, d0, 6, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 1));
        ledger.proveLink(id, 1, d1, 6, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ZeroProduct.selector, 0));
        ledger.proveLink(id, 0, d0, 0, 2, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ZeroProduct.selector, 0));
        ledger.proveLink(id, 0, d0, 6, 0, proof);
        vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, 3, R + 6));
        ledger.proveLink(id, 0, d0, R + 6, 2, proof);
    }

    /// A link proof for another order in P, or for a U that is not infinity, is false, since the
    /// ledger sets these two points itself.
    function test_linkWithOtherOrderOrOtherU() public {
        DatasetId id = begin(Pin.Epoch, 2);
        uint256 order = sim.orderBase();
        uint256[2] memory d = sim.g1(dScalar(0));
        IProofLedger.Proof memory p = epochProof(
            linkSeed,
            Chunk(0, [uint256(6), 2], [dScalar(0), 0, order + 1])
        );
        IProofLedger.Proof memory u = epochProof(
            linkSeed,
            Chunk(0, [uint256(6), 2], [dScalar(0), 1, order])
        );
        bytes memory refused = abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 0);
        vm.expectRevert(refused);
        ledger.proveLink(id, 0, d, 6, 2, p);
        vm.expectRevert(refused);
        ledger.proveLink(id, 0, d, 6, 2, u);
        ledger.proveLink(id, 0, d, 6, 2, linkProof(0, 6, 2));
    }

    /// The challenge is hashed from all that is registered. So proofs of one registration are false
    /// in another.
    function test_proofsOfAnotherRegistration() public {
        begin(Pin.Epoch, 2);
        IProofLedger.Proof memory tree = treeProof(0, 6, 2);
        IProofLedger.Proof memory link = linkProof(0, 6, 2);
        (uint256[2][] memory d, uint256[2][] memory poks) = dPoints(Pin.Epoch, 2);
        vm.prank(STRANGER);
        DatasetId other = ledger.beginDataset(vk(Pin.Epoch), vk(Pin.Tree), ROOT, 5, COUNT, d, poks);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 0));
        ledger.proveTree(other, 0, 6, 2, tree);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 0));
        ledger.proveLink(other, 0, d[0], 6, 2, link);
    }

    /// The public inputs `used` and `last` at the bounds of a chunk: a full chunk, one record more,
    /// one less, and a single record.
    function test_countsAtTheBoundsOfAChunk() public {
        uint64[5] memory counts = [uint64(1), 255, 256, 257, 512];
        for (uint256 i = 0; i < 5; ++i) {
            DatasetId id = begin(Pin.Epoch, counts[i], counts[i] > 256 ? 2 : 1);
            uint64 trees = counts[i] > 256 ? 2 : 1;
            for (uint64 k = 0; k < trees; ++k) {
                bool last = k == trees - 1;
                uint256 used = last ? counts[i] - 256 * k : 256;
                IProofLedger.Proof memory wrong = treeProof(k, used, !last, 6, 2);
                vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, k));
                ledger.proveTree(id, k, 6, 2, wrong);
                ledger.proveTree(id, k, 6, 2, treeProof(k, used, last, 6, 2));
            }
            IProofLedger.Proof memory empty = treeProof(trees, 0, true, 6, 2);
            vm.expectRevert(
                abi.encodeWithSelector(IProofLedger.ChunkOutOfRange.selector, trees, trees)
            );
            ledger.proveTree(id, trees, 6, 2, empty);
        }
    }

    function test_unknownDatasetIsEmpty() public {
        assertEq(ledger.datasetOf(NO_DATASET).owner, address(0), "owner");
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.UnknownDataset.selector, NO_DATASET));
        ledger.finishDataset(NO_DATASET);
    }

    function _expectShape(bytes memory reason, Pin tree, uint64 depth, uint64 count) private {
        Begin memory x = _honest();
        (x.treeKey, x.depth, x.count) = (vk(tree), depth, count);
        _expectBegin(reason, x);
    }

    function _expectBegin(bytes memory reason, Begin memory x) private {
        vm.expectRevert(reason);
        ledger.beginDataset(x.epochKey, x.treeKey, x.root, x.depth, x.count, x.d, x.poks);
    }

    function _honest() private view returns (Begin memory) {
        (uint256[2][] memory d, uint256[2][] memory poks) = dPoints(Pin.Epoch, 2);
        return Begin(vk(Pin.Epoch), vk(Pin.Tree), ROOT, 5, COUNT, d, poks);
    }
}
