// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {ModelLedger} from "../../ModelLedger.sol";
import {ProvenanceRegistry} from "../../ProvenanceRegistry.sol";
import {KeyId} from "../../types/KeyId.sol";
import {RunId} from "../../types/RunId.sol";
import {ReferenceTree} from "../support/ReferenceTree.sol";
import {DataContract, Simulator} from "../support/Simulator.sol";
import {Test} from "../support/Test.sol";

/// @dev A run with a head, and tables of three tensors of 20, 160 and 18 blocks. Entries, draws and
/// public inputs are computed here a second time, from the documented definitions.
abstract contract ModelFixture is Test {
    uint256 internal constant R = Bn254.R;
    bytes32 internal constant LOG_ROOT = keccak256("log root");
    bytes32 internal constant ARTIFACT = keccak256("artifact");
    RunId internal constant NO_RUN = RunId.wrap(keccak256("no run"));
    KeyId internal constant NO_KEY = KeyId.wrap(keccak256("no key"));
    address internal constant OWNER = address(0xA11CE);
    address internal constant WRITER = address(0xB0B);
    address internal constant STRANGER = address(0xE0E);
    uint64 internal constant MERGE = 1;
    uint64 internal constant QUANTIZE = 2;
    uint64 internal constant SLOTS = 4;
    uint64 internal constant SCALE = 2 << 16;
    uint64 internal constant RANK = 6; // of the adapter; padded to 8, the rank of the keys

    struct Shape {
        string name;
        uint64 rows;
        uint64 columns;
        uint64 blocks;
        uint64 depth;
        uint64 groups; // of 20 draws
    }

    Simulator internal immutable sim = Simulator(deploy("Simulator", ""));
    ProvenanceRegistry internal registry;
    ModelLedger internal models;
    IProofLedger.KeyPin[] internal pins;
    mapping(uint256 kind => mapping(uint256 slots => mapping(uint256 depth => KeyId vkId)))
        internal vk;
    RunId internal runId;
    Shape[] internal shapes;

    function setUp() public virtual {
        vm.roll(1_000);
        shapes.push(Shape("a.weight", 10, 64, 20, 1, 1));
        shapes.push(Shape("b.weight", 40, 100, 160, 2, 5));
        shapes.push(Shape("c.norm", 1, 576, 18, 1, 1));
        registry = ProvenanceRegistry(deploy("ProvenanceRegistry", abi.encode(address(0))));
        for (uint256 depth = 1; depth <= 2; ++depth) {
            _pin(6, SLOTS, depth, 7);
            _pin(7, SLOTS, depth, 7);
            _pin(8, SLOTS, depth + 16 * 8, 7);
        }
        _pin(6, 8, 1, 12);
        _pin(8, SLOTS, 1 + 16 * 16, 7);
        _pin(6, 1, 1, 4);
        models = ModelLedger(deploy("ModelLedger", abi.encode(address(registry), pins)));
        runId = openRun();
    }

    function openRun() internal returns (RunId run) {
        vm.startPrank(OWNER);
        run = registry.openLog();
        registry.commit(run, 1, LOG_ROOT, 77, new bytes32[](0));
        registry.setWriter(run, WRITER, true);
        vm.stopPrank();
    }

    // Tables

    function rootOf(string memory label, uint256 t) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(label, t))) % R;
    }

    function leafOf(
        bytes memory name,
        uint8 order,
        uint64 rows,
        uint64 columns,
        uint64 depth,
        uint64 blocks,
        uint256 root
    ) internal pure returns (bytes32) {
        bytes memory text = bytes.concat("provenance/v1/tensor", bytes1(0), sha256(name));
        text = bytes.concat(text, bytes1(0), bytes1(order), bytes8(rows), bytes8(columns));
        text = bytes.concat(text, bytes1(uint8(depth)), bytes8(blocks), bytes32(root));
        return sha256(bytes.concat(bytes1(0), sha256(text)));
    }

    /// Leaves of the base ("base"), merged ("merged") or adapter ("adapter") table.
    function leaves(string memory label) internal view returns (bytes32[] memory list) {
        bool isAdapter = keccak256(bytes(label)) == keccak256("adapter");
        list = new bytes32[](isAdapter ? 6 : 3);
        for (uint256 t = 0; t < 3; ++t) {
            Shape memory s = shapes[t];
            if (isAdapter) {
                (list[2 * t], list[2 * t + 1]) = adapterLeaves(s, t);
            } else {
                list[t] = leafOf(
                    bytes(s.name),
                    0,
                    s.rows,
                    s.columns,
                    s.depth,
                    s.blocks,
                    rootOf(label, t)
                );
            }
        }
    }

    function adapterLeaves(Shape memory s, uint256 t) internal pure returns (bytes32 a, bytes32 b) {
        uint64 aBlocks = 8 * (s.blocks / s.rows);
        bytes memory aName = bytes.concat(bytes(s.name), ":lora_a");
        bytes memory bName = bytes.concat(bytes(s.name), ":lora_b");
        a = leafOf(aName, 1, RANK, s.columns, s.depth, aBlocks, rootOf("a", t));
        b = leafOf(bName, 2, s.rows, RANK, s.depth, s.rows, rootOf("b", t));
    }

    function table(string memory name) internal view returns (IModelLedger.Table memory) {
        bytes32[] memory list = leaves(name);
        return IModelLedger.Table(ReferenceTree.root(list), uint64(list.length));
    }

    function anchoring(uint64 stage) internal view returns (IModelLedger.Anchoring memory a) {
        a.merged = table("merged");
        if (stage == MERGE) (a.base, a.adapter) = (table("base"), table("adapter"));
        a.artifact = ARTIFACT;
        (a.kind, a.slots, a.scale) = stage == MERGE ? (8, SLOTS, SCALE) : (6, SLOTS, 0);
        (a.draws, a.blocks) = (20, 198);
    }

    function anchor(uint64 stage) internal returns (uint64 number) {
        return anchor(stage, anchoring(stage));
    }

    function anchor(
        uint64 stage,
        IModelLedger.Anchoring memory a
    ) internal returns (uint64 number) {
        vm.prank(OWNER);
        return models.anchorModel(runId, stage, a);
    }

    function draw(uint64 stage, uint64 number) internal returns (bytes32) {
        vm.roll(progress(stage, number).drawBlock + 1);
        vm.prank(STRANGER); // anybody may draw
        return models.drawModel(runId, stage, number);
    }

    function anchorAndDraw(uint64 stage) internal returns (uint64 number, bytes32 seed) {
        number = anchor(stage);
        seed = draw(stage, number);
    }

    // Samples

    function keyFor(uint64 stage, uint64 depth) internal view returns (KeyId) {
        return stage == MERGE ? vk[8][SLOTS][depth + 16 * 8] : vk[6][SLOTS][depth];
    }

    function opening(
        string memory name,
        uint256 place,
        uint256 root
    ) internal view returns (IModelLedger.TablePath memory) {
        bytes32[] memory list = leaves(name);
        return IModelLedger.TablePath(root, ReferenceTree.inclusion(list, place, list.length));
    }

    function codesOf(uint64 t, uint64 g) internal pure returns (uint256[] memory codes) {
        codes = new uint256[](5); // 4 * 34 bytes
        for (uint256 i = 0; i < 5; ++i)
            codes[i] = uint256(keccak256(abi.encode("codes", t, g, i))) >> 8;
    }

    function item(
        uint64 stage,
        bytes32 seed,
        uint64 t,
        uint64 g
    ) internal view returns (IModelLedger.Sample memory x) {
        Shape memory s = shapes[t];
        x.tensor = t;
        x.group = g;
        x.vkId = keyFor(stage, s.depth);
        (x.name, x.rows, x.columns) = (s.name, s.rows, s.columns);
        x.openings = new IModelLedger.TablePath[](stage == MERGE ? 4 : 1);
        x.openings[x.openings.length - 1] = opening("merged", t, rootOf("merged", t));
        if (stage == MERGE) {
            x.rank = RANK;
            x.openings[0] = opening("base", t, rootOf("base", t));
            x.openings[1] = opening("adapter", 2 * t, rootOf("a", t));
            x.openings[2] = opening("adapter", 2 * t + 1, rootOf("b", t));
        } else {
            x.codes = codesOf(t, g);
        }
        x.proof = sim.prove(inputsOf(x, seed, s.blocks), new uint256[](0), 1);
    }

    function inputsOf(
        IModelLedger.Sample memory x,
        bytes32 seed,
        uint64 blocks
    ) internal pure returns (uint256[] memory inputs) {
        uint256 word = 0;
        for (uint256 i = 0; i < SLOTS; ++i) {
            uint256 j = x.group * SLOTS + i;
            word +=
                (uint256(keccak256(abi.encode(seed, uint256(x.tensor), j))) % blocks) *
                2 ** (32 * i);
        }
        inputs = new uint256[](7);
        if (x.openings.length == 1) {
            (inputs[0], inputs[1]) = (x.openings[0].root, word);
            for (uint256 i = 0; i < 5; ++i) inputs[2 + i] = x.codes[i];
        } else {
            for (uint256 i = 0; i < 4; ++i) inputs[i] = x.openings[i].root;
            (inputs[4], inputs[5], inputs[6]) = (SCALE, (x.columns + 31) / 32, word);
        }
    }

    /// All items of an anchoring in their order.
    function items(
        uint64 stage,
        bytes32 seed
    ) internal view returns (IModelLedger.Sample[] memory list) {
        uint256 next = 0;
        for (uint64 t = 0; t < 3; ++t) next += shapes[t].groups;
        list = new IModelLedger.Sample[](next);
        next = 0;
        for (uint64 t = 0; t < 3; ++t) {
            for (uint64 g = 0; g < shapes[t].groups; ++g) list[next++] = item(stage, seed, t, g);
        }
    }

    function one(
        IModelLedger.Sample memory x
    ) internal pure returns (IModelLedger.Sample[] memory list) {
        list = new IModelLedger.Sample[](1);
        list[0] = x;
    }

    /// Sends items of the run, with the name of the tensor before that of the first item.
    function proveSamples(
        uint64 stage,
        uint64 number,
        IModelLedger.Sample[] memory list
    ) internal {
        bool first = list.length == 0 || list[0].tensor == 0;
        string memory previous = first ? "" : shapes[list[0].tensor - 1].name;
        models.proveSamples(runId, stage, number, previous, list);
    }

    function progress(
        uint64 stage,
        uint64 number
    ) internal view returns (IModelLedger.Progress memory p) {
        (, p) = models.anchoringOf(runId, stage, number);
    }

    function _pin(uint256 kind, uint256 slots, uint256 depth, uint256 count) private {
        bytes memory key = sim.keyBytes(sim.plainSetup(kind, slots, depth, count));
        IProofLedger.KeyPin memory keyPin = DataContract.pin(key);
        vk[kind][slots][depth] = keyPin.vkId;
        pins.push(keyPin);
    }
}
