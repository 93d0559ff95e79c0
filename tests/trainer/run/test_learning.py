"""A run that learned nothing is no success: it stops with the reason, unless that was allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from provenance.errors import InputError
from provenance_trainer.run.learning import Change, change_of, require_change, require_finite
from tests.support import training as support

NOTHING = {"max_length": 1}  # a record of one token has nothing to predict


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return support.make_dataset(tmp_path_factory.mktemp("d") / "data", 8)


def train(data: Path, out: Path, cache: Path, **changes: Any) -> Any:
    return support.start_or_resume(support.make_config(data, out, **changes), cache)


def test_a_dataset_without_a_token_to_predict_is_refused(
    data: Path, tmp_path: Path, cache_dir: Path
) -> None:
    with pytest.raises(InputError, match="no token to predict") as caught:
        train(data, tmp_path / "run", cache_dir, **NOTHING)
    assert "--allow-empty" in (caught.value.hint or "")


def test_a_loss_that_is_not_finite_stops_the_run(
    data: Path, tmp_path: Path, cache_dir: Path
) -> None:
    config = {"learning_rate": 1e37, "max_grad_norm": 1e30, "num_train_epochs": 4}
    with pytest.raises(InputError, match="not finite") as caught:
        train(data, tmp_path / "run", cache_dir, **config)
    assert (caught.value.where or "").startswith("step ")
    assert "another output_dir, with a lower learning rate" in (caught.value.hint or "")
    made = support.make_config(data, tmp_path / "run", **config)
    assert support.records_of(made, "run.close") == []


def test_an_adapter_too_large_to_be_merged_is_named_where_it_would_have_been(
    data: Path, tmp_path: Path, cache_dir: Path
) -> None:
    with pytest.raises(InputError, match="outside the range that a merge accepts") as caught:
        train(data, tmp_path / "run", cache_dir, learning_rate=1e5, max_steps=1)
    assert (caught.value.where or "").startswith(f"{tmp_path / 'run' / 'adapter'}/")
    assert "another output_dir, with a lower learning rate" in (caught.value.hint or "")


def test_what_learns_nothing_may_be_allowed_and_says_so(
    data: Path, tmp_path: Path, cache_dir: Path
) -> None:
    allowed = {"provenance": {"allow_empty": True}, "weight_decay": 0.0}
    summary = train(data, tmp_path / "run", cache_dir, **NOTHING, **allowed)
    assert (summary.tensors_changed, summary.tensors_adapted) == (0, 4)


def test_an_honest_run_says_how_many_tensors_it_changed(
    data: Path, tmp_path: Path, cache_dir: Path
) -> None:
    summary = train(data, tmp_path / "run", cache_dir)
    assert (summary.tensors_changed, summary.tensors_adapted) == (4, 4)
    assert summary.loss_first != summary.loss_last  # the last step is logged, whatever the interval


def test_an_adapter_of_zeros_is_counted_and_refused() -> None:
    module = torch.nn.Module()
    for name in ("q", "v"):
        part = torch.nn.Module()
        part.lora_A = torch.nn.Linear(4, 2, bias=False)
        part.lora_B = torch.nn.Linear(2, 4, bias=False)
        torch.nn.init.zeros_(part.lora_B.weight)
        setattr(module, name, part)
    assert change_of(module) == Change(0, 2)
    with pytest.raises(InputError, match="every B of the adapter is zero") as caught:
        require_change(change_of(module))
    assert "another output_dir, with a higher learning rate" in (caught.value.hint or "")
    torch.nn.init.ones_(module.q.lora_B.weight)
    assert change_of(module) == Change(1, 2)
    require_change(change_of(module))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_perplexity_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="perplexity is not finite"):
        require_finite("perplexity", value)
    require_finite("perplexity", 3.5)
