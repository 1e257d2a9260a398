"""Inputs of a model: names, shapes and kinds, without any network or runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Input:
    """One input of a deployed model.

    Parameters
    ----------
    name : str
        The input's name in the model file.
    shape : tuple of int
        Shape without the batch axis, as the model is timed.
    high : int
        Integers (int64) below it are drawn when the model is timed; 0: standard normal float32.
    low : int
        The smallest integer drawn.
    axes : tuple of str or None
        Names of the axes of `shape` that a user of the file may vary; None where they are fixed.
    batch_axis : int or None
        Where the batch stands; None: the input has no batch axis.

    Examples
    --------
    >>> Input("tokens", (128,), high=30522, axes=("length",)).dynamic_axes()
    {0: 'batch', 1: 'length'}
    """

    name: str
    shape: tuple[int, ...]
    high: int = 0
    low: int = 0
    axes: tuple[str | None, ...] = ()
    batch_axis: int | None = 0

    def full_shape(self, batch: int) -> tuple[int, ...]:
        """Insert the batch axis into the shape.

        Parameters
        ----------
        batch : int
            Examples in a batch.

        Returns
        -------
        tuple of int
            The shape of the tensor that the model takes.
        """
        if self.batch_axis is None:
            return self.shape
        return (*self.shape[: self.batch_axis], batch, *self.shape[self.batch_axis :])

    def dynamic_axes(self, batch: str | None = "batch") -> dict[int, str]:
        """Name the axes that may vary, as ONNX exporters take them.

        Parameters
        ----------
        batch : str or None
            The name of the batch axis; None where the batch is fixed.

        Returns
        -------
        dict of int to str
            Number of the axis, batch axis included, to its name.
        """
        names: list[str | None] = [*self.axes, *[None] * (len(self.shape) - len(self.axes))]
        if self.batch_axis is not None:
            names.insert(self.batch_axis, batch)
        return {i: name for i, name in enumerate(names) if name is not None}

    def sample(self, batch: int, rng: np.random.Generator) -> NDArray[np.float32] | NDArray[np.int64]:
        """Draw random values to time or to trace the model with.

        Parameters
        ----------
        batch : int
            Examples in the batch.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray
            int64 or float32, of the shape that `full_shape` gives.
        """
        shape = self.full_shape(batch)
        if self.high:
            return rng.integers(self.low, self.high, size=shape, dtype=np.int64)
        return rng.standard_normal(shape).astype(np.float32)


def image(shape: tuple[int, ...]) -> tuple[Input, ...]:
    """Describe the one input of an image network.

    Parameters
    ----------
    shape : tuple of int
        Channels, height and width.

    Returns
    -------
    tuple of Input
        The input ``image``, float32 ``(N, *shape)``.
    """
    return (Input("image", tuple(shape)),)


#: what a model takes: the (C, H, W) of one image, or any inputs
InputsLike = tuple[int, ...] | Sequence[Input]


def as_inputs(inputs: InputsLike) -> tuple[Input, ...]:
    """Spell out inputs, where the shape of one image is a shorthand for `image`.

    Parameters
    ----------
    inputs : tuple of int or sequence of Input
        The shape of one image, or any inputs.

    Returns
    -------
    tuple of Input
        The inputs.
    """
    if all(isinstance(i, int) for i in inputs):
        return image(tuple(inputs))  # type: ignore[arg-type]
    return tuple(inputs)  # type: ignore[arg-type]
