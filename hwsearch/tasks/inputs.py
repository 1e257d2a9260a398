"""What a model takes: names, shapes and kinds of its inputs, without any network or runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Input:
    """One input of a deployed model.

    shape : without the batch axis, as it is timed
    high : integers below it are drawn when the model is timed (int64); 0: standard normal float32
    low : the smallest integer drawn
    axes : names of the axes in `shape` that a user of the file may vary, None where they are fixed
    batch_axis : where the batch stands; None: the input has no batch axis
    """

    name: str
    shape: tuple[int, ...]
    high: int = 0
    low: int = 0
    axes: tuple[str | None, ...] = ()
    batch_axis: int | None = 0

    def full_shape(self, batch: int) -> tuple[int, ...]:
        """The shape with the batch axis in its place."""
        if self.batch_axis is None:
            return self.shape
        return (*self.shape[: self.batch_axis], batch, *self.shape[self.batch_axis :])

    def dynamic_axes(self, batch: str | None = "batch") -> dict[int, str]:
        """Axis number (batch axis included) → name, of the axes that may vary."""
        names: list[str | None] = [*self.axes, *[None] * (len(self.shape) - len(self.axes))]
        if self.batch_axis is not None:
            names.insert(self.batch_axis, batch)
        return {i: name for i, name in enumerate(names) if name is not None}

    def sample(self, batch: int, rng: np.random.Generator) -> NDArray[np.float32] | NDArray[np.int64]:
        """Random values to time or to trace the model with."""
        shape = self.full_shape(batch)
        if self.high:
            return rng.integers(self.low, self.high, size=shape, dtype=np.int64)
        return rng.standard_normal(shape).astype(np.float32)


def image(shape: tuple[int, ...]) -> tuple[Input, ...]:
    """The one input of an image network: ``image``, float32 (N, *shape)."""
    return (Input("image", tuple(shape)),)


#: what a model takes: the (C, H, W) of one image, or any inputs
InputsLike = tuple[int, ...] | Sequence[Input]


def as_inputs(inputs: InputsLike) -> tuple[Input, ...]:
    """Inputs in full; the shape of one image is shorthand for `image`."""
    if all(isinstance(i, int) for i in inputs):
        return image(tuple(inputs))  # type: ignore[arg-type]
    return tuple(inputs)  # type: ignore[arg-type]
