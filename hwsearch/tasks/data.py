"""Labelled examples of one split, and the inputs that a network takes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor, nn

from hwsearch._typing import IntArray
from hwsearch.errors import DataError

#: a limit of examples that no data set reaches
NO_LIMIT = 10**9

#: what a network is called with: one tensor, or several in the order of its parameters
Inputs = Tensor | tuple[Tensor, ...]


def forward(net: nn.Module, inputs: Inputs) -> Tensor:
    """Call a network with one batch of inputs.

    Parameters
    ----------
    net : torch.nn.Module
        Any network with one output.
    inputs : Tensor or tuple of Tensor
        The inputs of one batch, as `Data.batches` yields them.

    Returns
    -------
    Tensor
        The network's output.
    """
    output: Tensor = net(inputs) if isinstance(inputs, Tensor) else net(*inputs)
    return output


def class_labels(labels: ArrayLike, name: str) -> IntArray:
    """Take class indices as whole numbers.

    Parameters
    ----------
    labels : array-like
        Class indices, shape ``(N,)``.
    name : str
        Of the data set, for messages.

    Returns
    -------
    IntArray
        The same, as int64.

    Raises
    ------
    DataError
        If they are no row of whole numbers.
    """
    found = np.asarray(labels)
    with np.errstate(invalid="ignore"):  # too large for a whole number of 64 bits
        whole = found.astype(np.int64) if found.dtype.kind in "iufb" and np.isfinite(found).all() else None
    if found.ndim != 1 or whole is None or not (whole == found).all():
        raise DataError(
            f"labels of data set {name!r} are no row of whole numbers: {found.dtype} of shape {found.shape}.",
            hint="Give each example the index of its class, from 0.",
        )
    return whole


def check_classes(labels: IntArray, classes: Sequence[str], name: str) -> None:
    """Check that labels are indices of classes.

    Parameters
    ----------
    labels : IntArray
        At least one, of `class_labels`.
    classes : sequence of str
        The classes.
    name : str
        Of the data set, for messages.

    Raises
    ------
    DataError
        If one is not; names it.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(classes):
        raise DataError(f"data set {name!r} has label {low if low < 0 else high}, but {len(classes)} classes.")


class Data(ABC):
    """Labelled examples of one split.

    Each task has its own subclass. A subclass implements the five abstract members; `head` and `without` follow from
    them. Objects are not changed after construction.

    Attributes
    ----------
    name : str
        Where the examples come from, for messages.
    classes : tuple of str
        Names of the classes, in the order of the network's outputs; empty where outputs are not classes.
    """

    name: str
    classes: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, indices: IntArray) -> Self:
        """Select examples.

        Parameters
        ----------
        indices : IntArray
            Positions of the examples, shape ``(k,)``, in the order wanted.

        Returns
        -------
        Self
            The k examples, of the same name, classes and preprocessing.

        Raises
        ------
        DataError
            If `indices` is empty.
        """

    @abstractmethod
    def key(self, i: int) -> Hashable:
        """Identify the content of one example, to find it again in other splits.

        Parameters
        ----------
        i : int
            Position of the example.

        Returns
        -------
        Hashable
            Equal for examples that count as the same one, whatever their labels.
        """

    @property
    @abstractmethod
    def digest(self) -> str:
        """Twelve hexadecimal digits that change whenever an example or a label does."""

    @abstractmethod
    def batches(self, size: int, batch: int) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield the examples in order, ready for the network.

        Parameters
        ----------
        size : int
            What inputs are prepared for (`hwsearch.supernets.base.Supernet.input_size`): the side of images in pixels,
            the most tokens of a sequence. A task whose inputs have one size ignores it.
        batch : int
            Examples in each batch; the last one may have fewer.

        Yields
        ------
        tuple of (Inputs, Tensor)
            Inputs of the network and targets, both with the examples along the first axis.
        """

    def head(self, n: int) -> Self:
        """Select the first examples.

        Parameters
        ----------
        n : int
            How many; all are taken where there are fewer.

        Returns
        -------
        Self
            The first `n` examples.
        """
        return self.take(np.arange(min(n, len(self))))

    def without(self, others: Sequence[Data]) -> Self:
        """Select the examples that occur in none of the other data sets, by `key`.

        Parameters
        ----------
        others : sequence of Data
            Data sets to compare with; those of another class share no example with this one.

        Returns
        -------
        Self
            The remaining examples, in order.

        Raises
        ------
        DataError
            If none is left.
        """
        known = {other.key(i) for other in others if type(other) is type(self) for i in range(len(other))}
        return self.take(np.array([i for i in range(len(self)) if self.key(i) not in known], np.int64))

    def keep(self, size: int) -> None:  # noqa: B027 (not every task has something to keep)
        """Prepare all examples for networks of one input size and keep them in memory, if that pays.

        By default nothing is kept.

        Parameters
        ----------
        size : int
            As in `batches`.
        """

    def keep_for_training(self, size: int) -> None:
        """Prepare all examples for a training at one input size, which reads each of them many times.

        By default as `keep` does.

        Parameters
        ----------
        size : int
            As in `batches`.
        """
        self.keep(size)
