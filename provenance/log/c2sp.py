"""A run's log as tools for transparency logs read it: C2SP checkpoints and tiles.

Sources: c2sp.org/tlog-tiles (paths, tiles of height 8, entry bundles), c2sp.org/tlog-checkpoint
(three lines of text), c2sp.org/signed-note (the signature line). The tree is that of RFC 6962, so
tiles are slices of it and nothing is hashed anew. Our heads are signed by EIP-712, for which
signed-note has no type of its own: their lines have the type 0xff with a name
(docs/formats/c2sp.md).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence

from provenance.errors import InputError
from provenance.ids import Address, RunId, from_hex
from provenance.log.tree import Head
from provenance.log.witness.note import Note, SignatureLine, from_base64, key_id_of
from provenance.merkle import Tree
from provenance.signing import Domain

TILE_WIDTH = 256
"""Hashes of a whole tile; a tile of level L covers 256^(L+1) entries."""
SIGNATURE_TYPE = b"\xffmodel-provenance EIP-712 head"
_KIND, _CHAINS = "model-provenance", "eip155:"
_GROUP = 1000  # digits of a tile's number that stand in one part of its path


def origin(head: Head, domain: Domain) -> str:
    """The log's identity: chain (CAIP-2), registry and run. It is also the name of its key."""
    return _origin(domain, head.run_id)


def _origin(domain: Domain, run_id: RunId) -> str:
    return f"{_KIND}/{_CHAINS}{domain.chain_id}/{domain.registry}/{run_id}"


def checkpoint(head: Head, domain: Domain) -> str:
    """The text of a checkpoint: origin, size in decimal, root in base64."""
    root = base64.b64encode(head.root).decode()
    return f"{origin(head, domain)}\n{head.size}\n{root}\n"


def parse_origin(text: str) -> tuple[Domain, RunId]:
    """The chain, registry and run of an origin (attacker-controlled), in its one form.

    Raises:
        InputError: not the origin of such a log.
    """
    try:
        _, chain, registry, run = text.split("/")
        chain_id = parse_size(chain.removeprefix(_CHAINS))
        found = Domain(chain_id, Address.parse(registry)), RunId.parse(run)
    except (ValueError, InputError) as error:
        raise InputError("not the origin of a run's log", actual=repr(text[:160])) from error
    if text != _origin(*found):
        raise InputError("not the one form of an origin", actual=repr(text[:160]))
    return found


def parse_checkpoint(text: str) -> tuple[Domain, Head]:
    """The head of a checkpoint's text (attacker-controlled). It is the inverse of `checkpoint`.

    Raises:
        InputError: of another log than a run's, or in another form; extension lines are refused.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise InputError("not a checkpoint", expected="origin, size and root, a line each")
    domain, run_id = parse_origin(lines[0])
    size = parse_size(lines[1])
    root = from_base64(lines[2])
    if len(root) != 32:
        raise InputError("not the root of a log", expected="32 bytes", actual=len(root))
    return domain, Head(run_id, size, root)


def parse_size(text: str) -> int:
    """A number of entries in decimal without leading zeros (attacker-controlled), below 2^63.

    Raises:
        InputError: anything else.
    """
    if not 1 <= len(text) <= 19 or not (text.isascii() and text.isdigit()):
        raise InputError("not a size", expected="decimal digits", actual=repr(text[:40]))
    size = int(text)
    if str(size) != text or size >= 2**63:
        raise InputError("not a size", expected="0 to 2^63 - 1, no leading 0", actual=text)
    return size


def head_key_id(name: str, signer: str) -> bytes:
    """The id of the key that signs heads of the log `name`: of the address `signer` (`0x..`)."""
    return key_id_of(name, SIGNATURE_TYPE + from_hex(signer, 20))


def signed_checkpoint(
    head: Head, domain: Domain, signer: str, signature: bytes, more: Iterable[SignatureLine] = ()
) -> str:
    """A signed note: the checkpoint, an empty line, and one line with the head's signature.

    Args:
        signer: address (`0x..`) of the key that signed; its 20 bytes stand for the public key.
        signature: 65 bytes (r, s, v) over the head's EIP-712 message, not over this text. Whoever
            checks it makes that message from the text's three values.
        more: lines to put below, such as cosignatures.
    """
    name = origin(head, domain)
    line = SignatureLine(name, head_key_id(name, signer), signature)
    return str(Note(checkpoint(head, domain), (line, *more)))


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
