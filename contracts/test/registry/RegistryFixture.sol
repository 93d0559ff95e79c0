// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {ProvenanceRegistry} from "../../ProvenanceRegistry.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {ManifestDigest} from "../../types/ManifestDigest.sol";
import {ModelDigest} from "../../types/ModelDigest.sol";
import {RecordDigest} from "../../types/RecordDigest.sol";
import {RunId} from "../../types/RunId.sol";
import {ReferenceTree} from "../support/ReferenceTree.sol";
import {Test} from "../support/Test.sol";

/// @dev A registry with one run of `OWNER`, and a log of entries that tests append to.
abstract contract RegistryFixture is Test {
    address internal constant OWNER = address(0xA11CE);
    address internal constant WRITER = address(0xB0B);
    address internal constant STRANGER = address(0xE0E);
    RecordDigest internal constant PREREGISTRATION = RecordDigest.wrap(
        keccak256("pre-registration")
    );
    DatasetId internal constant DATASET = DatasetId.wrap(keccak256("dataset"));
    RunId internal constant NO_RUN = RunId.wrap(keccak256("none"));

    ProvenanceRegistry internal registry;
    RunId internal runId;
    bytes32[] internal entries;

    function setUp() public virtual {
        vm.roll(1_000);
        registry = ProvenanceRegistry(deploy("ProvenanceRegistry", abi.encode(address(0))));
        vm.prank(OWNER);
        runId = registry.openRun(PREREGISTRATION, DATASET);
    }

    function append(bytes32 entry) internal {
        entries.push(entry);
    }

    function appendMany(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) append(keccak256(abi.encode("entry", entries.length)));
    }

    function leaves() internal view returns (bytes32[] memory list) {
        list = new bytes32[](entries.length);
        for (uint256 i = 0; i < list.length; ++i)
            list[i] = sha256(abi.encodePacked(bytes1(0), entries[i]));
    }

    function root(uint256 size) internal view returns (bytes32) {
        return ReferenceTree.root(leaves(), 0, size);
    }

    function consistency(
        uint256 oldSize,
        uint256 newSize
    ) internal view returns (bytes32[] memory) {
        return ReferenceTree.consistency(leaves(), oldSize, newSize);
    }

    /// Commits all entries as the next head, as `sender`.
    function commitAll(address sender) internal {
        IProvenanceRegistry.Run memory run = registry.runOf(runId);
        bytes32[] memory proof = consistency(run.size, entries.length);
        bytes32 newRoot = root(entries.length);
        vm.prank(sender);
        registry.commit(runId, run.seq + 1, newRoot, uint64(entries.length), proof);
    }

    function releaseEntry(
        RunId run,
        ModelDigest model,
        ManifestDigest manifest,
        RecordDigest record
    ) internal pure returns (bytes32) {
        return
            sha256(
                abi.encodePacked("provenance/v1/release", bytes1(0), run, model, manifest, record)
            );
    }
}
