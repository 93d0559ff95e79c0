"""Which results of earlier verifications the commands use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provenance.artifacts.memo import Function
from provenance.errors import InputError
from provenance.settings import Settings
from provenance_cli.judge import question as question_module
from provenance_cli.judge.question import Question, judge
from provenance_cli.wiring import memo_for

DOUBLE = Function("double", 1)


def test_settings_and_fresh_decide_what_is_used(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, memo=tmp_path / "memo")
    memo = memo_for(settings, fresh=False)
    assert memo is not None
    memo.put(DOUBLE, {"x": 1}, {"y": 2})
    assert memo.get(DOUBLE, {"x": 1}) is not None
    fresh = memo_for(settings, fresh=True)
    assert fresh is not None
    assert fresh.get(DOUBLE, {"x": 1}) is None
    assert memo_for(replace(settings, memo=None), fresh=False) is None


@pytest.mark.parametrize("fresh", [False, True])
def test_a_question_hands_its_wish_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    asked: list[bool] = []

    def noted(settings: Settings, *, fresh: bool) -> None:
        asked.append(fresh)
        raise InputError("far enough")

    monkeypatch.setattr(question_module, "memo_for", noted)
    monkeypatch.setattr(question_module, "load_trust", lambda path: None)
    monkeypatch.setattr(question_module, "require_no_rollback", lambda *_, **__: None)
    monkeypatch.setattr(question_module, "reader_for", lambda *_: None)
    with pytest.raises(InputError, match="far enough"):
        judge(Question(str(tmp_path / "model"), (tmp_path,), fresh=fresh))
    assert asked == [fresh]
