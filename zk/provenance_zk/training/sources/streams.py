"""Source files as bytes and lines: links followed, archives unpacked, other formats named.

Everything read here is attacker-controlled.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from provenance.causes import LFS_POINTER
from provenance.digest import hash_file
from provenance.errors import InputError
from provenance_zk.training.sources.archives import ARCHIVES, MAGIC, unpack

MAX_LINE_BYTES = 64 << 20
CARRIAGE_RETURNS = "lines end in carriage returns alone: tr '\\r' '\\n' < FILE > NEW"

_HEAD_BYTES = 512
_BLOCK_BYTES = 1 << 18
_MARKUP = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)
# Beginnings of files that go by a wrong name: (bytes, what it is, what to do).
_FORMATS = (
    (MAGIC[".gz"], "a gzip archive", "let its name end in .gz"),
    (MAGIC[".zst"], "a zstd archive", "let its name end in .zst"),
    (b"PAR1", "a Parquet file", "let its name end in .parquet"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or save the sheet as CSV"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (b"%PDF-", "a PDF document", "save its text"),
    (b"ARROW1", "an Arrow file", "save it as Parquet"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save it as CSV"),
)


@dataclass(frozen=True)
class SourceFile:
    """One file of a source; a link is followed, since the caller named it.

    shown: its name in messages and in the manifest.
    """

    path: Path
    shown: str

    @property
    def suffixes(self) -> tuple[str, str]:
        """(end of the name below an archive's end, archive's end or ""), in lower case."""
        name = self.path.name.lower()
        archive = Path(name).suffix if Path(name).suffix in ARCHIVES else ""
        return Path(name.removesuffix(archive)).suffix, archive

    def stamp(self) -> tuple[int, int, int]:
        """What changes when somebody writes to the file."""
        status = os.stat(self.path)
        return status.st_ino, status.st_size, status.st_mtime_ns

    def entry(self) -> dict[str, Any]:
        """The file in a manifest. Raises InputError where it cannot be read or named."""
        if not _is_unicode(self.shown):
            raise InputError("name is not UTF-8", where=repr(self.shown), hint="rename the file")
        target = Path(os.path.realpath(self.path))
        try:
            size = target.stat().st_size
            return {"path": self.shown, "size": size, "sha256": str(hash_file(target))}
        except OSError as error:
            raise InputError("cannot read file", where=self.shown, actual=error.strerror) from error


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def exists(path: Path) -> bool:
    """Whether something lies at a path that a caller named.

    Raises:
        InputError: nobody can tell, or a link that leads nowhere.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            raise InputError(
                "link leads nowhere",
                where=str(path),
                actual=os.readlink(path),
                hint="fetch the file it stands for (dvc pull, git annex get)",
            ) from None
        return False
    except (OSError, ValueError) as error:
        raise InputError("not a usable path", where=str(path)[:200], actual=error) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(
            "neither a file nor a folder",
            where=str(path),
            hint="write the data to a file first: it is read more than once",
        )
    return True


@contextmanager
def opened(file: SourceFile, markup: bool = False) -> Iterator[BinaryIO]:
    """The bytes of a text file, unpacked; what is plainly another format is named.

    Args:
        markup: HTML and XML are text too, as in `.txt`.

    Raises:
        InputError: unreadable, or no text file.
        ConfigError: the package that unpacks it is not installed.
    """
    try:
        with file.path.open("rb") as raw, _unpacked(file, raw) as stream:
            _require_text_file(stream.peek(_HEAD_BYTES)[:_HEAD_BYTES], file, markup)
            yield stream
    except OSError as error:
        raise InputError("cannot read file", actual=error.strerror or error) from error


def _unpacked(file: SourceFile, raw: BinaryIO) -> io.BufferedReader:
    _, suffix = file.suffixes
    if not suffix:
        return io.BufferedReader(raw, _BLOCK_BYTES)  # type: ignore[arg-type]
    head = raw.read(_HEAD_BYTES)
    require_data(head)
    require_no_markup(head)
    raw.seek(0)
    return io.BufferedReader(unpack(raw, head, suffix), _BLOCK_BYTES)


def _require_text_file(head: bytes, file: SourceFile, markup: bool) -> None:
    require_data(head)
    for magic, what, hint in _FORMATS:
        if head.startswith(magic):
            if file.suffixes[1] and magic in MAGIC.values():
                raise InputError(
                    f"archive holds {what}: it is packed twice", hint="unpack it once, or twice"
                )
            raise InputError(f"file is {what}, not text", hint=hint)
    if (encoding := _wide_encoding(head)) is not None:
        raise InputError(
            f"file is {encoding}, not UTF-8", hint=f"convert it: {_iconv(encoding, file)}"
        )
    if not markup:
        require_no_markup(head)


def require_data(head: bytes) -> None:
    """Refuse the beginning of a Git LFS pointer. Raises InputError."""
    if head.startswith(LFS_POINTER):
        raise InputError(
            "file is a Git LFS pointer, not the data",
            hint="fetch the data with `git lfs pull`",
        )


def require_no_markup(head: bytes) -> None:
    """Refuse the beginning of a web page. Raises InputError."""
    if found := _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        what = "XML" if found[1] == b"?xml" else "an HTML page"
        raise InputError(
            f"file is {what}, not data",
            hint="download the raw file: a web page was saved under its name",
        )


def _wide_encoding(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    pairs = head[: len(head) // 2 * 2]
    for name, zeros, others in (
        ("UTF-16LE", pairs[1::2], pairs[::2]),
        ("UTF-16BE", pairs[::2], pairs[1::2]),
    ):
        if len(pairs) >= 8 and zeros.count(0) > 0.8 * len(zeros) and not others.count(0):
            return name
    return None


def _iconv(encoding: str, file: SourceFile) -> str:
    name = shlex.quote(str(file.path))
    new = shlex.quote(f"utf8-{file.path.name.removesuffix(file.suffixes[1])}")
    if file.suffixes[1] == ".gz":
        return f"zcat {name} | iconv -f {encoding} -t UTF-8 > {new}"
    if file.suffixes[1] == ".zst":
        return f"zstdcat {name} | iconv -f {encoding} -t UTF-8 > {new}"
    return f"iconv -f {encoding} -t UTF-8 {name} > {new}"


def not_utf8(error: UnicodeDecodeError, file: SourceFile, where: str | None = None) -> InputError:
    """The fault of a file in another encoding, with the way out."""
    return InputError(
        "text is not UTF-8",
        where=where,
        actual=f"byte {error.object[error.start]:#04x} at {error.start}",
        hint=f"convert it, if it comes from Windows: {_iconv('WINDOWS-1252', file)}",
    )


@contextmanager
def lines(file: SourceFile, markup: bool = False) -> Iterator[Iterator[tuple[int, str]]]:
    """(number from 1, text with its end) of each line.

    Raises:
        InputError: as `opened`; a line that is too long or not UTF-8 is named.
    """
    with opened(file, markup) as stream:
        yield _numbered(stream, file)


def _numbered(stream: BinaryIO, file: SourceFile) -> Iterator[tuple[int, str]]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise InputError(
                "line is too long",
                where=f"line {number}",
                expected=f"<= {MAX_LINE_BYTES} bytes",
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(error, file, f"line {number}") from error
        yield number, text


def whole_text(file: SourceFile, limit: int, markup: bool = False) -> str:
    """All text of a file.

    Raises:
        InputError: as `opened`; more than `limit` bytes, or not UTF-8.
    """
    with opened(file, markup) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise InputError("file is too large to be read at once", expected=f"<= {limit} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise not_utf8(error, file, f"line {number}") from error
