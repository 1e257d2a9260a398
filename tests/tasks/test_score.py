"""Scores by hand: the bootstrap, records, and tasks by name."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.errors import DataError, MeasurementError
from hwsearch.tasks import catalogue
from hwsearch.tasks.classification import Accuracy
from hwsearch.tasks.images import ImageTask
from hwsearch.tasks.score import BootstrapScore
from hwsearch.tasks.translation import TranslationTask


class Mean(BootstrapScore):
    """The mean of the second column: its standard error is known."""

    @classmethod
    def of_sums(cls, sums: np.ndarray) -> np.ndarray:
        return sums[:, 1] / sums[:, 0]


def test_the_bootstrap_finds_the_standard_error_of_a_mean() -> None:
    x = np.random.default_rng(0).standard_normal(400)
    score = Mean(np.column_stack([np.ones(400), x]))
    assert score.value == pytest.approx(x.mean())
    assert score.standard_error == pytest.approx(x.std() / 20, rel=0.1)
    better = Mean(np.column_stack([np.ones(400), x + 1]))
    assert better.difference(score) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))
    assert Mean.unpack(score.pack(), 400).value == score.value
    with pytest.raises(MeasurementError, match="400 and of 3 examples"):
        score.difference(score.head(3))


def test_differences_keep_their_sign() -> None:
    good, bad = (Accuracy(np.array(a, bool)) for a in ([1, 1, 1, 0], [1, 0, 1, 0]))
    assert good.difference(bad)[0] == 25.0 and bad.difference(good)[0] == -25.0


def test_guessing_is_told_by_the_lower_end() -> None:
    """Among two classes 58 ± 5 % may be guessing (58 − 1.645 · 5 < 50); 59 ± 5 % is not."""

    class Two:
        classes = ("a", "b")

    task = ImageTask()
    assert task.no_better_than(58.0, 5.0, Two()) is not None and task.no_better_than(59.0, 5.0, Two()) is None  # type: ignore[arg-type]
    assert TranslationTask().no_better_than(0.9, 0.0, Two()) == "nothing:"  # type: ignore[arg-type]
    assert TranslationTask().no_better_than(1.0, 0.0, Two()) is None  # type: ignore[arg-type]


def test_tasks_are_found_by_name() -> None:
    assert {"images", "text", "translation"} <= set(catalogue.names())
    assert isinstance(catalogue.find("images"), ImageTask)
    with pytest.raises(DataError, match=r"task 'image'.*Did you mean 'images'"):
        catalogue.find("image")
