"""Rows of Parquet files, each value exactly as it stands there or marked as unreadable."""

from __future__ import annotations

from typing import Any

from provenance.errors import ConfigError, InputError
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.row_source import Rows
from provenance_zk.training.sources.streams import (
    SourceFile,
    require_data,
    require_no_markup,
)
from provenance_zk.training.sources.values import Unreadable, listed, repeated

_BATCH_ROWS = 1024


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            "the package that reads Parquet is not installed",
            hint="pip install 'model-provenance[train]'",
        ) from error
    return pyarrow, pyarrow.parquet


def read_parquet(file: SourceFile, reading: Reading, wanted: str | None) -> Rows:
    """Rows of a Parquet file; of `wanted` alone where the file has it."""
    pyarrow, parquet = _pyarrow()
    number = 0
    _require_parquet(file)
    try:
        with parquet.ParquetFile(str(file.path)) as opened:
            names, columns = _names(opened.schema_arrow), None
            if wanted in names:
                columns = [wanted]
                reading.others |= dict.fromkeys(name for name in names if name != wanted)
            for batch in opened.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                cells = [_cells(column, pyarrow) for column in batch.columns]
                for values in zip(*cells, strict=True):
                    number += 1
                    yield f"row {number}", dict(zip(batch.schema.names, values, strict=True))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(
            "not a readable Parquet file",
            where=f"row {number + 1}",
            actual=" ".join(str(error).split())[:200],
            hint="download or copy it again if it was cut off",
        ) from error


def _require_parquet(file: SourceFile) -> None:
    try:
        with file.path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise InputError("cannot read file", actual=error.strerror) from error
    require_data(head)
    require_no_markup(head)
    if not head.startswith(b"PAR1"):
        raise InputError(
            "not a Parquet file",
            expected="PAR1 at its beginning",
            actual="an empty file" if not head else head[:4],
        )


def _names(schema: Any) -> list[str]:
    names: list[str] = schema.names
    if twice := repeated(names):
        raise InputError(
            "file has a column twice",
            actual=listed(twice),
            hint="give each column a name of its own",
        )
    if not names:
        raise InputError("file has no columns")
    return names


def _cells(column: Any, pyarrow: Any) -> list[Any]:
    """The column's values in Python; what cannot be read exactly is marked, cell by cell."""
    if _has_nanosecond_times(column.type, pyarrow):
        return _times(column, pyarrow)
    try:
        values: list[Any] = column.to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError, TypeError):
        return [_cell(scalar) for scalar in column]
    return values


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ArithmeticError, ValueError, TypeError) as error:
        return Unreadable(f"{scalar.type}: {' '.join(str(error).split())}")


def _times(column: Any, pyarrow: Any) -> list[Any]:
    """Python's times of day have microseconds, and pyarrow cuts the rest off in silence."""
    try:
        values: list[Any] = column.cast(pyarrow.time64("us"), safe=True).to_pylist()
    except pyarrow.ArrowException:
        return [Unreadable(f"{column.type}: more than microseconds, or nested")] * len(column)
    return values


def _has_nanosecond_times(kind: Any, pyarrow: Any) -> bool:
    if pyarrow.types.is_time64(kind):
        return bool(kind.unit == "ns")
    return any(_has_nanosecond_times(kind.field(i).type, pyarrow) for i in range(kind.num_fields))
