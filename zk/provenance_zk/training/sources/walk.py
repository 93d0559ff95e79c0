"""Finding the files below a folder, and telling data from what only lies beside it."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from provenance.errors import InputError
from provenance_zk.training.sources.streams import SourceFile, exists

MAX_FOLDERS = 100_000
MAX_DEPTH = 64

# What lies beside data in repositories: by its name, and by the end of its name.
_JSON_COMPANIONS = frozenset(
    {"dataset_info", "dataset_infos", "dataset_dict", "config", "croissant"}
)
_TEXT_COMPANIONS = frozenset(
    {
        *("readme", "license", "licence", "copying", "notice", "citation", "changelog"),
        *("contributing", "authors", "requirements", "makefile", "dockerfile"),
        *("_success", "sha256sums", "md5sums"),
    }
)
_COMPANION_ENDS = frozenset(
    {
        *(".md", ".rst", ".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".ini", ".cfg"),
        *(".lock", ".cff", ".bib", ".crc", ".md5", ".sha256", ".dvc"),
        *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf", ".html", ".css", ".js"),
    }
)


def is_committed_dataset(folder: Path) -> bool:
    """Whether `dataset commit` wrote the folder."""
    return (folder / "dataset.json").is_file() and (folder / "leaves.bin").is_file()


class Walk:
    """Finds files; links are followed, hidden names are not.

    ignored: paths of what is no data, from the folder.
    """

    def __init__(self, folder: Path) -> None:
        """Walk through a folder (attacker-controlled).

        Raises:
            InputError: a folder that cannot be read, a link to nowhere or back, or too many.
        """
        self.ignored: list[str] = []
        self._found: list[SourceFile] = []
        self._entered = 0
        self._enter(folder, PurePosixPath(), frozenset())

    @property
    def data(self) -> list[SourceFile]:
        """The other files, in the order of their paths' bytes."""
        return sorted(self._found, key=lambda file: os.fsencode(file.shown))

    def _enter(self, folder: Path, below: PurePosixPath, above: frozenset[tuple[int, int]]) -> None:
        """Look at a folder.

        Args:
            below: its path from the first folder.
            above: device and inode of the folders on the way.
        """
        try:
            status = os.stat(folder)
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise InputError(
                "cannot read folder", where=str(folder), actual=error.strerror
            ) from error
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise InputError("link leads back to a folder above it", where=str(folder))
        self._entered += 1
        if len(above) >= MAX_DEPTH or self._entered > MAX_FOLDERS:
            raise InputError(
                "too many folders within each other",
                where=str(folder),
                expected=f"<= {MAX_DEPTH} deep, <= {MAX_FOLDERS} in all",
            )
        for name in names:
            self._look(folder / name, below / name, above | {here})

    def _look(self, path: Path, shown: PurePosixPath, above: frozenset[tuple[int, int]]) -> None:
        if path.name.startswith((".", "__")) or _is_companion(path.name):
            self.ignored.append(str(shown))
        elif not exists(path) or not path.is_dir():
            self._found.append(SourceFile(path, str(shown)))
        elif is_committed_dataset(path):
            self.ignored.append(str(shown))
        else:
            self._enter(path, shown, above)


def _is_companion(name: str) -> bool:
    name = name.lower()
    stem, _, end = name.partition(".")
    return (
        (stem in _JSON_COMPANIONS and end == "json")
        or (stem in _TEXT_COMPANIONS and end in ("", "txt"))
        or Path(name).suffix in _COMPANION_ENDS
    )
