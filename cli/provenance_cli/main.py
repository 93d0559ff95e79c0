"""The `provenance` command. A subcommand is imported when it is called, so `--help` stays quick.

stdout carries only results; everything for people goes to stderr. The exit codes are defined in
provenance/judgement/verdict.py and provenance/errors.py, and listed in docs/cli.md.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from provenance.errors import ConfigError, ProvenanceError

# name -> (module:object of the command, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "init": (
        "provenance_cli.setup.init:init_app",
        "Set up this machine: keys, chain, contracts, trust file.",
    ),
    "train": (
        "provenance_cli.run.train:train_app",
        "Commit a dataset, fine-tune on it, and prove the epochs.",
    ),
    "publish": (
        "provenance_cli.run.publish:publish_app",
        "Merge, quantize, prove, release and judge a trained run.",
    ),
    "verify": ("provenance_cli.judge.verify:verify_app", "Judge a model file or digest."),
    "doctor": (
        "provenance_cli.setup.doctor:app",
        "List what is missing on this machine, and how to mend it.",
    ),
    "key": ("provenance_cli.setup.key:app", "Make and show signing keys (encrypted keystore)."),
    "keys": (
        "provenance_cli.setup.keys:app",
        "Make and inspect proving keys; run or verify a ceremony.",
    ),
    "chain": (
        "provenance_cli.setup.chain:app",
        "Start, stop and inspect the embedded chain; deploy contracts.",
    ),
    "contracts": (
        "provenance_cli.setup.contracts:app",
        "Compare the deployed contracts with this package's sources.",
    ),
    "dataset": (
        "provenance_cli.dataset.app:dataset",
        "Commit and register a dataset; look records up, erase records.",
    ),
    "plan": (
        "provenance_cli.run.plan:plan_app",
        "Estimate transactions, gas and time of a run; spends nothing.",
    ),
    "prove": (
        "provenance_cli.run.prove:prove_app",
        "Prove on chain that each epoch used the committed dataset.",
    ),
    "merge": (
        "provenance_cli.run.merge:merge_app",
        "Merge the adapter into the base model, exactly rounded.",
    ),
    "quantize": (
        "provenance_cli.run.quantize:quantize_app",
        "Write the merged model as one Q8_0 or int8 file.",
    ),
    "release": (
        "provenance_cli.run.release:release_app",
        "Release the quantized file under your key.",
    ),
    "revoke": (
        "provenance_cli.run.revoke:revoke_app",
        "Revoke a logged record or a dataset, with a reason.",
    ),
    "gate": (
        "provenance_cli.judge.gate:gate_app",
        "Stop a pipeline unless the model is verified.",
    ),
    "proof": (
        "provenance_cli.judge.proof:proof_app",
        "Check, submit or export proof files; open sampled blocks.",
    ),
    "find": (
        "provenance_cli.judge.find:app",
        "Find what a digest names, in run folders and on chain.",
    ),
    "fsck": (
        "provenance_cli.judge.fsck:app",
        "Check files, database and chain against a run's journal.",
    ),
    "serve": (
        "provenance_cli.judge.serve:serve_app",
        "Serve GET /verify/<model_id> and the verdict page.",
    ),
}


class LazyGroup(TyperGroup):
    """A group that imports a subcommand only when it runs. Its help comes from `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        stub = typer.Typer(add_completion=False, help=COMMANDS[cmd_name][1])
        stub.command(name=cmd_name, help=COMMANDS[cmd_name][1])(lambda: None)
        return typer.main.get_command(stub)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            command = load_command(args[0])
            return args[0], command, args[1:]
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    """The command object of a subcommand."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    app = getattr(importlib.import_module(module), attribute)
    command = typer.main.get_command(app)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Provenance of fine-tuned models, from each training record to the deployed file.",
)


@app.callback()
def _root() -> None:
    """Provenance of fine-tuned models, from each training record to the deployed file."""


def _extra_of(package: str) -> str | None:
    """The extra of this distribution that installs `package`; None if no extra does."""
    line = re.compile(r"([\w.-]+).*\bextra == ['\"]([\w-]+)['\"]")
    for requirement in importlib.metadata.requires("model-provenance") or ():
        found = line.match(requirement)
        if found and found[1].replace("-", "_").lower() == package.lower():
            return found[2]
    return None


def _run() -> None:
    """Run the command.

    Raises:
        ConfigError: the command needs an extra that is not installed.
        ModuleNotFoundError: a package is missing that no extra installs; this is a bug.
    """
    try:
        app()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = _extra_of(package)
        if extra is None:
            raise
        raise ConfigError(
            "this command needs a package that is not installed",
            actual=package,
            hint=f"pip install 'model-provenance[{extra}]', or make setup",
        ) from error


def main() -> None:
    """Run the command line.

    Each ProvenanceError becomes one line on stderr and its documented exit code.
    """
    # Progress bars of libraries would break our one line per task. tqdm reads this on import.
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        _run()
    except ProvenanceError as error:
        if "--json" in sys.argv:
            print(json.dumps({"format": "provenance-error/1", "error": error.to_json()}))
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
