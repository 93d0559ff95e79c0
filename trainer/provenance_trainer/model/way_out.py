"""What to do when a run came to nothing.

An opened run keeps its configuration, `provenance.allow_empty` with it: what was registered never
changes. So the way out is another run.
"""

from __future__ import annotations

_ANOTHER = "train again into another output_dir"
LOWER = f"{_ANOTHER}, with a lower learning rate or other records"
LOWER_OR_EMPTY = f"{LOWER}; --allow-empty lets such a run go on there"
HIGHER_OR_EMPTY = (
    f"{_ANOTHER}, with a higher learning rate or more steps; --allow-empty lets such a run go on "
    "there"
)
