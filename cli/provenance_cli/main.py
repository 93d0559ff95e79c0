"""The `provenance` command. A subcommand is imported when it is called, so `--help` stays quick.

stdout carries only results; everything for people goes to stderr. The exit codes are defined in
provenance/judgement/verdict.py and provenance/errors.py, and listed in docs/cli.md. Whatever else
ends a command, it is one line and never the exit code of a verdict.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import importlib.metadata
import json
import os
import re
import sys
from typing import Any, ClassVar, NoReturn

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError
from typer.core import TyperGroup

from provenance.errors import ConfigError, InputError, ProvenanceError
from provenance_cli.crash import error_of

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
    "cosign": (
        "provenance_cli.run.cosign:cosign_app",
        "Have witnesses sign a run's newest head.",
    ),
    "push": (
        "provenance_cli.run.push:push_app",
        "Hand a run's evidence to a service.",
    ),
    "revoke": (
        "provenance_cli.run.revoke:revoke_app",
        "Revoke a logged record, a dataset or a key, with a reason.",
    ),
    "gate": (
        "provenance_cli.judge.gate:gate_app",
        "Stop a pipeline unless the model is verified.",
    ),
    "proof": (
        "provenance_cli.judge.proof:proof_app",
        "Check, submit or export proof files; open sampled blocks.",
    ),
    "log": (
        "provenance_cli.judge.log_export:app",
        "Export a run's log for other tools.",
    ),
    "audit": (
        "provenance_cli.audit.app:app",
        "Train segments of a run again, and compare with its log.",
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
    "service": (
        "provenance_cli.service.app:app",
        "Make the service's tables and role; make, list and revoke tokens.",
    ),
    "witness": (
        "provenance_cli.judge.witness:witness_app",
        "Be a witness: cosign heads of publishers' runs.",
    ),
}


# Given again, these go on where they were stopped.
REPEATABLE = ("init", "train", "publish", "prove", "push", "dataset")


class UsageError(InputError):
    """No such command or option, or an argument is missing or malformed."""

    code: ClassVar[str] = "usage"


class Interrupted(ProvenanceError):
    """The user ended the command (Ctrl-C)."""

    exit_code: ClassVar[int] = 130
    code: ClassVar[str] = "interrupted"


class _Escaped(BaseException):
    """Carries an exception past Click, which ends some of them its own way and with exit code 1."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


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

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                if sys.stdout is not None:  # it is None where the caller closed it
                    sys.stdout.flush()  # what reader or disk refuse is told here, not at exit
        except (OSError, EOFError, KeyboardInterrupt, typer.Abort) as error:
            raise _Escaped(error) from error


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
        # Click would end usage errors its own way; so it hands them on, and returns exit codes.
        code = app(standalone_mode=False)
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
    sys.exit(code if isinstance(code, int) else 0)


def main() -> None:
    """Run the command line.

    Each ProvenanceError becomes one line on stderr and its documented exit code; so does what
    nobody expected, with a report beside it.
    """
    # Libraries of training make a million objects when they are loaded. Looking for garbage among
    # them after each 700 new ones, as is the default, would take a fifth of that time.
    gc.set_threshold(20_000)
    # Progress bars of libraries would break our one line per task. tqdm reads this on import.
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        _run()
    except _Escaped as escaped:
        _end(escaped.error)
    except (Exception, KeyboardInterrupt) as error:
        _end(error)


def _end(error: BaseException) -> NoReturn:
    """End the process as an exception asks for: one line, and an exit code.

    Nothing can be said any more where nobody reads: 141 is 128 and SIGPIPE, 130 is 128 and SIGINT.
    """
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        _let_go_of_stdout()
        sys.exit(141)
    if isinstance(error, NoArgsIsHelpError):
        error.show()
        sys.exit(error.exit_code)
    known = known_error(error)
    if "--json" in sys.argv:
        value = {"format": "provenance-error/1", "error": known.to_json()}
        with contextlib.suppress(OSError):  # stdout may be what fails; stderr says the same
            print(json.dumps(value), flush=True)
    if isinstance(error, OSError):
        _let_go_of_stdout()
    with contextlib.suppress(OSError):  # nobody reads; the exit code still tells
        start = "" if isinstance(known, Interrupted) else "error: "
        print(f"{start}{known}", file=sys.stderr, flush=True)
    sys.exit(known.exit_code)


def known_error(error: BaseException) -> ProvenanceError:
    """An exception as one of this project's errors."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        again = sys.argv[1:2] and sys.argv[1] in REPEATABLE
        hint = "give the same command again: it goes on where it stopped" if again else None
        return Interrupted("interrupted", hint=hint)
    if isinstance(error, ClickException):
        context = getattr(error, "ctx", None)
        command = " ".join(["provenance", *(context.command_path.split()[1:] if context else ())])
        what = " ".join(error.format_message().split()).rstrip(".")
        return UsageError(what, where=command, hint=f"{command} --help")
    return error_of(error)


def _let_go_of_stdout() -> None:
    """Send what is left in the buffer nowhere: flushing it at exit would fail again."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor needs nothing
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
