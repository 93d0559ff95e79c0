// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {ProofLedger} from "../../ProofLedger.sol";
import {ProvenanceRegistry} from "../../ProvenanceRegistry.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {KeyId} from "../../types/KeyId.sol";
import {RecordDigest} from "../../types/RecordDigest.sol";
import {RunId} from "../../types/RunId.sol";
import {DataContract, Simulator} from "../support/Simulator.sol";
import {Test} from "../support/Test.sol";

/// @dev A registry, a ledger with simulated keys, and a run with a drawn seed and one head. Its
/// dataset has 300 records in two epoch chunks and two tree chunks. Tests compare seeds with those
/// computed here from the documented preimages.
abstract contract LedgerFixture is Test {
    uint256 internal constant R = Bn254.R;
    uint64 internal constant COUNT = 300;
    uint64 internal constant SLOTS = 256;
    uint256 internal constant ROOT = uint256(keccak256("root")) % R;
    bytes32 internal constant LOG_ROOT = keccak256("log root");
    RecordDigest internal constant PREREGISTRATION = RecordDigest.wrap(
        keccak256("pre-registration")
    );
    address internal constant OWNER = address(0xA11CE);
    address internal constant STRANGER = address(0xE0E);

    enum Pin {
        Epoch, // all G the same
        EpochOther, // another G
        EpochCeremony,
        Epoch512,
        Epoch16,
        Tree,
        TreeDeep
    }

    /// @param c number of the chunk
    /// @param ab its products a and b
    /// @param scalars D, U, P as multiples of the generator
    struct Chunk {
        uint64 c;
        uint256[2] ab;
        uint256[3] scalars;
    }

    Simulator internal immutable sim = Simulator(deploy("Simulator", ""));
    ProvenanceRegistry internal registry;
    ProofLedger internal ledger;
    Simulator.Setup[] internal setups;
    KeyId[] internal vkIds;
    IProofLedger.KeyPin[] internal pins;
    RunId internal runId;
    DatasetId internal datasetId;
    bytes32 internal linkSeed;

    function setUp() public virtual {
        vm.roll(1_000);
        registry = ProvenanceRegistry(deploy("ProvenanceRegistry", abi.encode(address(0))));
        setups.push(sim.epochSetup(SLOTS, false, true));
        setups.push(otherSetup());
        setups.push(sim.epochSetup(SLOTS, true, false));
        setups.push(sim.epochSetup(512, false, true));
        setups.push(sim.epochSetup(16, false, true));
        setups.push(sim.treeSetup(256, 5));
        setups.push(sim.treeSetup(256, 6));
        for (uint256 i = 0; i < setups.length; ++i) {
            bytes memory key = sim.keyBytes(setups[i]);
            pins.push(DataContract.pin(key));
            vkIds.push(pins[i].vkId);
        }
        ledger = ProofLedger(deploy("ProofLedger", abi.encode(address(registry), pins)));
    }

    /// The setup of the first key with another G, and so other sigmas.
    function otherSetup() internal view returns (Simulator.Setup memory setup) {
        setup = sim.epochSetup(SLOTS, false, true);
        for (uint256 k = 0; k < setup.g.length; ++k) setup.g[k] = 8;
    }

    function vk(Pin pin) internal view returns (KeyId) {
        return vkIds[uint256(pin)];
    }

    // Datasets

    function dScalar(uint64 c) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("D", c))) % R;
    }

    function dPoints(
        Pin pin,
        uint64 m
    ) internal view returns (uint256[2][] memory d, uint256[2][] memory poks) {
        d = new uint256[2][](m);
        poks = new uint256[2][](m);
        for (uint64 c = 0; c < m; ++c) {
            (d[c], poks[c]) = (sim.g1(dScalar(c)), sim.pok(setups[uint256(pin)], 0, dScalar(c)));
        }
    }

    function begin(Pin pin, uint64 m) internal returns (DatasetId) {
        return begin(pin, COUNT, m);
    }

    function begin(Pin pin, uint64 count, uint64 m) internal returns (DatasetId id) {
        (uint256[2][] memory d, uint256[2][] memory poks) = dPoints(pin, m);
        vm.prank(OWNER);
        id = ledger.beginDataset(vk(pin), vk(Pin.Tree), ROOT, 5, count, d, poks);
        linkSeed = expectedLinkSeed(
            OWNER,
            vk(pin),
            vk(Pin.Tree),
            count,
            setups[uint256(pin)].slots,
            m,
            d
        );
        datasetId = id;
    }

    function expectedLinkSeed(
        address owner,
        KeyId epochKey,
        KeyId treeKey,
        uint256 count,
        uint256 slots,
        uint256 m,
        uint256[2][] memory d
    ) internal view returns (bytes32) {
        bytes memory head = abi.encode(
            keccak256("provenance/v1/link"),
            block.chainid,
            address(ledger),
            owner
        );
        bytes memory tail = abi.encode(
            epochKey,
            treeKey,
            ROOT,
            uint256(5),
            count,
            slots,
            m,
            hashAll(d)
        );
        return keccak256(bytes.concat(head, tail));
    }

    function treeProof(
        uint64 k,
        uint256 t,
        uint256 z
    ) internal view returns (IProofLedger.Proof memory) {
        return treeProof(k, k == 0 ? 256 : 44, k == 1, t, z);
    }

    function treeProof(
        uint64 k,
        uint256 used,
        bool last,
        uint256 t,
        uint256 z
    ) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](8);
        (inputs[0], inputs[1]) = (ROOT, k);
        (inputs[2], inputs[3]) = (used, last ? 1 : 0);
        (inputs[4], inputs[5]) = challenges(linkSeed);
        (inputs[6], inputs[7]) = (t, z);
        return sim.prove(inputs, new uint256[](0), 1);
    }

    function linkProof(
        uint64 c,
        uint256 a,
        uint256 b
    ) internal view returns (IProofLedger.Proof memory) {
        uint256 order = addmod(sim.orderBase(), mulmod(c * SLOTS, sim.orderStep(), R), R);
        return epochProof(linkSeed, Chunk(c, [a, b], [dScalar(c), 0, order]));
    }

    /// Registers the dataset of 300 records with consistent products.
    function register(Pin pin) internal returns (DatasetId id) {
        id = begin(pin, 2);
        for (uint64 c = 0; c < 2; ++c) {
            ledger.proveTree(id, c, 6 + c, 2, treeProof(c, 6 + c, 2)); // t = (6 + c) / 2 * z
            ledger.proveLink(id, c, sim.g1(dScalar(c)), 6 + c, 2, linkProof(c, 6 + c, 2));
        }
        ledger.finishDataset(id);
    }

    // Epochs

    function openRun(DatasetId dataset) internal returns (RunId run) {
        uint256 start = block.number;
        vm.startPrank(OWNER);
        run = registry.openRun(PREREGISTRATION, dataset);
        registry.commit(run, 1, LOG_ROOT, 77, new bytes32[](0));
        vm.stopPrank();
        vm.roll(start + 3);
        registry.drawSeed(run);
    }

    function chunk(uint64 c, uint256 a, uint256 b) internal pure returns (Chunk memory) {
        uint256 u = uint256(keccak256(abi.encode("U", c))) % R;
        uint256 p = uint256(keccak256(abi.encode("P", c))) % R;
        return Chunk(c, [a, b], [dScalar(c), u, p]);
    }

    function points(uint64 m, uint256 k) internal view returns (uint256[2][] memory list) {
        list = new uint256[2][](m);
        for (uint64 c = 0; c < m; ++c) list[c] = sim.g1(chunk(c, 0, 0).scalars[k]);
    }

    function anchor(uint64 epoch) internal returns (uint64) {
        (uint256[2][] memory u, uint256[2][] memory p) = (points(2, 1), points(2, 2));
        vm.prank(OWNER);
        return ledger.anchorEpoch(runId, epoch, datasetId, COUNT, u, p);
    }

    /// Seed of an anchoring with the points of `anchor`, from the documented preimage.
    function expectedSeed(
        uint256 epoch,
        uint256 number,
        uint256 consumed
    ) internal view returns (bytes32) {
        return expectedSeed(epoch, number, consumed, points(2, 1), points(2, 2));
    }

    function expectedSeed(
        uint256 epoch,
        uint256 number,
        uint256 consumed,
        uint256[2][] memory u,
        uint256[2][] memory p
    ) internal view returns (bytes32) {
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        bytes memory hashes = abi.encode(hashAll(d), hashAll(u), hashAll(p));
        bytes memory counts = abi.encode(uint256(COUNT), consumed, SLOTS, uint256(2), uint256(77));
        return
            keccak256(
                bytes.concat(_epochNames(), abi.encode(epoch, number), counts, LOG_ROOT, hashes)
            );
    }

    function _epochNames() private view returns (bytes memory) {
        return
            abi.encode(
                keccak256("provenance/v1/epoch"),
                block.chainid,
                address(ledger),
                address(registry),
                vk(Pin.Epoch),
                datasetId,
                runId,
                registry.runOf(runId).seed
            );
    }

    function seedOf(uint64 epoch, uint64 number) internal view returns (bytes32) {
        return ledger.anchoringOf(runId, epoch, number).seed;
    }

    function epochProof(
        bytes32 seed,
        Chunk memory x
    ) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](5);
        (inputs[0], inputs[1]) = challenges(seed);
        inputs[2] = x.c * SLOTS;
        (inputs[3], inputs[4]) = (x.ab[0], x.ab[1]);
        uint256[] memory scalars = new uint256[](3);
        for (uint256 k = 0; k < 3; ++k) scalars[k] = x.scalars[k];
        return sim.prove(inputs, scalars, 1);
    }

    function commitments(Chunk memory x) internal view returns (uint256[2][3] memory list) {
        for (uint256 k = 0; k < 3; ++k) list[k] = sim.g1(x.scalars[k]);
    }

    function poksOf(Pin pin, Chunk memory x) internal view returns (uint256[2][2] memory list) {
        for (uint256 k = 0; k < 2; ++k)
            list[k] = sim.pok(setups[uint256(pin)], k + 1, x.scalars[k + 1]);
    }

    /// Submits a chunk with an honest proof for (epoch, number).
    function submit(Pin pin, uint64 epoch, uint64 number, Chunk memory x) internal {
        IProofLedger.Proof memory proof = epochProof(seedOf(epoch, number), x);
        uint256[2][3] memory coms = commitments(x);
        uint256[2][2] memory poks = poksOf(pin, x);
        vm.prank(STRANGER); // anybody may submit it
        ledger.proveEpoch(runId, epoch, number, x.c, x.ab[0], x.ab[1], coms, poks, proof);
    }

    function challenges(bytes32 seed) internal pure returns (uint256 gamma, uint256 delta) {
        gamma = uint256(keccak256(abi.encode(seed, 0))) % R;
        delta = uint256(keccak256(abi.encode(seed, 1))) % R;
    }

    function hashAll(uint256[2][] memory list) internal pure returns (bytes32) {
        bytes memory all;
        for (uint256 i = 0; i < list.length; ++i) all = bytes.concat(all, abi.encode(list[i]));
        return keccak256(all);
    }
}
