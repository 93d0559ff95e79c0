"""Session-wide pieces: the embedded chain with its contracts and keys, and one honest run on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.chain import Lab
from tests.support.spine import Data, Run, build_run, register_rows

# No test depends on time, so none has a deadline; failures repeat themselves.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", default=False, help="also run tests marked `long`"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes; runs with --long only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="needs --long"))


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
