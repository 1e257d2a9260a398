"""Data sets of all tasks: the first examples, those that occur nowhere else, and calls of networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch._typing import IntArray
from hwsearch.errors import DataError
from hwsearch.tasks.data import NO_LIMIT, Data, check_classes, class_labels, forward


@dataclass
class Numbers(Data):
    """Examples that are numbers; those of the same tens count as the same one."""

    items: tuple[int, ...]
    name: str = "numbers"
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def take(self, indices: IntArray) -> Numbers:
        assert indices.dtype.kind == "i"
        if not len(indices):
            raise DataError("nothing is left.")
        return type(self)(tuple(self.items[i] for i in indices))

    def key(self, i: int) -> int:
        return self.items[i] // 10

    @property
    def digest(self) -> str:
        return "0" * 12

    def batches(self, size: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.tensor(self.items), torch.tensor(self.items)


class Others(Numbers):
    """Of another task."""


DATA = Numbers((1, 12, 23, 34))


@pytest.mark.parametrize(("n", "items"), [(1, (1,)), (3, (1, 12, 23)), (4, DATA.items), (NO_LIMIT, DATA.items)])
def test_the_first_examples_or_all(n: int, items: tuple[int, ...]) -> None:
    assert DATA.head(n).items == items


def test_examples_of_other_sets_are_left_out_by_their_keys_and_the_order_stays() -> None:
    assert DATA.without([Numbers((19,)), Numbers((39, 99))]).items == (1, 23)
    assert DATA.without([]).items == DATA.items
    assert DATA.without([Others((1, 12))]).items == DATA.items  # of another kind: nothing is shared
    with pytest.raises(DataError, match="nothing is left"):
        DATA.without([Numbers((0, 10)), Numbers((20, 30))])


def test_nothing_is_kept_by_default() -> None:
    DATA.keep(7)
    assert vars(DATA).keys() == {"items", "name", "classes"}


def test_one_input_or_several_in_the_order_of_the_parameters() -> None:
    class Difference(nn.Module):
        def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
            return a if b is None else a - b

    a, b = torch.tensor([3.0]), torch.tensor([1.0])
    assert forward(Difference(), a).item() == 3.0 and forward(Difference(), (a, b)).item() == 2.0


def test_class_labels_are_whole_numbers() -> None:
    for given in ([0, 2, 1], [0.0, 2.0, 1.0], np.array([0, 2, 1], np.uint8)):
        found = class_labels(given, "photos")
        assert found.dtype == np.int64 and found.tolist() == [0, 2, 1]
    for given in ([0.5, 1], [float("nan"), 1], [[0], [1]], ["a", "b"], [10.0**30, 0]):
        with pytest.raises(DataError, match="labels of data set 'photos' are no row of whole numbers"):
            class_labels(given, "photos")


@pytest.mark.parametrize(("labels", "wrong"), [([0, 2, 1], 2), ([0, 5, -3], -3)])
def test_a_label_of_no_class_is_named(labels: list[int], wrong: int) -> None:
    with pytest.raises(DataError, match=f"data set 'photos' has label {wrong}, but 2 classes"):
        check_classes(np.array(labels), ("a", "b"), "photos")
    check_classes(np.array([0, 1, 1]), ("a", "b"), "photos")
