// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {ProvenanceRegistry} from "../../ProvenanceRegistry.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {RecordDigest} from "../../types/RecordDigest.sol";
import {RunId} from "../../types/RunId.sol";
import {History} from "../support/History.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract ProvenanceRegistryDrawTest is RegistryFixture, History {
    bytes32 private constant BLOCK_HASH = keccak256("hash of block 1002");

    /// The chain has a working history contract when the registry is created.
    function setUp() public override {
        vm.roll(1_000);
        installHistory();
        super.setUp();
    }

    function test_tooEarly() public {
        _storeDrawBlock();
        for (uint256 number = 1_000; number <= 1_002; ++number) {
            vm.roll(number);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IProvenanceRegistry.DrawTooEarly.selector,
                    runId,
                    1_002,
                    number
                )
            );
            registry.drawSeed(runId);
        }
    }

    function test_anyoneDrawsTheFirstBlockAfter() public {
        _storeDrawBlock();
        vm.roll(1_003);
        vm.prank(STRANGER);
        bytes32 seed = registry.drawSeed(runId);
        assertEq(seed, _seed(BLOCK_HASH), "preimage");
        assertEq(registry.runOf(runId).seed, seed, "stored");
    }

    function test_drawnOnce() public {
        _storeDrawBlock();
        vm.roll(1_003);
        bytes32 seed = registry.drawSeed(runId);
        vm.roll(1_004);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.AlreadyDrawn.selector, runId, seed)
        );
        registry.drawSeed(runId);
    }

    function test_lastBlockOfTheWindow() public {
        _storeDrawBlock();
        vm.roll(1_002 + 8_191);
        assertEq(registry.drawSeed(runId), _seed(BLOCK_HASH), "seed");
    }

    function test_missedStaysMissed() public {
        _storeDrawBlock();
        vm.roll(1_002 + 8_192);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.DrawMissed.selector, runId, 1_002, 9_194)
        );
        registry.drawSeed(runId);
        assertEq(registry.runOf(runId).seed, 0, "no seed");
        (, uint256 total) = registry.runsOf(OWNER, 0, 0);
        assertEq(total, 1, "the run stays listed");
    }

    /// If the history contract does not hold the block's hash, there is no seed; BLOCKHASH is not
    /// used instead.
    function test_emptyHistoryIsNoSeed() public {
        assertTrue(registry.usesHistory(), "pinned when created");
        vm.roll(1_003);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.DrawMissed.selector, runId, 1_002, 1_003)
        );
        registry.drawSeed(runId);
    }

    function test_fallsBackToBlockhashWithoutHistory() public {
        _recreate("");
        _expectBlockhash();
    }

    /// Anybody may put the history contract on a chain without EIP-2935. It stays empty there, and
    /// must not make the draws of a registry miss that was there before.
    function test_historyThatComesLaterIsNotUsed() public {
        _recreate("");
        vm.etch(HISTORY, HISTORY_CODE);
        _expectBlockhash();
    }

    /// The same before the registry is created.
    function test_historyThatIsEmptyIsNotUsed() public {
        vm.roll(1_001); // nobody stored the hash of block 1000
        registry = ProvenanceRegistry(deploy("ProvenanceRegistry", abi.encode(address(0))));
        assertTrue(!registry.usesHistory(), "the parent block is not in it");
    }

    function test_otherCodeIsNotUsed() public {
        _recreate(LIAR_CODE);
        (, bytes memory answer) = HISTORY.call(abi.encode(block.number - 1));
        assertEq(bytes32(answer), blockhash(block.number - 1), "it seems to work");
        (, answer) = HISTORY.call(abi.encode(block.number));
        assertEq(bytes32(answer), bytes32(uint256(1)), "and lies later");
        _expectBlockhash();
    }

    /// BLOCKHASH answers 0, and so does a history contract that nobody fills.
    function test_historyOfAChainWithoutHashesIsNotUsed() public {
        vm.roll(1_001);
        vm.setBlockhash(1_000, 0);
        registry = ProvenanceRegistry(deploy("ProvenanceRegistry", abi.encode(address(0))));
        assertTrue(!registry.usesHistory(), "no hash is no proof that it works");
    }

    /// A fork may let the history contract know more. A draw that was missed must stay missed.
    function test_aLongerHistoryDoesNotMoveTheWindow() public {
        vm.roll(1_002 + 8_192);
        _expectMissed(hex"60015f5260205ff3"); // answers each number with 1
        vm.roll(1_002 + 8_191);
        assertEq(registry.drawSeed(runId), _seed(bytes32(uint256(1))), "the last block");
    }

    /// Only an answer of one word is a hash: no revert that says something, and no other length.
    function test_otherAnswersAreNoHashes() public {
        vm.roll(1_003);
        _expectMissed(hex"60015f5260205ffd");
        _expectMissed(hex"60ff5f53601f5ff3");
        _expectMissed(hex"60ff5f5360215ff3");
        _expectMissed(hex"60ff5f5360405ff3");
        _expectMissed("");
    }

    function test_fallbackWindow() public {
        _recreate("");
        vm.roll(1_002 + 257);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.DrawMissed.selector, runId, 1_002, 1_259)
        );
        registry.drawSeed(runId);
        vm.roll(1_002 + 256);
        assertTrue(registry.drawSeed(runId) != 0, "the last block");
    }

    function test_unknownRun() public {
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.UnknownRun.selector, NO_RUN));
        registry.drawSeed(NO_RUN);
    }

    function testFuzz_seedsDiffer(
        RecordDigest preregistration,
        DatasetId dataset,
        bytes32 hash
    ) public {
        vm.assume(RecordDigest.unwrap(preregistration) != 0 && hash != 0);
        vm.prank(OWNER);
        RunId other = registry.openRun(preregistration, dataset);
        _storeDrawBlock(hash);
        vm.roll(1_003);
        assertTrue(
            registry.drawSeed(other) != registry.drawSeed(runId),
            "two runs, one block, two seeds"
        );
    }

    function _storeDrawBlock() private {
        _storeDrawBlock(BLOCK_HASH);
    }

    /// With this code at the history contract's address, put there later.
    function _expectMissed(bytes memory code) private {
        vm.etch(HISTORY, code);
        bytes4 missed = IProvenanceRegistry.DrawMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(missed, runId, 1_002, block.number));
        registry.drawSeed(runId);
    }

    function _expectBlockhash() private {
        assertTrue(!registry.usesHistory(), "not pinned");
        vm.roll(1_003);
        bytes32 hash = blockhash(1_002);
        assertTrue(hash != 0, "the test chain knows the hash");
        assertEq(registry.drawSeed(runId), _seed(hash), "seed");
    }

    /// As in the protocol: in block 1003 the hash of block 1002 is stored.
    function _storeDrawBlock(bytes32 hash) private {
        uint256 number = block.number;
        vm.roll(1_003);
        storeParent(hash);
        vm.roll(number);
    }

    /// Creates the registry and the run anew, with this code at the history contract's address.
    function _recreate(bytes memory code) private {
        vm.etch(HISTORY, code);
        super.setUp();
    }

    function _seed(bytes32 hash) private view returns (bytes32) {
        bytes32 tag = keccak256("provenance/v1/seed");
        return
            keccak256(
                abi.encode(
                    tag,
                    block.chainid,
                    address(registry),
                    runId,
                    PREREGISTRATION,
                    DATASET,
                    hash
                )
            );
    }
}
