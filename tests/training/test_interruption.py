"""Ctrl-C: the step ends and is saved, the second one is answered at once, and scores may be left at any time."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hwsearch.supernets.base import Supernet
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Sandwich, Trainer, TrainingConfig
from hwsearch.training import trainer as trainer_module
from hwsearch.training.interruption import Interruption

#: 4 steps an epoch
CONFIG = TrainingConfig(epochs=3, batch=64, lr=0.05, padding=1, ema=0.9, checkpoint_steps=100)


@pytest.fixture
def make(make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path) -> Callable[[str], Trainer]:
    def trainer(folder: str) -> Trainer:
        task = ImageTask(toy.preprocess)
        return Trainer(
            make_net(), Sandwich(random=1), task, toy, CONFIG, tmp_path / folder, calibration=toy, validation=toy
        )

    return trainer


def interrupting(monkeypatch: pytest.MonkeyPatch, name: str, at: int) -> None:
    """Ctrl-C comes within the call of this number, from 0."""
    wrapped, calls = getattr(trainer_module, name), iter(range(100))

    def call(*given: Any, **options: Any) -> Any:
        if next(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return wrapped(*given, **options)

    monkeypatch.setattr(trainer_module, name, call)


def rows(trainer: Trainer) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.history]


@pytest.mark.parametrize(
    ("name", "at", "step", "epochs"),
    [("run_step", 5, 6, 1), ("run_step", 3, 4, 0), ("run_step", 11, 12, 2), ("subnet_score", 3, 8, 1)],
)
def test_ctrl_c_loses_nothing(
    make: Callable[[str], Trainer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    at: int,
    step: int,
    epochs: int,
) -> None:
    """Within an epoch, at its last step, at the run's last, and while the second epoch's largest is scored."""
    straight = make("straight")
    straight.run()
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupting(patch, name, at)
        with pytest.raises(KeyboardInterrupt):
            make("stopped").run()
    assert signal.getsignal(signal.SIGINT) is before
    state = torch.load(tmp_path / "stopped" / "training.pt", weights_only=True)
    assert state["step"] == step and len(state["history"]) == epochs
    resumed = make("stopped")
    resumed.run()
    expected, found = straight.supernet.state_dict(), resumed.supernet.state_dict()
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    assert rows(resumed) == rows(straight)
    assert len(torch.load(tmp_path / "stopped" / "training.pt", weights_only=True)["history"]) == 3


def test_the_second_ctrl_c_is_answered_at_once_unless_patient() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption() as one:
        signal.raise_signal(signal.SIGINT)
        assert one.came
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one was held back")
    with Interruption(patient=True) as two:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert two.came
    with pytest.raises(KeyboardInterrupt), Interruption(patient=True) as three, three.at_once():
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was held back")


def test_what_stood_there_before_is_asked_and_an_ignored_ctrl_c_stays_ignored() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with pytest.raises(KeyboardInterrupt), Interruption() as one:
            signal.raise_signal(signal.SIGINT)
            assert seen == []
            one.answer()
        assert seen == [signal.SIGINT]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with Interruption() as two:
            signal.raise_signal(signal.SIGINT)
            assert not two.came
    finally:
        signal.signal(signal.SIGINT, before)
