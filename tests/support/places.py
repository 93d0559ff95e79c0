"""Where the tests find what lies in the repository."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
VECTORS = REPO / "tests" / "vectors"
ZK_VECTORS = VECTORS / "zk"
EXAMPLES = REPO / "examples"
