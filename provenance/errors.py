"""Errors, divided by who must act and by whether a retry helps.

    ProvenanceError
    |- InputError          the caller's file or argument is wrong          (exit 2)
    |  `- ConfigError      a configuration key or value is wrong           (exit 2)
    |- VerificationError   evidence contradicts the file or itself         (exit 1)
    |- MissingEvidence     what a check needs is not at hand               (exit 3)
    |- NotFound            no release names this artifact                  (exit 4)
    |- AuthError           not allowed to ask                              (exit 5)
    |- Conflict            the thing exists already or has changed         (exit 2)
    |- UnavailableError    chain, disk or prover out of reach; retry may help   (exit 3)
    |- RejectedError       the chain said no; the same call will not help  (exit 1)
    |- OutcomeUnknown      the write may have happened: reload, never blind-retry (exit 3)
    |- InternalError       this program is at fault: a report says where   (exit 70)
    `- OutputError         an output cannot be written; tried before the work (exit 73)

Constructors take facts (`expected=`, `actual=`, `where=`); advice goes to `hint`. The command line
prints one line from them; `to_json` is what programs get. 70 and 73 are EX_SOFTWARE and
EX_CANTCREAT of sysexits.h: no verdict has them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from provenance.text.shown import visible


class ProvenanceError(Exception):
    """Base of every error of this project.

    Args:
        what: One sentence naming what went wrong, without the final full stop.
        where: File, record, field or address the sentence is about.
        expected: What should have been found.
        actual: What was found instead.
        hint: How to mend it, as an imperative.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: Any = None,
        actual: Any = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = None if expected is None else str(expected)
        self.actual = None if actual is None else str(actual)
        self.hint = hint

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.actual is not None:
            parts.append(f"actual {self.actual}")
        line = ", ".join(parts)
        text = f"{line} ({self.hint})" if self.hint else line
        # Libraries tell causes in several lines; an error is one.
        return visible(" ".join(part.strip() for part in text.splitlines()))

    def to_json(self) -> dict[str, str | None]:
        """The error's facts, as programs get them."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "expected": self.expected,
            "actual": self.actual,
            "hint": self.hint,
        }


class InputError(ProvenanceError):
    """The caller's file or argument is wrong."""

    exit_code = 2
    code = "input"


class ConfigError(InputError):
    """A configuration key or value is wrong."""

    code = "config"


class VerificationError(ProvenanceError):
    """Evidence contradicts the file or itself."""

    exit_code = 1
    code = "verification"


class MissingEvidence(ProvenanceError):
    """What a check needs is not among the evidence at hand. It contradicts nothing."""

    exit_code = 3
    code = "missing-evidence"


class NotFound(ProvenanceError):
    """No release names this artifact, or a named thing does not exist."""

    exit_code = 4
    code = "not-found"


class AuthError(ProvenanceError):
    """Not allowed to ask, or the keystore's password is missing or wrong."""

    exit_code = 5
    code = "auth"


class Conflict(ProvenanceError):
    """The thing exists already, or has changed in the meantime."""

    exit_code = 2
    code = "conflict"


class UnavailableError(ProvenanceError):
    """Chain, disk or prover out of reach; a retry may help."""

    exit_code = 3
    code = "unavailable"


class RejectedError(ProvenanceError):
    """The chain or prover said no; the same call will not help."""

    exit_code = 1
    code = "rejected"


class OutcomeUnknown(ProvenanceError):
    """The write may have happened: reload the state, never retry blindly."""

    exit_code = 3
    code = "outcome-unknown"


class InternalError(ProvenanceError):
    """This program is at fault: the report that the message names says where."""

    exit_code = 70
    code = "internal"


class OutputError(ProvenanceError):
    """An output cannot be written: no space, no permission, or something else has its name."""

    exit_code = 73
    code = "output"
