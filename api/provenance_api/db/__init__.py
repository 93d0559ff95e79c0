"""The database: a projection of run folders, which `index_run` writes and `compare_run` checks."""

from provenance_api.db.engine import SCHEMA_REVISION, Database
from provenance_api.db.models import (
    Base,
    HeadRow,
    NodeRow,
    OpeningRow,
    ProofRow,
    RecordRow,
    ReleaseRow,
    RunRow,
)
from provenance_api.db.projection import compare_run, forget_run, index_run, indexed_from

__all__ = [
    "SCHEMA_REVISION",
    "Base",
    "Database",
    "HeadRow",
    "NodeRow",
    "OpeningRow",
    "ProofRow",
    "RecordRow",
    "ReleaseRow",
    "RunRow",
    "compare_run",
    "forget_run",
    "index_run",
    "indexed_from",
]
