"""The public folder `proofs` of a dataset: its `sorted` set, and the keys that the set needs.

proofs/sorted-<k>.json      provenance-statement/1, one for each chunk
proofs/keys/<vkId>/vk.words
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import ProvenanceError
from provenance.ids import KeyId, to_hex
from provenance.layout import write_atomically
from provenance_zk.audits.statement_file import Statement, require_complete
from provenance_zk.groth16.key import parse_key
from provenance_zk.prover.keys import WORDS_FILE, KeyFolder

FOLDER = "proofs"


def chunk_file(folder: Path, k: int) -> Path:
    """The statement file of chunk k."""
    return folder / f"sorted-{k}.json"


def chunk_files(folder: Path) -> Iterator[Path]:
    """`sorted-0.json`, `sorted-1.json`, .. until one is missing."""
    k = 0
    while (path := chunk_file(folder, k)).is_file():
        yield path
        k += 1


def words_of(folder: Path, vk_id: KeyId) -> Path:
    """Where the bytes of a verifying key lie beside statement files."""
    return folder / "keys" / to_hex(vk_id) / WORDS_FILE


def publish(path: Path, statement: Statement, key: KeyFolder) -> None:
    """Write a statement file, and its verifying key beside it.

    A verifier pins the key's id, so nobody needs to trust the copy.

    Raises:
        OutputError: the path cannot be written.
    """
    write_atomically(words_of(path.parent, key.vk_id), key.words)
    write_atomically(path, statement.to_bytes())


def is_complete(folder: Path, dataset: DatasetRoot) -> bool:
    """Whether the files say that the `sorted` set is complete; no proof is verified here."""
    try:
        statements = [Statement.load(path) for path in chunk_files(folder)]
        if not statements:
            return False
        slots = parse_key(words_of(folder, statements[0].proof.vk_id).read_bytes()).slots
        require_complete(statements, dataset, slots)
    except (ProvenanceError, OSError):
        return False  # whatever is wrong with the files, they are no complete set
    return True
