"""The database: a projection of run folders, which `index_run` writes and `compare_run` checks."""

from provenance_api.db.engine import SCHEMA_REVISION, Database
from provenance_api.db.models import (
    Base,
    HeadRow,
    ProofRow,
    RecordRow,
    ReleaseRow,
    RunRow,
    split_name,
)
from provenance_api.db.projection import compare_run, index_run

__all__ = [
    "SCHEMA_REVISION",
    "Base",
    "Database",
    "HeadRow",
    "ProofRow",
    "RecordRow",
    "ReleaseRow",
    "RunRow",
    "compare_run",
    "index_run",
    "split_name",
]
