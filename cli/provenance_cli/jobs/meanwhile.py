"""Pushing a run to a service while it is trained, in a thread; the training never waits for it."""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import AuthError, ProvenanceError
from provenance.ids import RunId
from provenance.layout import RunFolder
from provenance.log.run_log import run_id_of
from provenance.push.sending import Pushing, hand_over
from provenance.push.service import Checked, PushService
from provenance.signing.keystore import private_line
from provenance.verify.sources.evidence import FolderEvidence

LEFT_S = 10.0
"""Seconds that the end of a training waits for a push that is under way."""
_NO_RUN = RunId(bytes(32))


@dataclass(frozen=True)
class Destination:
    """A service, and the token that opens it."""

    url: str
    token: str

    def service(self, run_id: RunId) -> PushService:
        """The service, for the pushes of a run."""
        return PushService(self.url, run_id, self.token)

    def require_open(self) -> None:
        """Check that it answers and takes pushes with this token, before anything is spent.

        Raises:
            InputError: not the URL of a service, or not a token.
            AuthError: the token may not push.
            NotFound: it takes no pushes.
            UnavailableError: it does not answer.
        """
        service = self.service(_NO_RUN)
        try:
            service.held()
        finally:
            service.close()


class PushedMeanwhile:
    """Pushes a run now and again. What fails is tried again; the last push says it.

    every_s: seconds between two pushes.

    Args:
        warn: told once of each kind of failure, from the thread.
    """

    every_s = 10.0

    def __init__(
        self, folder: RunFolder, destination: Destination, warn: Callable[[str], None]
    ) -> None:
        self._folder, self._destination, self._warn = folder, destination, warn
        self._stop = threading.Event()
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._follow, name="push", daemon=True)

    @contextmanager
    def following(self) -> Iterator[PushedMeanwhile]:
        """Push until the block ends, however it ends. A push that hangs is left behind."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join(LEFT_S)

    def finish(self) -> Checked:
        """The last push, after `following`, and how the service finds the run to agree.

        Raises:
            ProvenanceError: as `Pushing` and `PushService`; the run here is complete.
        """
        service = self._destination.service(run_id_of(self._folder))
        try:
            return hand_over(self._folder, service)[1]
        finally:
            service.close()

    def _follow(self) -> None:
        # Once its seed is drawn, a run is final on chain.
        while (run_id := FolderEvidence(self._folder).drawn_for()) is None:
            if self._stop.wait(self.every_s):
                return
        service = self._destination.service(run_id)
        pushing = Pushing(self._folder, service)
        while not self._stop.wait(self.every_s):
            try:
                pushing.push()
            except ProvenanceError as error:
                self._tell(error)
        service.close()

    def _tell(self, error: ProvenanceError) -> None:
        if error.what not in self._told:
            self._told.add(error.what)
            self._warn(f"warning: not pushed for now: {error}")


def token_of(file: Path | None) -> str:
    """The token in a 0600 file, or typed at a terminal.

    Raises:
        AuthError: neither is there, or others can read the file.
    """
    if file is not None:
        return private_line(file, "token file")
    if not sys.stdin.isatty():
        raise AuthError(
            "no token",
            hint="name a 0600 file with one in --token-file; whoever runs the service makes it "
            "with: provenance service token create TENANT --name NAME --may-push",
        )
    return getpass.getpass("token: ")
