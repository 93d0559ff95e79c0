"""What becomes of an exception that nobody expected: one line, and a report without secrets.

The report holds the traceback, so that whoever mends the fault can find it. It is written for
the user's eyes first (mode 0600): messages of libraries may quote what they worked on.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from provenance.causes import NO_ROOM, cause_of
from provenance.errors import InternalError, OutputError, ProvenanceError
from provenance.settings import Settings
from provenance.text.program import DISTRIBUTION, release

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|PRIVATE", re.I)
_LEAST_SECRET = 6  # characters; shorter values would take innocent words out of the report
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # scheme://user:password@host/path?query: access keys of endpoints lie in all but the host.
    (
        re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/@'\"]*@)?([^\s/?#'\")>,]+)[^\s'\")>,]*", re.I),
        r"\1\2/..",
    ),
    (re.compile(r"\burl: /\S+"), "url: (path)"),
    (re.compile(r"\b(?:0x)?[0-9a-f]{64,}\b", re.I), "(hex)"),
    (re.compile(r"\b(?:hf|sk|ghp|gho|ghs|pat|xox[abp])[_-][A-Za-z0-9_-]{8,}"), "(token)"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "(token)"),
    (re.compile(r"\b(Bearer|Basic|Token)\s+[\w.~+/=-]{6,}", re.I), r"\1 (token)"),
    (
        re.compile(
            r"((?:[\w-]*(?:password|passwd|secret|token|api_?key|private_?key|mnemonic))"
            r"['\"]?\s*[:=]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;)}\]]+)",
            re.I,
        ),
        r"\1(secret)",
    ),
)


# Who prints: our module, click's `echo` and typer's help.
_PRINTING = ("output.py", "utils.py", "rich_utils.py")


def error_of(error: BaseException) -> ProvenanceError:
    """An exception as the command line tells it; one that nobody expected leaves a report.

    A disk that takes no more is the user's to mend, and no fault of this program.
    """
    if isinstance(error, ProvenanceError):
        return error
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where = error.filename or _unnamed(error)
        return OutputError("output cannot be written", where=str(where), actual=cause_of(error))
    return InternalError(
        "this program failed in a way that it did not foresee",
        where=_place(error),
        actual=_kind(error),
        hint=_report_hint(error),
    )


def _unnamed(error: BaseException) -> str:
    """What was written when an error that names no file came up."""
    last = [Path(frame.filename).name for frame in traceback.extract_tb(error.__traceback__)][-1:]
    if last and last[0] in _PRINTING:
        return "standard output"
    return "a file in one of the folders that this command writes to"


def _kind(error: BaseException) -> str:
    """The class, and for a file its name and cause; other messages may quote contents."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.filename is not None:
        return f"{name}: {error.filename}: {cause_of(error)}"
    return name


def _place(error: BaseException) -> str:
    """File and line of this project's code that came nearest to the fault."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if any(p.startswith("provenance") for p in Path(f.filename).parts)]
    if not frames:
        return DISTRIBUTION
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def _report_hint(error: BaseException) -> str:
    path = write_report(error)
    if path is None:
        return "no report could be written: neither the home folder nor the temporary one take it"
    return f"report: {path}; look through it before you send it to whoever maintains this"


def write_report(error: BaseException) -> Path | None:
    """Write the report of an exception and return where it is; None if no folder takes it."""
    data = report_text(error, os.environ).encode("utf-8", "backslashreplace")
    name = f"provenance-report-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    for folder in _folders():
        path = folder / name
        # The next folder is tried; that none took it is said in the one line.
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(fd, "wb") as stream:
                    stream.write(data)
                return path
            except OSError:
                path.unlink(missing_ok=True)
                raise
    return None


def _folders() -> Iterator[Path]:
    with contextlib.suppress(ProvenanceError, OSError):  # settings may be what is broken
        yield Settings.load().home
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir())
    yield Path.cwd()


def report_text(error: BaseException, environ: Mapping[str, str]) -> str:
    """The report: what was called, by which versions, and the traceback; without secrets."""
    trace = "".join(traceback.format_exception(error))
    text = "\n".join(
        [
            "provenance-report/1",
            "Secrets are taken out, but messages below may quote file names or data of yours.",
            "",
            f"command   {' '.join(['provenance', *sys.argv[1:]])}",
            f"version   {release()}",
            f"python    {sys.version.split()[0]}, {platform.platform()}",
            "",
            trace,
        ]
    )
    return redacted(text, environ)


def redacted(text: str, environ: Mapping[str, str]) -> str:
    """A text without private keys, passwords, tokens and whatever of a URL is not its host."""
    for value in sorted(_secret_values(environ), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "(secret)", text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _secret_values(environ: Mapping[str, str]) -> set[str]:
    """Values of variables that are secrets by their name, and the keystore's password."""
    values = {v for name, v in environ.items() if _SECRET_NAME.search(name)}
    # Settings, or the file that they name, may be what is broken: then no password was read.
    with contextlib.suppress(OSError, ValueError, ProvenanceError):
        file = Settings.load(environ).password_file
        if file is not None:
            values |= set(file.read_text(encoding="utf-8").splitlines()[:1])
    # A variable may name a file that holds the secret: the name is none.
    return {v for v in values if len(v) >= _LEAST_SECRET and not os.path.exists(v)}
