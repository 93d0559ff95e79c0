"""The README's commands exist, and its main job does what it says."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from provenance_cli.main import COMMANDS, load_command
from tests.docs.documents import ROOT, blocks, load_script
from tests.docs.main_job import Job

README = ROOT / "README.md"
STEPS = ROOT / "docs" / "steps.md"
TUTORIAL = ROOT / "docs" / "tutorial-break-it-yourself.md"


def lines(page: Any) -> list[tuple[str, str]]:
    """(place, command line) of every line of every shell block."""
    found = []
    for block in blocks(page):
        if block.language == "sh":
            joined = block.text.replace("\\\n", " ")
            found += [
                (f"{page.name}:{block.line}", line)
                for line in joined.splitlines()
                if line.strip() and not line.startswith("#")
            ]
    return found


def simple_commands(line: str) -> list[list[str]]:
    """The words of each simple command of a line; redirections are dropped."""
    text = re.sub(r"\$\([^()]*(\([^()]*\))*[^()]*\)", "SUBSTITUTED", line)
    words = shlex.split(text, comments=True)
    commands: list[list[str]] = [[]]
    for word in words:
        if word in ("|", "&&", "||", ";"):
            commands.append([])
        else:
            ends = word.endswith(";")
            commands[-1].append(word.rstrip(";"))
            if ends:
                commands.append([])
    return [
        re.split(r" [<>]+ ", " ".join(c))[0].split() and _without_redirection(c)
        for c in commands
        if c
    ]


def _without_redirection(words: list[str]) -> list[str]:
    cut = next((i for i, w in enumerate(words) if re.fullmatch(r"[<>]+", w)), len(words))
    return words[:cut]


def parse(arguments: list[str]) -> None:
    """Let the real command line parse the arguments, without running anything."""
    command, name, rest = load_command(arguments[0]), arguments[0], arguments[1:]
    while getattr(command, "commands", None):
        name = rest[0]
        assert name in command.commands, f"no command {name}"
        command, rest = command.commands[name], rest[1:]
    command.make_context(name, list(rest))


@pytest.mark.parametrize(("place", "line"), lines(README) + lines(TUTORIAL) + lines(STEPS))
def test_every_provenance_command_parses(place: str, line: str) -> None:
    for words in simple_commands(line):
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words and words[0] == "provenance":
            assert words[1] in COMMANDS, place
            parse(words[1:])


@pytest.mark.parametrize(("place", "line"), lines(README) + lines(STEPS))
def test_every_line_of_the_shell_blocks_begins_with_a_known_program(place: str, line: str) -> None:
    first = shlex.split(line, comments=True)[0]
    if first == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert shlex.split(line, comments=True)[1] in targets, place
    elif first == "export":
        name = shlex.split(line, comments=True)[1].partition("=")[0]
        assert name == "RUN" or name in load_script("docs/generate_cli.py").VARIABLES, place
    else:
        assert first in ("provenance", "python", "git", "cd"), f"{place}: {line}"


def test_the_four_commands_need_no_variable() -> None:
    assert [line for _, line in lines(README) if line.startswith("export ")] == []
    made = load_script("examples/demo.py").environment(ROOT / "runs" / "x")
    assert not any(name.startswith("PROVENANCE_") for name in made)


def test_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["verify", "model.gguf", "--no-such-option"])


def test_the_demo_runs_the_readme() -> None:
    (block,) = (b for b in blocks(README) if b.marker == "main job")
    assert load_script("examples/demo.py").readme_commands() == block.text.splitlines()


def test_the_main_job_ends_in_a_verified_file(job: Job) -> None:
    assert job.commands[-1].startswith("provenance verify")
    assert job.outputs[-1].startswith("VERIFIED (development)")
    assert "5 not checked: merge.recomputed, base.recomputed, batches.recomputed" in job.outputs[-1]


def test_publish_prints_the_verdict_made_with_the_base_at_hand(job: Job) -> None:
    assert job.commands[-2].startswith("provenance publish")
    assert "3 not checked: batches.recomputed, data.fed, training.replayed" in job.outputs[-2]
