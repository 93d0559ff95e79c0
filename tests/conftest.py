"""What the whole session shares: an embedded chain with contracts and keys, an honest run on it,
and the order of tests.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from provenance_zk.prover.client import ZkProver, find_binary
from tests.support.chain import Lab
from tests.support.spine import Data, Run, build_run, register_rows

# No test depends on time, so none has a deadline. Derandomized, a failure comes again.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", default=False, help="also run tests marked `long`"
    )
    parser.addoption(
        "--fuzz-seconds", type=float, default=60, help="how long the fuzzer of verifiers runs"
    )
    parser.addoption(
        "--fuzz-seed",
        type=int,
        help="seed of the fuzzer of verifiers; without it, another each time",
    )


def pytest_configure(config: pytest.Config) -> None:
    os.environ["PROVENANCE_MEMO"] = "off"  # what an earlier test kept would hide a fault
    config.addinivalue_line("markers", "long: takes minutes; runs with --long only")
    config.pluginmanager.register(Order(), "order of groups")


# Tests that share an expensive fixture run in one process.
GROUPS = ("tests/docs/", "tests/cli/")
ALONE = (
    "tests/cli/test_four_commands.py",
    "tests/cli/test_resume.py",
    "tests/cli/test_data_examples.py",
    "tests/cli/test_dataset_commands.py",
    "tests/cli/jobs/test_one_prover.py",
    "tests/cli/setup/test_contracts_verify.py",
)  # files of these folders that share nothing with the others
# What takes long begins first and what is short comes last, so that no core waits at the end.
SLOWEST = (
    "tests/docs/",
    "tests/cli/test_four_commands.py",
    "tests/cli/",
    "tests/zk/groth16/test_groth16_mutations.py",
    "tests/integration/test_attacks_on_records.py",
    "tests/trainer/run/test_training.py",
    "tests/zk/groth16/test_verifier.py",
    "tests/integration/test_attacks_on_evidence.py",
    "tests/integration/test_bases.py",
    "tests/trainer/model/test_base.py",
    "tests/zk/groth16/test_groth16_vectors.py",
    "tests/zk/groth16/test_batch.py",
    "tests/zk/audits/test_prove.py",
    "tests/core/verify/test_budgets.py",
    "tests/zk/groth16/test_shared_refusals.py",
    "tests/core/chain/test_chain.py",
)
SHORT = "tests/core/"


def group_of(nodeid: str) -> str:
    """The part of the tests that one process runs: a folder of `GROUPS`, else a file."""
    file = nodeid.partition("::")[0]
    if file in ALONE:
        return file
    return next((group for group in GROUPS if file.startswith(group)), file)


class GroupScheduling(LoadScopeScheduling):
    """Gives each process whole groups: `loadgroup` of xdist 3.8 does nothing under pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="needs --long"))


class Order:
    """Puts the slowest groups first, after pytest-randomly has shuffled."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        def rank(item: pytest.Item) -> int:
            group = group_of(item.nodeid)
            if group in SLOWEST:
                return SLOWEST.index(group)
            return len(SLOWEST) + group.startswith(SHORT)

        items.sort(key=rank)

    def pytest_collection_finish(self) -> None:
        """Leave what was imported out of every collection of garbage: half a second in each."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000)

    def pytest_unconfigure(self) -> None:
        """Some libraries call what is not collected at the end a leak."""
        gc.unfreeze()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An embedded chain of this session's own, with keys of 256 slots and both contracts."""
    lab = Lab.start(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.stop()


@pytest.fixture(scope="session")
def data(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Forty records, registered."""
    return register_rows(lab, tmp_path_factory.mktemp("data"), 40)


@pytest.fixture(scope="session")
def honest(lab: Lab, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An honest, proven, released run. Tests that alter evidence work on `Run.copy`."""
    return build_run(lab, data, tmp_path_factory.mktemp("honest"))


@pytest.fixture(scope="session")
def prover() -> ZkProver:
    """The real prover; the machine must have built it (`make setup`)."""
    explicit = os.environ.get("PROVENANCE_ZKPROVER")
    return ZkProver(find_binary(Path(explicit) if explicit else None), timeout_s=300)
