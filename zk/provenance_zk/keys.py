"""Proving keys in a cache folder, one folder per circuit digest; `zkprover` writes them, this module finds and checks them.

Keys made here are development keys: whoever ran the setup can forge proofs, and everything shown with them says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from eth_utils.crypto import keccak

from provenance.encoding import parse_json
from provenance.errors import InputError, NotFound, VerificationError
from provenance_zk.client import ZkProver

EPOCH_SLOTS = (256, 4096, 20480, 86016, 344064)  # 256 is for tests
TREE_SLOTS = 4096
TEST_TREE_SLOTS = 256
SORTED_SLOTS, TEST_SORTED_SLOTS = 256, 16  # leaves per `sorted` chunk; the latter goes with the test key and small datasets
WORDS_FILE = "vk.words"
BASES_FILE = "bases.bin"
INFO_FILE = "key.json"
_FORMAT = "provenance-key/1"
_MAX_WORDS_BYTES = 1 << 16


@dataclass(frozen=True)
class KeyFolder:
    """A key on disk. `words` are the bytes of its data contract, `vk_id` their keccak-256."""

    dir: Path
    kind: str
    slots: int
    depth: int
    vk_id: bytes
    words: bytes
    klass: str

    @property
    def words_file(self) -> Path:
        return self.dir / WORDS_FILE

    @property
    def bases_file(self) -> Path:
        """Bases of D, U and P (kind `epoch`); whoever has them can recompute P."""
        return self.dir / BASES_FILE


def vk_id(words: bytes) -> bytes:
    """keccak-256 of a verifying key's bytes."""
    return bytes(keccak(words))


def load_words(path: Path) -> bytes:
    """Bytes of a `vk.words` file (attacker-controlled: pin their `vk_id`, and parse them with `verifier.parse_key`).

    Raises:
        NotFound: no such file.
        InputError: too large, or not whole words.
    """
    try:
        with path.open("rb") as stream:
            words = stream.read(_MAX_WORDS_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound("no such key", where=str(path), hint="run `provenance keys setup`") from error
    except OSError as error:
        raise InputError("cannot read key", where=str(path), actual=error.strerror) from error
    if not words or len(words) > _MAX_WORDS_BYTES or len(words) % 32:
        raise InputError("not a verifying key", where=str(path), actual=f"{len(words)} bytes")
    return words


def load_key(dir: Path) -> KeyFolder:
    """Read a key folder's facts and words; the prover checks its large files when it loads them.

    Raises:
        NotFound: no such folder.
        InputError: not a key folder.
        VerificationError: the words do not have the id that the folder states.
    """
    try:
        info = parse_json((dir / INFO_FILE).read_bytes())
    except FileNotFoundError as error:
        raise NotFound("no such key", where=str(dir), hint="run `provenance keys setup`") from error
    except (OSError, ValueError) as error:
        raise InputError("cannot read key folder", where=str(dir), actual=error) from error
    if not isinstance(info, dict) or info.get("format") != _FORMAT:
        raise InputError("not a key folder", where=str(dir / INFO_FILE), expected=_FORMAT)
    words = load_words(dir / WORDS_FILE)
    actual = vk_id(words)
    if info.get("vkId") != f"0x{actual.hex()}":
        raise VerificationError("verifying key does not have its id", where=str(dir / WORDS_FILE),
                                expected=info.get("vkId"), actual=f"0x{actual.hex()}",
                                hint="remove the key folder and set up again; ledgers that name the old key need it back")
    return KeyFolder(dir, info["kind"], info["slots"], info["depth"], actual, words, info["class"])


def ensure_keys(prover: ZkProver, cache: Path, kind: str, slots: int, depth: int = 0) -> KeyFolder:
    """The development key of a circuit, made on first use (the longest: 215 s for 344,064 slots on two cores).

    Args:
        cache: safe to delete, but ledgers deployed with a deleted key need it back.

    Raises:
        InputError: no such circuit.
        UnavailableError: the prover or the disk.
        VerificationError: the cached folder was altered.
    """
    info = prover.setup(kind, slots, depth, cache)
    key = load_key(info.dir)
    if (key.vk_id, key.kind, key.slots, key.depth) != (info.vk_id, info.kind, info.slots, info.depth):
        raise VerificationError("key folder changed while it was read", where=str(info.dir))
    return key


def find_key(cache: Path, wanted: bytes) -> KeyFolder:
    """The cached key with this `vk_id`.

    Raises:
        NotFound: not in the cache; it was deleted, or made on another machine.
    """
    for entry in sorted(os.scandir(cache), key=lambda e: e.name) if cache.is_dir() else ():
        if entry.is_dir() and not entry.name.startswith(".") and (Path(entry.path) / INFO_FILE).is_file():
            key = load_key(Path(entry.path))
            if key.vk_id == wanted:
                return key
    raise NotFound("no key with this id in the cache", where=str(cache), expected=f"0x{wanted.hex()}",
                   hint="keys missing for the ledger: restore the cache, or run `provenance chain deploy` for new ones")


def epoch_slots_for(count: int) -> int:
    """Slots of the smallest pinned key that holds `count` records in one chunk, else of the largest.

    The test key of 256 slots is never chosen: small datasets use 4,096.
    """
    return next((slots for slots in EPOCH_SLOTS[1:] if count <= slots), EPOCH_SLOTS[-1])
