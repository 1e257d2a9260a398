"""What a model takes: names, shapes and kinds of its inputs, without any network or runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Data(Protocol):
    """Labelled examples of one split. `hwsearch.images`, `hwsearch.text` and `hwsearch.translation` have such classes.

    name : for messages; classes : names of the classes, empty where outputs are not classes
    """

    name: str
    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def head(self, n: int) -> Data:
        """The first n examples (all, if there are fewer)."""
        ...

    def take(self, indices: NDArray[np.int64]) -> Data:
        """The examples at `indices`, in that order."""
        ...

    def without(self, others: Sequence[Data]) -> Data:
        """The examples that are in none of the others; of another kind nothing is the same. `DataError` if none is left."""
        ...

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when an example or a label does."""
        ...

    def batches(self, size: int, batch: int) -> Iterator[tuple[Tensor | tuple[Tensor, ...], Tensor]]:
        """(inputs, targets) in order; `size`: side in pixels of images, tokens of sequences."""
        ...
