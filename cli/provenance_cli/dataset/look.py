"""`provenance dataset info` and `check`: show a committed dataset, and check its records."""

from __future__ import annotations

from typing import Annotated

import typer

from provenance_cli.options import DatasetDir, Json
from provenance_cli.output import result


def info(folder: DatasetDir, as_json: Json = False) -> None:
    """Show the public facts about a committed dataset."""
    from provenance.dataset.committed import CommittedDataset

    with CommittedDataset.open(folder) as opened:
        manifest = dict(opened.manifest)
        root = manifest.pop("root")
        erased = (
            len(opened.erased()) if opened.records_file.exists() else None
        )  # a public copy has no records
        value = {
            **manifest,
            **root,
            "erased": erased,
            "manifest_digest": str(opened.manifest_digest),
        }
    if not as_json:
        size = sum(entry["size"] for entry in value["files"])
        value["files"] = f"{len(value['files'])} ({size} bytes; --json lists them)"
    result(value, as_json)


def check(
    folder: DatasetDir,
    slow: Annotated[
        bool,
        typer.Option("--slow", help="Compute in Python, without the prover: 0.8 ms per record."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Recompute digests, leaves and root of a committed dataset from its private records."""
    from provenance.dataset.committed import CommittedDataset, LeafFunction, RootFunction
    from provenance.dataset.saltstore import load_key
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver, find_binary
    from provenance_zk.training import commitments

    settings = Settings.load()
    key = load_key(settings.home / "salts.key")
    leaf_function: LeafFunction = commitments.leaves_of
    root_function: RootFunction = commitments.root_of
    if not slow:
        prover = ZkProver(find_binary(settings.zkprover))
        leaf_function, root_function = commitments.fast_leaves(prover), prover.leaf_root
    with CommittedDataset.open(folder, key) as opened:
        report = opened.check(leaf_function, root_function)
        result(
            {
                "format": "provenance-dataset-check/1",
                **opened.root.to_json(),
                "records": report.records,
                "erased": report.erased,
                "leaves_checked": report.leaves,
                "root_checked": report.root,
            },
            as_json,
        )
