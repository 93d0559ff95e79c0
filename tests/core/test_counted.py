"""Numbers as people are told them."""

from __future__ import annotations

import pytest

from provenance.text.counted import percent


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0, "0%"),
        (1e-9, "less than 0.1%"),
        (1 / 300, "0.3%"),
        (1 / 3, "33%"),
        (0.99, "99%"),
        (0.995, "99.5%"),
        (0.9999, "more than 99.9%"),
        (1, "100%"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, told: str) -> None:
    assert percent(share) == told
