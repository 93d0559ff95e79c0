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
    TokenRow,
)
from provenance_api.db.projection import (
    compare_run,
    forget_run,
    has_release,
    index_run,
    indexed_from,
    own_run,
    set_shown,
    shown_by,
)
from provenance_api.db.scope import (
    DEFAULT_TENANT,
    acting_for,
    current,
    is_tenant,
    parse_tenant,
    writer,
)

__all__ = [
    "DEFAULT_TENANT",
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
    "TokenRow",
    "acting_for",
    "compare_run",
    "current",
    "forget_run",
    "has_release",
    "index_run",
    "indexed_from",
    "is_tenant",
    "own_run",
    "parse_tenant",
    "set_shown",
    "shown_by",
    "writer",
]
