"""Which edition of a trust file was used last: an older one is refused.

Whoever can put an old trust file back could make a publisher or key believed again that its author
has removed. What is remembered is kept in the installation's home, for each chain and registry.
"""

from __future__ import annotations

from provenance.errors import ConfigError, OutputError
from provenance.judgement.trust import Trust
from provenance.layout import read_json, write_json
from provenance.settings import Settings
from provenance_cli.output import note

FILE = "trust-editions.json"
_FORMAT = "provenance-trust-editions/1"


def require_no_rollback(trust: Trust, settings: Settings, *, allowed: bool = False) -> None:
    """Check that no newer edition of this trust file was used before, and remember this one.

    Args:
        allowed: the user wants the older one. It is used, and the newer one stays remembered.

    Raises:
        ConfigError: a newer edition was used before.
        InputError: what was remembered cannot be read.
    """
    path = settings.home / FILE
    about = f"{trust.chain_id}:{trust.genesis}:{trust.contracts['registry'].address}"
    seen = read_json(path).get("editions", {}) if path.is_file() else {}
    newest = seen.get(about, 0)
    if trust.version < newest and not allowed:
        raise ConfigError(
            "trust file is an older edition than one that was used before",
            where=str(trust.digest),
            expected=f"version {newest} or later",
            actual=f"version {trust.version}",
            hint="get the newest one; if you want this one, add --allow-rollback",
        )
    if trust.version <= newest or trust.version == 1:
        return  # every file is at least version 1, so there is nothing to remember
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(path, {"format": _FORMAT, "editions": seen | {about: trust.version}})
    except (OSError, OutputError) as error:
        note(f"warning: a later rollback of the trust file will not be noticed: {error}")
