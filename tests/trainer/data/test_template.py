"""Chat templates are programs from somebody else: their clock is fixed, and they are bounded."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from provenance.errors import ConfigError, InputError
from provenance.log.fed import FedFacts
from provenance_trainer.data import bounds, clock
from provenance_trainer.data.fed import count_fed
from provenance_trainer.data.kinds import Kinds
from provenance_trainer.data.recipe import Recipe
from provenance_trainer.draft import parse_config
from tests.support.places import REPO
from tests.trainer.made_tokenizers import CHAT, make_tokenizer

DAY = "2026-01-31"
CLOCKED = "{{ strftime_now('%d %b %Y %H:%M') }}\n" + CHAT
ROW: dict[str, Any] = {
    "messages": [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "tell"}]
}


def recipe_of(template: str, day: str | None = DAY, row: dict[str, Any] = ROW) -> Recipe:
    config = parse_config({"dataset_name": "d", "output_dir": "o"})
    kinds = Kinds.of([("record 0", row)])
    return Recipe.of(config, make_tokenizer(template=template), tuple(row), kinds, day)


@pytest.mark.parametrize("real", ["2026-02-01", "2031-12-24"])
def test_a_template_sees_the_day_of_the_opening_whatever_day_it_is(
    monkeypatch: pytest.MonkeyPatch, real: str
) -> None:
    from transformers.utils import chat_template_utils

    class Now:
        @staticmethod
        def now() -> Any:
            return clock.datetime.fromisoformat(real)

    monkeypatch.setattr(chat_template_utils, "datetime", Now)
    recipe = recipe_of(CLOCKED)
    text = recipe.tokenizer.decode(recipe.sample(ROW)["input_ids"])
    assert text.startswith("31 Jan 2026 00:00\n")
    assert chat_template_utils.datetime is Now  # whoever else asks has the real clock
    fed = count_fed(recipe, [("record 0", ROW)], 1)
    assert fed.to_json()["day"] == DAY
    assert f"with its clock at {DAY}," in fed.lines()[0]
    earlier = recipe_of(CLOCKED, day=None)  # a run whose opening says no day
    assert not earlier.tokenizer.decode(earlier.sample(ROW)["input_ids"]).startswith("31 Jan 2026")
    assert "day" not in earlier.to_json()


def test_no_day_is_said_where_no_clock_is_read() -> None:
    for recipe in (recipe_of(CHAT), recipe_of(CLOCKED, row={"text": "the line"})):
        assert "day" not in recipe.to_json()
    assert clock.today() == FedFacts.read(_fed(day=clock.today())).day


def _fed(**changes: Any) -> dict[str, Any]:
    fed = count_fed(recipe_of(CLOCKED), [("record 0", ROW)], 1).to_json()
    return {k: v for k, v in {**fed, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    "change",
    [
        *({"day": day} for day in ("2026-02-30", "20260131", "2026-01-31T00:00", "", 20260131, [])),
        {"chat_template": "none"},
        {"rules": None},
    ],
    ids=str,
)
def test_the_day_is_read_strictly(change: dict[str, Any]) -> None:
    assert FedFacts.read(_fed()).day == DAY
    with pytest.raises(InputError, match="not said in the right form"):
        FedFacts.read(_fed(**change))


@pytest.mark.parametrize(
    "template", ["{{ ['a', 'b'] | random }}" + CHAT, "{{ lipsum(n=1) }}" + CHAT], ids=["one", "two"]
)
def test_a_template_that_draws_at_random_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="draws at random"):
        recipe_of(template)


FAULTS = {
    "division": "{{ 1 / 0 }}",
    "range": "{% for i in range(10 ** 12) %}a{% endfor %}",
    "multiplied": "{{ 'a' * 99999999999 }}",
    "doubled": "{% set n = namespace(s='a') %}{% for i in range(60) %}"
    "{% set n.s = n.s ~ n.s %}{% endfor %}",
    "power": "{{ (10 ** (10 ** 12)) // 3 }}",
    "round": "{{ 1.5 | round(10 * 99999999999, 'ceil') }}",
    "macro": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "pair": "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
    "nested": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "syntax": "{% for %}",
    "long": "{% for i in range(99999) %}{{ 'a' * 999 }}{% endfor %}",
    "endless": "{% for i in range(99999) %}{% for j in range(99999) %}"
    "{% for k in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
}
_CHILD = """
import sys
import py_ecc  # raises the recursion limit to 100,000, in every command that judges
from provenance.errors import InputError
from provenance_trainer.data import bounds
from provenance_trainer.data.template import ChatTemplate
from tests.trainer.data.test_template import FAULTS, ROW
from tests.trainer.made_tokenizers import make_tokenizer

bounds.bounded.__defaults__ = (0.5,)
for name in sys.argv[1:]:
    try:
        ChatTemplate(make_tokenizer(template=FAULTS[name])).render(ROW["messages"], None)
    except InputError as error:
        print(name, "refused:", error)
"""


def test_no_template_ends_the_process() -> None:
    names = list(FAULTS)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *names],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    refused = [line.partition(" ")[0] for line in done.stdout.splitlines() if "refused" in line]
    assert (done.returncode, refused) == (0, names), done.stderr[-2000:]


def test_a_call_without_end_is_ended_and_limits_are_put_back() -> None:
    import resource

    before = sys.getrecursionlimit(), resource.getrlimit(resource.RLIMIT_AS)
    turned = []

    def turn() -> None:
        while True:
            turned.append(time.monotonic())

    with pytest.raises(bounds.OutOfTimeError):
        bounds.bounded(turn, seconds=0.2)
    ended = len(turned)
    time.sleep(0.2)
    assert len(turned) == ended
    assert bounds.bounded(lambda: 5) == 5
    assert (sys.getrecursionlimit(), resource.getrlimit(resource.RLIMIT_AS)) == before
