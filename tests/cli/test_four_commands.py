"""init, train, publish, verify: with no variable set, killed at several places, and run again."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from provenance.chain.rpc import Rpc
from provenance.log.tree import read_records
from provenance.settings import CONFIG_NAME
from tests.cli.conftest import Outcome, run_cli
from tests.support.chain import TINY_MODEL_KEYS, cache_folder
from tests.support.places import EXAMPLES
from tests.support.processes.warm import Command, Warm, warm

RECORDS = 32
TRAIN = (
    "train",
    EXAMPLES / "tiny.yaml",
    "dataset_name=attack-stix",
    "output_dir=runs/one",
    "save_steps=4",
    "--limit",
    RECORDS,
    "--dedupe",
    "--anchor",
)


def changed(*overrides: str) -> tuple[object, ...]:
    """TRAIN with other overrides in the place of those of the same names; none may stand twice."""
    names = {override.partition("=")[0] for override in overrides}
    kept = (word for word in TRAIN if str(word).partition("=")[0] not in names)
    return (*kept, *overrides)


PUBLISH = ("publish", "runs/one", "--name", "tiny:1", "--draws", 4)
DONE = re.compile(r"\[(\d)/(\d)\] ([a-z ]+): (done in [\d.]+ s, .+|done already)")


@dataclass
class Place:
    """A user's working folder, with a home of its own and no variable of ours set."""

    folder: Path
    server: Warm
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def run(self) -> Path:
        return self.work / "runs" / "one"

    @property
    def init(self) -> tuple[object, ...]:
        return (
            *("init", "--home", self.folder / "home", "--cache", cache_folder()),
            *("--records", RECORDS, "--model-keys", TINY_MODEL_KEYS),
        )

    def start(self, *arguments: object) -> Command:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PROVENANCE_", "XDG_"))}
        env = kept | {"HOME": str(self.folder / "user"), "HF_HUB_OFFLINE": "1"}
        return self.server.start(*arguments, folder=self.work, env=env)

    def __call__(self, *arguments: object) -> Outcome:
        command = self.start(*arguments)
        code = command.wait(600)
        assert code is not None
        return Outcome(code, command.out, command.err)

    def inside(self, *arguments: object, sub: str | Path = ".") -> Outcome:
        """The same command in this process, which has loaded torch already."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.work / sub)
            for name in [n for n in os.environ if n.startswith(("PROVENANCE_", "XDG_"))]:
                patch.delenv(name)
            return run_cli({"HOME": str(self.folder / "user"), "HF_HUB_OFFLINE": "1"}, *arguments)

    def kill_when(self, seen: Callable[[], bool], *arguments: object) -> None:
        """Kill a command with its children as soon as something is seen on disk."""
        command = self.start(*arguments)
        deadline = time.monotonic() + 300
        while command.runs and not seen():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        if command.runs:
            command.kill()
        assert command.wait(60) is None, command.err

    def has(self, pattern: str) -> Callable[[], bool]:
        return lambda: any(self.folder.glob(pattern))

    def is_training(self) -> bool:
        """Whether batches follow a checkpoint in the journal."""
        journal = self.run / "provenance" / "journal"
        types = [r.type for r in read_records(journal)] if journal.is_file() else []
        return "checkpoint" in types and "batch" in types[types.index("checkpoint") :]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """All four commands, each killed on the way and run again."""
    folder = tmp_path_factory.mktemp("four")
    with warm(os.environ, folder) as server:
        place = Place(folder, server)
        place.work.mkdir()
        try:
            _four_commands(place)
            yield place
        finally:
            place("chain", "down")


def _four_commands(place: Place) -> None:
    outcomes = place.outcomes
    outcomes["init --dry-run"] = place.inside(*place.init, "--dry-run")
    assert not (place.folder / "home").exists()
    place.kill_when(place.has("home/keystore/default.json"), *place.init)
    place.kill_when(place.has("home/attempts/*/*/attempts"), *place.init)
    outcomes["init"] = place(*place.init)
    outcomes["train --dry-run"] = place.inside(*TRAIN, "--dry-run")
    assert not (place.work / "runs").exists()
    data = "work/runs/one-dataset"
    place.kill_when(place.has(f"{data}/registrations/*/tree-0.json"), *TRAIN)
    place.kill_when(place.has(f"{data}/proofs/sorted-0.json"), *TRAIN)
    place.kill_when(place.has("work/runs/one/provenance/journal"), *TRAIN)
    place.kill_when(place.is_training, *TRAIN)
    place.kill_when(place.has("work/runs/one/provenance/epochs/0/proof-0.json"), *TRAIN)
    outcomes["train"] = place(*TRAIN)
    assert outcomes["train"].code == 0, outcomes["train"].err
    outcomes["publish --dry-run"] = place.inside(*PUBLISH, "--dry-run")
    place.kill_when(place.has("work/runs/one/merged"), *PUBLISH)
    place.kill_when(place.has("work/runs/one/release/*.gguf"), *PUBLISH)
    place.kill_when(place.has("work/runs/one/provenance/samples/merge-0/proof-0.json"), *PUBLISH)
    outcomes["publish"] = place(*PUBLISH)


def tasks(outcome: Outcome) -> dict[str, bool]:
    """Task -> whether it was done already. Every line of stderr is about one task.

    Before the tasks of `train` stand the check, and what it found will be fed.
    """
    found: dict[str, bool] = {}
    checked, _, rest = outcome.err.partition("[1/")
    assert not checked or checked.startswith("check: done in "), outcome.err
    for number, line in enumerate(f"[1/{rest}".splitlines(), 1):
        match = DONE.fullmatch(line)
        assert match is not None, outcome.err
        assert int(match[1]) == number, outcome.err
        found[match[3]] = match[4] == "done already"
    assert len(found) == int(rest[0]), outcome.err
    return found


def test_init_goes_on_after_kills_and_says_what_it_made(place: Place) -> None:
    outcome = place.outcomes["init"]
    assert outcome.code == 0, outcome.err
    assert tasks(outcome) == {
        "password file": True,
        "signing key": True,
        "configuration": True,
        "chain": True,
        "proving keys": True,
        "contracts": False,
        "trust file": False,
    }
    for name in ("password file", "trust", "ledger", "configuration"):
        assert re.search(rf"^{name} +\S", outcome.out, re.MULTILINE), outcome.out
    password = place.folder / "home" / "password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load((place.work / CONFIG_NAME).read_text())["home"] == str(
        place.folder / "home"
    )


def test_init_again_does_nothing(place: Place) -> None:
    again = place.inside("init", "--records", RECORDS, "--model-keys", TINY_MODEL_KEYS)
    assert again.code == 0, again.err
    assert set(tasks(again).values()) == {True}


def test_train_commits_registers_trains_and_proves(place: Place) -> None:
    assert list(tasks(place.outcomes["train"])) == [
        "commit dataset",
        "register dataset",
        "prove order",
        "train",
        "prove epochs",
    ]
    assert tasks(place.outcomes["train"])["train"]
    assert "epochs proven: 0, 1" in place.outcomes["train"].out
    types = [r.type for r in read_records(place.run / "provenance" / "journal")]
    assert types.count("run.open") == 1
    assert types.count("run.close") == 1
    assert "resume" in types


def test_train_again_does_nothing(place: Place) -> None:
    again = place.inside(*TRAIN)
    assert again.code == 0, again.err
    assert set(tasks(again).values()) == {True}
    assert "epochs proven: 0, 1" in again.out


def test_publish_ends_in_the_verdict(place: Place) -> None:
    outcome = place.outcomes["publish"]
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("VERIFIED (development)")
    assert list(tasks(outcome)) == ["merge", "quantize", "prove weights", "release"]
    types = [r.type for r in read_records(place.run / "provenance" / "journal")]
    for type_ in ("merge", "quantize", "release"):
        assert types.count(type_) == 1, types


def test_publish_again_does_nothing(place: Place) -> None:
    again = place.inside(*PUBLISH, "--json")
    assert again.code == 0, again.err
    assert set(tasks(again).values()) == {True}
    assert again.json["name"] == "tiny:1"
    assert again.json["verdict"]["status"] == "verified"


def test_verify_finds_trust_file_and_evidence_from_a_sub_folder(place: Place) -> None:
    done = place.inside("verify", "release/tiny-Q8_0.gguf", sub="runs/one")
    assert done.code == 0, done.err
    assert done.out.startswith("VERIFIED (development)")


@pytest.mark.parametrize("command", ["init", "train", "publish"])
def test_a_dry_run_lists_the_tasks_and_what_they_cost(place: Place, command: str) -> None:
    outcome = place.outcomes[f"{command} --dry-run"]
    assert outcome.code == 0, outcome.err
    *rows, total = outcome.out.splitlines()
    assert [re.split(r"  +", row)[0] for row in rows] == list(tasks(place.outcomes[command]))
    numbers = [int(re.findall(r"(\d+) transactions", row)[0]) for row in (*rows, total)]
    assert numbers[-1] == sum(numbers[:-1])


def test_a_dry_run_of_finished_work_costs_nothing(place: Place) -> None:
    done = place.inside(*PUBLISH, "--dry-run", "--json")
    assert done.code == 0, done.err
    assert all(row["done"] for row in done.json["tasks"])
    assert done.json["total"] == {"transactions": 0, "gas": 0, "seconds": 0}


def refused(outcome: Outcome, code: int, text: str) -> None:
    """One line on stderr, and the documented exit code."""
    assert outcome.code == code, (outcome.err, outcome.out)
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: ")
    assert text in line, line
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("dataset_name=nowhere.jsonl",), 2, "no such file, folder or dataset"),
        (("model_name_or_path=nobody",), 2, "no such base model"),
        (("dataset_text_field=words",), 2, "no such column"),
        (("learning_rate=9",), 2, "configuration differs"),
        (("--key", "other"), 2, "cannot read keystore"),
    ],
)
def test_train_refuses_before_the_chain_is_touched(
    place: Place, arguments: tuple[str, ...], code: int, text: str
) -> None:
    out = "output_dir=runs/one" if "learning_rate=9" in arguments else "output_dir=runs/other"
    before = chain_height(place)
    options = tuple(a for a in arguments if "=" not in a)
    overrides = [a for a in arguments if "=" in a]
    refused(place.inside(*changed(out, *overrides), *options), code, text)
    assert not (place.work / "runs" / "other").exists()
    assert chain_height(place) == before


def test_another_selection_is_not_taken_for_the_committed_one(place: Place) -> None:
    limit = TRAIN.index("--limit")
    other = (*TRAIN[: limit + 1], RECORDS - 1, *TRAIN[limit + 2 :])
    refused(place.inside(*other), 2, "committed from another source: curation differs")


def test_selecting_from_a_committed_dataset_is_refused(place: Place) -> None:
    arguments = changed("dataset_name=runs/one-dataset", "output_dir=runs/two")
    refused(place.inside(*arguments), 2, "its records cannot be selected any more")


def test_publish_refuses_another_name(place: Place) -> None:
    before = chain_height(place)
    refused(
        place.inside("publish", "runs/one", "--name", "other"), 2, "released under another name"
    )
    assert chain_height(place) == before


def test_publish_names_a_folder_that_is_no_run(place: Place) -> None:
    refused(place.inside("publish", "runs"), 4, "not a run folder")


def test_init_refuses_an_unknown_key_and_a_dead_endpoint(place: Place) -> None:
    refused(place.inside(*place.init, "--model-keys", "q9:1"), 2, "--model-keys")
    refused(place.inside(*place.init, "--rpc", "http://127.0.0.1:9"), 3, "127.0.0.1:9")


def test_a_configuration_from_elsewhere_is_refused(place: Place, tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_bytes((place.work / CONFIG_NAME).read_bytes())
    refused(
        place.inside("verify", place.run / "release/tiny-Q8_0.gguf", sub=tmp_path), 2, "your `prov"
    )


def chain_height(place: Place) -> int:
    height = place.inside("chain", "status", "--json").json["latest"]
    assert isinstance(height, int)
    return height


def test_init_on_a_given_chain_waits_for_funds(place: Place, tmp_path: Path) -> None:
    """The account is new, so it cannot pay before somebody sends it something."""
    url = place.inside("chain", "status", "--json").json["url"]
    other = Place(tmp_path, place.server)
    other.work.mkdir()
    unfunded = other(*other.init, "--rpc", url)
    assert unfunded.code == 3
    assert "has no funds" in unfunded.err.splitlines()[-1]
    address = re.findall(r"0x[0-9a-f]{40}", unfunded.err)[-1]
    Rpc(url).request("anvil_setBalance", [address, hex(10**20)])
    done = other("init", "--records", RECORDS, "--model-keys", TINY_MODEL_KEYS)
    assert done.code == 0, done.err
    assert f"chain          {url}" in done.out
    assert "environment: local" in (other.folder / "home" / "trust.yaml").read_text()
    assert not (other.folder / "home" / "chain").exists()
