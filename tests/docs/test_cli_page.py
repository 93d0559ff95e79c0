"""docs/cli.md is what its generator writes, and the generator leaves nothing out."""

from __future__ import annotations

import re

from tests.docs.documents import ROOT, load_script

generate_cli = load_script("docs/generate_cli.py")


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == generate_cli.render(), (
        "run: python docs/generate_cli.py"
    )


def test_every_variable_is_described() -> None:
    settings = set(
        re.findall(r"\"(PROVENANCE_[A-Z_]+)\"", (ROOT / "provenance" / "settings.py").read_text())
    )
    options = {
        p.envvar for _, command in generate_cli.leaf_commands() for p in command.params if p.envvar
    }
    assert settings | options == set(generate_cli.VARIABLES)


def test_every_option_is_explained() -> None:
    silent = [
        f"{name} {p.opts[0]}"
        for name, command in generate_cli.leaf_commands()
        for p in command.params
        if not p.help
    ]
    assert silent == []


def test_every_command_is_explained() -> None:
    assert [name for name, command in generate_cli.leaf_commands() if not command.help] == []
