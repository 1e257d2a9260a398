"""Tensors of a traced network: they have a name, a shape and a type, but no numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from typing_extensions import override

from hwsearch.exporters.onnx.dims import Dim, NoRuleError, Size

#: whatever a network's code may hand to a function of torch: tensors, numbers, sizes, types, sequences of them, None
Argument = Any
#: an operand of arithmetic: a tensor, traced or constant, a number, or a variable size
Operand = Tensor | Dim | int | float
#: the type of an output, where a caller may leave it open
OptionalType = torch.dtype | None
#: where a tensor lies, which says nothing about a model
Device = torch.device | str | int | None

#: what traced tensors are made of: its numbers are never looked at
NOTHING = torch.empty(0)


class Recorder(Protocol):
    """Records calls of torch functions on traced tensors (`hwsearch.exporters.onnx.tracer.OnnxTracer`)."""

    def call(self, name: str, args: tuple[Argument, ...], kwargs: dict[str, Argument] | None = None) -> Argument:
        """Record one call.

        Parameters
        ----------
        name : str
            Name of the torch function.
        args : tuple
            Positional arguments.
        kwargs : dict, optional
            Keyword arguments.

        Returns
        -------
        TracedTensor or tuple
            What the call gives.
        """
        ...


class TracedTensor(Tensor):
    """A tensor of the traced network: a name, a shape and a type, but no numbers.

    To a network's code it is a `torch.Tensor`; whatever the code does with it goes through the rules.

    Attributes
    ----------
    recorder : Recorder
        Records what is done with the tensor.
    name : str
        Name of the tensor in the ONNX graph.
    shape : sequence of int or Dim
        Sizes of the axes; variable ones are `Dim`.
    dtype : torch.dtype
        Type of the elements.
    shared : bool
        Whether another tensor may have the same memory, so that no rule can follow a change in place.
    """

    # in place of what torch would say about `NOTHING`
    name: str = ""  # type: ignore[assignment]
    shape: Argument = ()
    dtype: Argument = None
    device: Argument = torch.device("cpu")
    requires_grad: bool = False
    is_sparse: bool = False
    is_quantized: bool = False
    is_nested: bool = False
    is_cuda: bool = False
    shared: bool = False
    recorder: Recorder

    def __new__(cls, recorder: Recorder, name: str, shape: Sequence[Size], dtype: torch.dtype) -> TracedTensor:
        """Make a tensor without numbers; torch's own constructor would want some."""
        self: TracedTensor = Tensor._make_subclass(cls, NOTHING)
        self.recorder, self.name, self.shape, self.dtype = recorder, name, tuple(shape), dtype
        return self

    def __init__(self, *_: Argument) -> None:
        pass

    @classmethod
    def __torch_function__(
        cls, function: Argument, types: Argument, args: Argument = (), kwargs: Argument = None
    ) -> Argument:
        """Record what rules themselves do with tensors; the network's own calls come through the tracer."""
        first = next((x for x in args if isinstance(x, TracedTensor)), None)
        if first is None:
            raise NoRuleError(f"torch's {function.__name__!r} of tensors in a list")
        return first.recorder.call(function.__name__, args, kwargs)

    @override
    def dim(self) -> int:
        return len(self.shape)

    ndimension = dim
    ndim = property(dim)  # type: ignore[assignment]

    @override
    def size(self, dim: int | None = None) -> Argument:  # type: ignore[override]
        return self.shape if dim is None else self.shape[dim]

    @override
    def numel(self) -> Argument:
        total: Size = 1
        for size in self.shape:
            total = total * size
        return total

    @override
    def is_floating_point(self) -> bool:
        return bool(self.dtype.is_floating_point)

    T: Argument = property(lambda self: self.recorder.call("t", (self,)))
    mT: Argument = property(lambda self: self.recorder.call("transpose", (self, -2, -1)))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Argument]:
        return iter(self.recorder.call("unbind", (self,)))

    def _number(self, *_: Argument) -> Argument:
        raise NoRuleError("a tensor's number")

    __bool__ = __int__ = __float__ = __index__ = _number


def result_type(a: Operand, b: Operand) -> torch.dtype:
    """Find the type that torch gives to a function of two operands.

    Parameters
    ----------
    a, b : Tensor, Dim, int or float
        The operands; of tensors only the type counts, and whether they have axes.

    Returns
    -------
    torch.dtype
        Type after promotion, as of `torch.result_type`.
    """
    return torch.result_type(_example(a), _example(b))


def _example(x: Operand) -> Argument:
    return _empty(x.dtype, len(x.shape) > 0) if isinstance(x, Tensor) else 1 if isinstance(x, Dim) else x


@lru_cache(None)
def _empty(dtype: torch.dtype, axes: bool) -> Tensor:
    return torch.empty((1,) * axes, dtype=dtype, device="meta")
