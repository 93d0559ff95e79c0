"""A run's log as tools for transparency logs read it: C2SP checkpoints and tiles.

Sources: c2sp.org/tlog-tiles (paths, tiles of height 8, entry bundles), c2sp.org/tlog-checkpoint
(three lines of text), c2sp.org/signed-note (the signature line). The tree is that of RFC 6962, so
tiles are slices of it and nothing is hashed anew. Our heads are signed by EIP-712, for which
signed-note has no type of its own: their lines have the type 0xff with a name
(docs/formats/c2sp.md).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

from provenance.errors import InputError
from provenance.ids import from_hex
from provenance.log.tree import Head
from provenance.merkle import Tree
from provenance.signing import Domain

TILE_WIDTH = 256
"""Hashes of a whole tile; a tile of level L covers 256^(L+1) entries."""
SIGNATURE_TYPE = b"\xffmodel-provenance EIP-712 head"
_GROUP = 1000  # digits of a tile's number that stand in one part of its path


def origin(head: Head, domain: Domain) -> str:
    """The log's identity: chain (CAIP-2), registry and run. It is also the name of its key."""
    return f"model-provenance/eip155:{domain.chain_id}/{domain.registry}/{head.run_id}"


def checkpoint(head: Head, domain: Domain) -> str:
    """The text of a checkpoint: origin, size in decimal, root in base64."""
    root = base64.b64encode(head.root).decode()
    return f"{origin(head, domain)}\n{head.size}\n{root}\n"


def signed_checkpoint(head: Head, domain: Domain, signer: str, signature: bytes) -> str:
    """A signed note: the checkpoint, an empty line, and one line with the head's signature.

    Args:
        signer: address (`0x..`) of the key that signed; its 20 bytes stand for the public key.
        signature: 65 bytes (r, s, v) over the head's EIP-712 message, not over this text. Whoever
            checks it makes that message from the text's three values.
    """
    name = origin(head, domain)
    material = name.encode() + b"\n" + SIGNATURE_TYPE + from_hex(signer, 20)
    key_id = hashlib.sha256(material).digest()[:4]
    line = base64.b64encode(key_id + signature).decode()
    return f"{checkpoint(head, domain)}\n\u2014 {name} {line}\n"


def tiles(entries: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """(path, content) of each tile and entry bundle of a log, the last ones partial.

    Args:
        entries: the 32 bytes that stand for each record, in order.

    Raises:
        InputError: the log is empty, so it has no tiles.
    """
    if not entries:
        raise InputError("log is empty", where="entries", expected="at least one record")
    tree = Tree(entries)
    level, width = 0, len(entries)
    while width:
        for number, count in _spans(width):
            first = number * TILE_WIDTH
            hashes = (tree.node(8 * level, first + i) for i in range(count))
            yield f"tile/{level}/{_path(number, count)}", b"".join(hashes)
        level, width = level + 1, width // TILE_WIDTH
    for number, count in _spans(len(entries)):
        bundle = entries[number * TILE_WIDTH :][:count]
        data = b"".join(len(entry).to_bytes(2, "big") + entry for entry in bundle)
        yield f"tile/entries/{_path(number, count)}", data


def _spans(width: int) -> Iterator[tuple[int, int]]:
    """(number, hashes in it) of the tiles of a level with `width` hashes."""
    for first in range(0, width, TILE_WIDTH):
        yield first // TILE_WIDTH, min(TILE_WIDTH, width - first)


def _path(number: int, count: int) -> str:
    """A tile's number as x001/x234/067, with .p/COUNT where it is not whole."""
    parts = [f"{number % _GROUP:03d}"]
    while number := number // _GROUP:
        parts.append(f"x{number % _GROUP:03d}")
    partial = "" if count == TILE_WIDTH else f".p/{count}"
    return "/".join(reversed(parts)) + partial
