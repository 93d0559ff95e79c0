"""`provenance serve`: put the service together and run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.errors import ConfigError, InputError
from provenance_cli.database import DatabaseUrl, default_database
from provenance_cli.judge.options import AllowRollback
from provenance_cli.output import note

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from provenance.settings import Settings
    from provenance_api.state import AppState

serve_app = typer.Typer(
    add_completion=False, help="Serve GET /verify/<model_id> and the verdict page."
)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Offer:
    """What the options of `serve` ask for.

    Attributes:
        folders: folders of evidence of the tenant `default`.
        trust: trust file; None: that of the settings.
        database: URL; None: this installation's file.
        policy: policy file; None: the default policy.
        slow: check proofs in Python.
        allow_rollback: take a trust file older than one that was used before.
        others: folders of evidence of named tenants.
        inbox: folder of what tenants push; None: pushes are not taken.
        inbox_gib: what the pushed runs of one tenant may take.
    """

    folders: tuple[Path, ...]
    trust: Path | None = None
    database: str | None = None
    policy: Path | None = None
    slow: bool = False
    allow_rollback: bool = False
    others: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    inbox: Path | None = None
    inbox_gib: int = 64


@serve_app.command()
def serve(
    host: Annotated[
        str, typer.Option(envvar="PROVENANCE_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="PROVENANCE_PORT", help="TCP port; 0 picks a free one.")
    ] = 8000,
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            "--evidence",
            metavar="[TENANT=]FOLDER",
            help="Run folder, or a folder of run folders; repeatable. With TENANT= it is that "
            "tenant's, and requests without a token see what was released.",
        ),
    ] = None,
    inbox: Annotated[
        Path | None,
        typer.Option(
            help="Folder for runs that `provenance push` sends, made if it is not there. Without "
            "it the service takes no pushes."
        ),
    ] = None,
    inbox_gib: Annotated[
        int, typer.Option(min=1, max=1 << 20, help="GiB that one tenant's pushed runs may take.")
    ] = 64,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            "--tenant",
            metavar="NAME",
            help="Tenant that has no folder of its own and pushes only; repeatable.",
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust", help="Trust file (default: PROVENANCE_TRUST, configuration folder)."
        ),
    ] = None,
    database: DatabaseUrl = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Policy file (default: all claims of the main job are required)."),
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Check proofs in pure Python, about a second each.")
    ] = False,
    allow_rollback: AllowRollback = False,
    open_: Annotated[
        str | None, typer.Option("--open", help="Also print the link to the page of this model id.")
    ] = None,
) -> None:
    """Answer GET /verify/<model_id> until interrupted. The URL is printed when the port is open."""
    from provenance.settings import Settings

    settings = Settings.load()
    named = evidence or ([] if inbox is not None else ["runs"])
    folders, others = tenants_of(named, tenant or [], inbox)
    offer = Offer(folders, trust, database, policy, slow, allow_rollback, others, inbox, inbox_gib)
    state = compose(settings, offer)
    listener = listen(host, port)
    base = url_of(host, listener)
    print(base, flush=True)
    if open_ is not None:
        print(link(base, open_), flush=True)
    if host not in LOOPBACK:
        note(
            f"warning: listening on {host}: anyone who reaches it can read releases and "
            "evidence; put a proxy with TLS in front of it"
        )
    run(state, listener)


def compose(settings: Settings, offer: Offer) -> AppState:
    """Build the service's parts from settings and options.

    Raises:
        ConfigError: there is no trust file, the database URL or the policy is unusable, or an
            evidence folder does not exist.
        UnavailableError: the database does not answer.
    """
    from provenance.chain.endpoint import BRISK
    from provenance.judgement.policy import load_policy
    from provenance.judgement.trust_file import load_trust, parse_trust
    from provenance_api.db import Database
    from provenance_api.state import AppState, Limits
    from provenance_cli.judge.editions import require_no_rollback
    from provenance_cli.outputs import try_folder
    from provenance_cli.wiring import prover_for, reader_for, require_folder

    for folder in (*offer.folders, *(f for each in offer.others.values() for f in each)):
        try:
            require_folder(folder, "--evidence")
        except InputError as error:
            raise ConfigError(
                "no such evidence folder",
                where=str(folder),
                actual=error.actual,
                hint="pass --evidence FOLDER",
            ) from error
    if offer.inbox is not None:
        try_folder(offer.inbox, "--inbox")
        offer.inbox.mkdir(parents=True, exist_ok=True)
    trust_path = offer.trust or settings.trust
    # For its errors, which name the file and say how to mend it.
    require_no_rollback(load_trust(trust_path), settings, allowed=offer.allow_rollback)
    trust_bytes = trust_path.read_bytes() if trust_path else b""
    parsed = parse_trust(trust_bytes, str(trust_path))
    store = Database(offer.database or default_database(settings))
    store.prepare()
    return AppState(
        trust=parsed,
        trust_bytes=trust_bytes,
        database=store,
        folders=offer.folders,
        others=offer.others,
        inbox=offer.inbox,
        limits=Limits(inbox_bytes=offer.inbox_gib << 30),
        reader=lambda: reader_for(settings, parsed, BRISK),
        prover=lambda: prover_for(settings, offer.slow),
        policy=load_policy(offer.policy),
    )


def tenants_of(
    evidence: Sequence[str], pushing: Sequence[str] = (), inbox: Path | None = None
) -> tuple[tuple[Path, ...], dict[str, tuple[Path, ...]]]:
    """Folders of evidence of the tenant `default`, and those of named tenants.

    Args:
        pushing: tenants that may have no folder of their own.
        inbox: folder of what tenants push.

    Raises:
        ConfigError: one names no folder; or folders of two tenants are one, or lie in each other,
            or in the inbox; or a tenant pushes to a service without one.
        InputError: not a tenant's name.
    """
    from provenance_api.db import DEFAULT_TENANT, is_tenant, parse_tenant

    if pushing and inbox is None:
        raise ConfigError(
            "tenants that push need an inbox", where="--tenant", hint="add --inbox FOLDER"
        )
    if DEFAULT_TENANT in pushing:
        raise ConfigError(
            "this tenant is not named here",
            where=f"--tenant {DEFAULT_TENANT}",
            hint="it is there if no other tenant is named, or with --evidence FOLDER",
        )
    found: dict[str, tuple[Path, ...]] = {parse_tenant(name): () for name in pushing}
    for text in evidence:
        name, mark, rest = text.partition("=")
        tenant, folder = (name, rest) if mark and is_tenant(name) else (DEFAULT_TENANT, text)
        if not folder:
            raise ConfigError(
                "no folder is named", where=f"--evidence {text}", expected="[TENANT=]FOLDER"
            )
        found[tenant] = (*found.get(tenant, ()), Path(folder))
    for (one, mine), (other, theirs) in combinations(found.items(), 2):
        for here, there in product(mine, theirs):
            _require_apart(one, here.resolve(), other, there.resolve())
    if inbox is not None:
        for tenant, here in ((t, folder) for t, folders in found.items() for folder in folders):
            _require_apart("the inbox", inbox.resolve(), tenant, here.resolve())
    return found.pop(DEFAULT_TENANT, ()), found


def _require_apart(one: str, here: Path, other: str, there: Path) -> None:
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise ConfigError(
            "folders of two tenants are one, or lie in each other",
            where=f"--evidence {other}={there}",
            expected=f"a folder apart from that of {one}, {here}",
            hint="give each tenant, and the inbox, a folder of its own",
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. It is open before the URL is printed, so a reader can connect at once.

    Raises:
        ConfigError: the address or port cannot be used.
    """
    import socket

    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        raise ConfigError(
            "cannot listen on this address and port",
            where=f"{host}:{port}",
            actual=error,
            hint="choose another with --host and --port",
        ) from error
    return listener


def url_of(host: str, listener: socket.socket) -> str:
    """URL of a listening socket. An IPv6 host goes into brackets (RFC 3986, 3.2.2)."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}/"


def link(base: str, model_id: str) -> str:
    """URL of a model's verdict page; the id is percent-encoded."""
    from urllib.parse import quote

    return f"{base}verify/{quote(model_id, safe=':')}"


def run(state: AppState, listener: socket.socket) -> None:
    """Serve until a signal stops the process, then close the database."""
    from provenance_api.app import create_app

    try:
        run_app(create_app(state), listener)
    finally:
        state.database.close()


def run_app(app: FastAPI, listener: socket.socket) -> None:
    """Serve an application until a signal stops the process."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_keep_alive=15)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        note("stopped")
