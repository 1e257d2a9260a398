"""The base of tasks: names derived from others, and defaults that change nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwsearch.tasks.base import Augmentation, Task
from hwsearch.tasks.images import ImageTask, Preprocess, from_arrays


def task(**names: str) -> Task:
    """A task of a score of one's own; what it would read or judge is not there."""
    abstract = {name: lambda self, *_, **__: None for name in Task.__abstractmethods__}
    return type("Mine", (Task,), {"name": "mine", "score_name": "Top-1", **abstract, **names})()


@pytest.mark.parametrize(
    ("names", "label", "key", "field", "difference"),
    [
        ({}, "Top-1", "top-1", "top-1", "Top-1"),
        ({"score_unit": "%", "score_key": "top1"}, "Top-1", "top1", "top1_percent", "pt"),
        ({"score_unit": "dB", "score_label": "fidelity"}, "fidelity", "top-1", "top-1", "dB"),
        ({"score_name": "BLEU"}, "BLEU", "bleu", "bleu", "BLEU"),
    ],
)
def test_names_that_are_not_given_follow_from_the_scores(names, label, key, field, difference) -> None:
    found = task(**names)
    assert (found.score_label, found.score_key) == (label, key)
    assert (found.score_field, found.difference_unit) == (field, difference)


def test_defaults_change_nothing() -> None:
    found, x = task(), torch.arange(4.0)
    assert found.split("photos", "train") == "photos:train"
    assert found.resize(x, 7) is x and found.describe_size(7) == {}
    assert found.no_better_than(0.0, 9.0, SimpleNamespace()) is None  # type: ignore[arg-type]
    assert Augmentation() == Augmentation(crop_padding=0, mirror=True)


def test_what_is_distilled_is_the_mean_square() -> None:
    loss = task().distillation_loss(torch.tensor([1.0, 4.0]), torch.tensor([0.0, 2.0]), torch.zeros(2))
    assert float(loss) == 2.5


def test_a_training_batch_is_by_default_the_examples_in_the_order_asked_for() -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), dtype=np.uint8)
    data = from_arrays(images, np.arange(5), tuple("abcde"), Preprocess())
    x, y = task().training_batch(data, np.array([3, 1]), 8, np.random.default_rng(0), Augmentation())
    assert y.tolist() == [3, 1]
    whole, _ = next(data.batches(8, 5))
    assert torch.equal(x, whole[[3, 1]])
    assert ImageTask.score_field.fget(ImageTask()).endswith("_percent")
