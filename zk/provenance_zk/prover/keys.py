"""Proving keys in a cache folder, one folder per circuit digest.

`zkprover` writes them; this module finds and checks them. `ensure_keys` makes development keys:
whoever ran the setup can forge proofs, and verdicts that rest on them say so. Ceremony keys come
into the cache when a ceremony is sealed or its transcript is verified (docs/formats/ceremony.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from provenance.causes import cause_of
from provenance.encoding import parse_json
from provenance.errors import Conflict, InputError, NotFound, VerificationError
from provenance.ids import KeyId
from provenance.statements import key_text
from provenance_zk.prover.client import ZkProver

EPOCH_SLOTS = (256, 4096, 20480, 86016, 344064)  # 256 is for tests
TREE_SLOTS = 4096
TEST_TREE_SLOTS = 256
SORTED_SLOTS = 256  # leaves per `sorted` chunk
TEST_SORTED_SLOTS = 16  # for tests and small datasets
WORDS_FILE = "vk.words"
BASES_FILE = "bases.bin"
INFO_FILE = "key.json"
_FORMAT = "provenance-key/1"
_MAX_WORDS_BYTES = 1 << 16


@dataclass(frozen=True)
class KeyFolder:
    """A key on disk.

    Attributes:
        words: the verifying key's bytes, as its data contract holds them.
        vk_id: keccak-256 of `words`.
        transcript: digest of the ceremony's transcript; None for a development key.
        beacon: value and source of the beacon that closed the ceremony; None for a development key.
    """

    dir: Path
    kind: str
    slots: int
    depth: int
    vk_id: KeyId
    words: bytes
    klass: str
    circuit: str
    constraints: int
    transcript: str | None = None
    beacon: str | None = None

    @property
    def words_file(self) -> Path:
        """The verifying key."""
        return self.dir / WORDS_FILE

    @property
    def bases_file(self) -> Path:
        """Bases of D, U and P of an `epoch` key; whoever has them can recompute P."""
        return self.dir / BASES_FILE


def vk_id(words: bytes) -> KeyId:
    """keccak-256 of a verifying key's bytes."""
    return KeyId(keccak(words))


