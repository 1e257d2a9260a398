"""The suite of tasks: each fault of a task, its data or its score fails the promise that it breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.errors import MeasurementError
from hwsearch.tasks.classification import Accuracy
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, from_arrays
from hwsearch.testing import TaskConformance


def images(cls: type[ImageData] = ImageData) -> ImageData:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    data = from_arrays(pixels, np.arange(20) % 3, ("a", "b", "c"), Preprocess())
    return cls(data.images, data.labels, data.classes, data.preprocess, data.name)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))


def suite(task: type[ImageTask] = ImageTask, data: type[ImageData] = ImageData) -> TaskConformance:
    class Suite(TaskConformance):
        size = 8

        def make(self) -> ImageTask:
            return task()

        def data(self) -> ImageData:
            return images(data)

        def net(self) -> nn.Module:
            return network()

    return Suite()


PROMISES = [name for name in vars(TaskConformance) if name.startswith("test_")]


@pytest.mark.parametrize("name", PROMISES)
def test_a_sound_task_passes(name: str) -> None:
    getattr(suite(), name)()


def faulty(base: type, **members: Any) -> Any:
    return type("Faulty", (base,), members)


class StaysInEvaluation(ImageTask):
    def evaluate(self, net: Any, data: Any, size: int, *, batch: int = 250) -> Accuracy:
        found = super().evaluate(net, data, size, batch=batch)
        net.eval()
        return found


class ScoresAnything(ImageTask):
    def evaluate(self, net: Any, data: Any, size: int, *, batch: int = 250) -> Any:
        try:
            return super().evaluate(net, data, size, batch=batch)
        except MeasurementError:
            return Accuracy(np.zeros(len(data), bool))


class TakesAnyRecord(ImageTask):
    def unpack(self, record: bytes, n: int) -> Accuracy:
        return super().unpack((record + bytes(n))[: (n + 7) // 8], n)


class Backwards(ImageTask):
    def loss(self, outputs: Any, targets: Any, *, label_smoothing: float = 0.0) -> Any:
        loss = super().loss(outputs, targets)
        return loss if not outputs.requires_grad else loss.detach() * 2 - loss


class Unordered(ImageData):
    def take(self, indices: Any) -> Any:
        found = super().take(np.sort(indices))
        return type(self)(found.images, found.labels, found.classes, found.preprocess, found.name)


@pytest.mark.parametrize(
    ("task", "data", "promise"),
    [
        (faulty(ImageTask, score_key="top 1"), ImageData, "test_names_and_units_are_set"),
        (faulty(ImageTask, small_difference=0.0), ImageData, "test_names_and_units_are_set"),
        (ImageTask, Unordered, "test_data_are_selected_in_order"),
        (ImageTask, faulty(ImageData, key=lambda self, i: b"x"), "test_data_are_selected_in_order"),
        (ImageTask, faulty(ImageData, without=lambda self, others: self), "test_what_occurs_elsewhere_is_left_out"),
        (
            ImageTask,
            faulty(ImageData, digest=property(lambda self: f"{id(self):012}")),
            "test_the_digest_tells_data_apart",
        ),
        (
            ImageTask,
            faulty(ImageData, batches=lambda self, size, batch: list(ImageData.batches(self, size, batch))[:-1]),
            "test_batches_hold_every_example_once",
        ),
        (StaysInEvaluation, ImageData, "test_a_score_is_finite_and_repeats"),
        (TakesAnyRecord, ImageData, "test_a_stored_score_is_the_same_score"),
        (ScoresAnything, ImageData, "test_outputs_that_are_not_numbers_are_refused"),
        (faulty(ImageTask, counts_correct=False), ImageData, "test_right_answers_make_the_score"),
        (Backwards, ImageData, "test_losses_train"),
        (
            faulty(ImageTask, resize=lambda self, inputs, size: inputs + 1),
            ImageData,
            "test_resizing_to_the_same_size_changes_nothing",
        ),
        (
            faulty(
                ImageTask,
                training_batch=lambda self, data, indices, *_: next(
                    data.take(np.random.permutation(len(data))[:3]).batches(8, 3)
                ),
            ),
            ImageData,
            "test_training_batches_depend_on_the_generator_alone",
        ),
    ],
)
def test_a_fault_breaks_its_promise(task: Any, data: Any, promise: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(suite(task, data), promise)()
