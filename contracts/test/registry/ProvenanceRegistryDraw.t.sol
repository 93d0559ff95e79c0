// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {RecordDigest} from "../../types/RecordDigest.sol";
import {RunId} from "../../types/RunId.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract ProvenanceRegistryDrawTest is RegistryFixture {
    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    address private constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    /// Source: EIP-2935, the runtime code of the history contract.
    bytes private constant HISTORY_CODE =
        hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042"
        hex"575f35600143038111604257611fff81430311604257611fff900654"
        hex"5f5260205ff35b5f5ffd5b5f35611fff60014303065500";
    bytes32 private constant BLOCK_HASH = keccak256("hash of block 1002");

    function test_tooEarly() public {
        _installHistory();
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
        _installHistory();
        vm.roll(1_003);
        vm.prank(STRANGER);
        bytes32 seed = registry.drawSeed(runId);
        assertEq(seed, _seed(BLOCK_HASH), "preimage");
        assertEq(registry.runOf(runId).seed, seed, "stored");
    }

    function test_drawnOnce() public {
        _installHistory();
        vm.roll(1_003);
        bytes32 seed = registry.drawSeed(runId);
        vm.roll(1_004);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.AlreadyDrawn.selector, runId, seed)
        );
        registry.drawSeed(runId);
    }

    function test_lastBlockOfTheWindow() public {
        _installHistory();
        vm.roll(1_002 + 8_191);
        assertEq(registry.drawSeed(runId), _seed(BLOCK_HASH), "seed");
    }

    function test_missedStaysMissed() public {
        _installHistory();
        vm.roll(1_002 + 8_192);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.DrawMissed.selector, runId, 1_002, 9_194)
        );
        registry.drawSeed(runId);
        assertEq(registry.runOf(runId).seed, 0, "no seed");
        (, uint256 total) = registry.runsOf(OWNER, 0, 0);
        assertEq(total, 1, "the run stays listed");
    }

    /// If the history contract does not hold the block's hash, for example just after its
    /// activation, there is no seed; BLOCKHASH is not used instead.
    function test_emptyHistoryIsNoSeed() public {
        vm.etch(HISTORY, HISTORY_CODE);
        vm.roll(1_003);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.DrawMissed.selector, runId, 1_002, 1_003)
        );
        registry.drawSeed(runId);
    }

    function test_fallsBackToBlockhashWithoutHistory() public {
        vm.etch(HISTORY, "");
        vm.roll(1_003);
        bytes32 hash = blockhash(1_002);
        assertTrue(hash != 0, "the test chain knows the hash");
        assertEq(registry.drawSeed(runId), _seed(hash), "seed");
    }

    function test_fallbackWindow() public {
        vm.etch(HISTORY, "");
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
        _installHistory(hash);
        vm.roll(1_003);
        assertTrue(
            registry.drawSeed(other) != registry.drawSeed(runId),
            "two runs, one block, two seeds"
        );
    }

    function _installHistory() private {
        _installHistory(BLOCK_HASH);
    }

    /// As in the protocol: in block 1003 the system address stores the hash of the parent block.
    function _installHistory(bytes32 hash) private {
        uint256 number = block.number;
        vm.etch(HISTORY, HISTORY_CODE);
        vm.roll(1_003);
        vm.prank(SYSTEM);
        (bool ok, ) = HISTORY.call(abi.encode(hash));
        assertTrue(ok, "history stored");
        vm.roll(number);
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