def load_words(path: Path) -> bytes:
    """Bytes of a `vk.words` file.

    They are attacker-controlled: compare their `vk_id` with a pinned one, and read them with
    `groth16.key.parse_key`.

    Raises:
        NotFound: no such file.
        InputError: too large, or not whole words.
    """
    try:
        with path.open("rb") as stream:
            words = stream.read(_MAX_WORDS_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(
            "no such key", where=str(path), hint="run `provenance keys setup`"
        ) from error
    except OSError as error:
        raise InputError(
            "cannot read key", where=str(path), actual=cause_of(error, path)
        ) from error
    if not words or len(words) > _MAX_WORDS_BYTES or len(words) % 32:
        raise InputError("not a verifying key", where=str(path), actual=f"{len(words)} bytes")
    return words


def load_key(dir: Path) -> KeyFolder:
    """Read a key folder's facts and words.

    The large files are not read here; the prover checks them when it loads them.

    Raises:
        NotFound: no such folder.
        InputError: not a key folder.
        VerificationError: the words do not have the id that the folder states.
    """
    info = _read_info(dir)
    words = load_words(dir / WORDS_FILE)
    actual = vk_id(words)
    if info.get("vkId") != str(actual):
        raise VerificationError(
            "verifying key does not have its id",
            where=str(dir / WORDS_FILE),
            expected=info.get("vkId"),
            actual=actual,
            hint="remove the key folder and set up again; ledgers that pin the old key need that "
            "very key",
        )
    try:
        key = _key_of(info, dir, words)
    except (KeyError, TypeError) as error:
        raise InputError(
            "key folder lacks a fact", where=str(dir / INFO_FILE), actual=error
        ) from error
    if (key.klass, key.transcript is None, key.beacon is None) not in (
        ("dev", True, True),
        ("ceremony", False, False),
    ):
        raise InputError(
            "key is neither dev nor of a ceremony", where=str(dir / INFO_FILE), actual=key.klass
        )
    return key


def _read_info(dir: Path) -> dict[str, Any]:
    try:
        info = parse_json((dir / INFO_FILE).read_bytes())
    except FileNotFoundError as error:
        raise NotFound("no such key", where=str(dir), hint="run `provenance keys setup`") from error
    except OSError as error:
        raise InputError(
            "cannot read key folder", where=str(dir), actual=cause_of(error)
        ) from error
    except ValueError as error:
        raise InputError("cannot read key folder", where=str(dir), actual=error) from error
    if not isinstance(info, dict) or info.get("format") != _FORMAT:
        raise InputError("not a key folder", where=str(dir / INFO_FILE), expected=_FORMAT)
    return info


def _key_of(info: Mapping[str, Any], dir: Path, words: bytes) -> KeyFolder:
    beacon = info.get("beacon")
    return KeyFolder(
        dir,
        info["kind"],
        info["slots"],
        info["depth"],
        vk_id(words),
        words,
        info["class"],
        info["circuitDigest"],
        info["constraints"],
        info.get("transcript"),
        beacon and f"{beacon['value']} ({beacon['source']})",
    )


def ensure_keys(prover: ZkProver, cache: Path, kind: str, slots: int, depth: int = 0) -> KeyFolder:
    """The development key of a circuit, made on first use.

    Making the largest, of 344,064 slots, takes 215 s on two cores.

    Args:
        cache: folder of keys. It can be deleted, but ledgers that pin a deleted key then take no
            more proofs: a new setup makes another key.

    Raises:
        InputError: no such circuit.
        UnavailableError: the prover or the disk is out of reach.
        VerificationError: the folder in the cache was altered.
    """
    info = prover.setup(kind, slots, depth, cache)
    key = load_key(info.dir)
    if (key.vk_id, key.kind, key.slots, key.depth) != (
        info.vk_id,
        info.kind,
        info.slots,
        info.depth,
    ):
        raise VerificationError("key folder changed while it was read", where=str(info.dir))
    return key


def cached_keys(cache: Path) -> Iterator[KeyFolder]:
    """Every key of the cache, in the order of the folders' names."""
    for dir in sorted(cache.iterdir(), key=lambda p: p.name) if cache.is_dir() else ():
        if not dir.name.startswith(".") and (dir / INFO_FILE).is_file():
            yield load_key(dir)


def find_key(cache: Path, wanted: KeyId) -> KeyFolder:
    """The cached key with this `vk_id`.

    Raises:
        NotFound: the key was deleted, or made on another machine.
    """
    for key in cached_keys(cache):
        if key.vk_id == wanted:
            return key
    raise NotFound(
        "no key with this id in the cache",
        where=str(cache),
        expected=wanted,
        hint="restore the cache of the keys that the ledger pins, or run `provenance chain deploy` "
        "for a ledger with new ones",
    )


def find_keys(
    cache: Path, wanted: Mapping[str, str], owner: str, hint: str
) -> dict[str, KeyFolder]:
    """The cached keys with these ids.

    Args:
        wanted: id -> the key as users name it.
        owner: who pins them, for people: `ledger 0x..`.

    Raises:
        NotFound: some are not in the cache; it names all of them.
    """
    found = {str(key.vk_id): key for key in cached_keys(cache)}
    missing = [f"{name} ({vk_id})" for vk_id, name in wanted.items() if vk_id not in found]
    if missing:
        raise NotFound(
            f"the cache lacks {len(missing)} proving keys of {owner}"
            if len(missing) > 1
            else f"the cache lacks a proving key of {owner}",
            where=str(cache),
            expected="; ".join(missing),
            hint=hint,
        )
    return {vk_id: found[vk_id] for vk_id in wanted}


def ceremony_key(cache: Path, kind: str, slots: int, depth: int = 0) -> KeyFolder:
    """The cached ceremony key of a circuit.

    Raises:
        NotFound: there is none; a development key never takes its place.
        Conflict: there are several; a person must choose one.
    """
    shape = (kind, slots, depth)
    found = [
        key
        for key in cached_keys(cache)
        if key.klass == "ceremony" and (key.kind, key.slots, key.depth) == shape
    ]
    if len(found) == 1:
        return found[0]
    where = key_text(kind, slots, depth)
    if not found:
        raise NotFound(
            "no ceremony key of this shape in the cache",
            where=where,
            hint="run `provenance keys ceremony verify DIR --store` with the ceremony's transcript",
        )
    raise Conflict(
        "several ceremony keys of this shape in the cache",
        where=where,
        actual=", ".join(key.dir.name for key in found),
        hint="remove the folders of all but one",
    )
