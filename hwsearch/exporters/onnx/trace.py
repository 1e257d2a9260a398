"""What a network computes, found by running its own forward pass on values that have shapes but no numbers.

Every function of torch that meets such a value is written down as ONNX nodes by its rule (`rule`); what is computed
from weights and numbers alone is computed at once and becomes a constant. Sizes of fixed axes are plain integers, on
which a network's code may branch; sizes of variable axes are `Dim`s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hwsearch.exporters.onnx.dims import Atom, Dim, NoRule, Size
from hwsearch.exporters.onnx.graph import TRANSPOSED, TYPES, Graph
from hwsearch.tasks.inputs import Input

#: name of a function or method of torch → what writes it down, with torch's own names of arguments after the trace
RULES: dict[str, Callable[..., Any]] = {}


def rule(*names: str, view: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a rule ``(trace, …) → Value`` for functions of torch. view : the result may share its input's memory"""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def viewing(trace: Trace, x: Any, *args: Any, **kwargs: Any) -> Any:
            result = function(trace, x, *args, **kwargs)
            for v in result if isinstance(result, (tuple, list)) else [result]:
                if v is not x:
                    v.shared = True
                    if isinstance(x, Value):
                        x.shared = True
            return result

        RULES.update(dict.fromkeys(names, viewing if view else function))
        return function

    return register


#: what values are made of: their numbers are never looked at
NOTHING = torch.empty(0)


class Value(Tensor):
    """A tensor of the traced network: a name, a shape and a type, but no numbers.

    To a network's code it is a `torch.Tensor`; all that it does goes through the rules.

    shared : another value may have the same memory, so that no rule can follow a change in place
    """

    # in place of what torch would say about `NOTHING`
    name: str = ""  # type: ignore[assignment]
    shape: Any = ()
    dtype: Any = None
    device: Any = torch.device("cpu")
    requires_grad: Any = False
    is_sparse: Any = False
    is_quantized: Any = False
    is_nested: Any = False
    is_cuda: Any = False
    shared: bool = False
    run: Trace

    def __new__(cls, trace: Trace, name: str, shape: Sequence[Size], dtype: torch.dtype) -> Value:
        self: Value = Tensor._make_subclass(cls, NOTHING)
        self.run, self.name, self.shape, self.dtype = trace, name, tuple(shape), dtype
        return self

    def __init__(self, *_: Any) -> None:
        pass

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What rules themselves do with values; the network's own calls come through the trace."""
        first = next((x for x in args if isinstance(x, Value)), None)
        if first is None:
            raise NoRule(f"torch's {function.__name__!r} of values in a list")
        return first.run.call(function.__name__, args, kwargs)

    def dim(self) -> int:
        return len(self.shape)

    ndimension = dim
    ndim = property(dim)  # type: ignore[assignment]

    def size(self, dim: int | None = None) -> Any:  # type: ignore[override]
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> Any:
        total: Any = 1
        for size in self.shape:
            total = total * size
        return total

    def is_floating_point(self) -> bool:
        return bool(self.dtype.is_floating_point)

    T: Any = property(lambda self: self.run.call("t", (self,)))
    mT: Any = property(lambda self: self.run.call("transpose", (self, -2, -1)))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.run.call("unbind", (self,)))

    def _number(self, *_: Any) -> Any:
        raise NoRule("a tensor's number")

    __bool__ = __int__ = __float__ = __index__ = _number


#: function of torch → other names of it
OTHER_NAMES = {
    "abs": ("absolute",),
    "bitwise_and": ("and",),
    "bitwise_not": ("invert",),
    "bitwise_or": ("or",),
    "bitwise_xor": ("xor",),
    "cat": ("concat", "concatenate"),
    "clamp": ("clip",),
    "div": ("truediv", "true_divide", "divide"),
    "mul": ("multiply",),
    "neg": ("negative",),
    "rdiv": ("rtruediv",),
    "sub": ("subtract",),
    "transpose": ("swapaxes", "swapdims"),
}
SYNONYMS = {other: name for name, others in OTHER_NAMES.items() for other in others}


class Trace(TorchFunctionMode):
    """One run of a network; `graph` fills with what it does."""

    def __init__(self, net: nn.Module, taken: Sequence[str]) -> None:
        super().__init__()
        tensors = [*net.named_parameters(), *net.named_buffers()]
        self.graph = Graph(taken, {id(v): k for k, v in tensors})

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not any(map(_traced, (*args, *kwargs.values()))):
            return function(*args, **kwargs)
        return self.call(function.__name__, args, kwargs)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        """What a function gives for values; a change in place gives the value that was changed."""
        if name.startswith("__"):
            name = name[2:-2]
            if name.startswith("i") and SYNONYMS.get(name[1:], name[1:]) in RULES:  # += and the like
                return self.call(f"{SYNONYMS.get(name[1:], name[1:])}_", args, kwargs)
        name = SYNONYMS.get(name, name)
        if name in RULES:
            return RULES[name](self, *args, **kwargs or {})
        if name.endswith("_") and name[:-1] in RULES:
            return self.overwrite(args[0], RULES[name[:-1]](self, *args, **kwargs or {}))
        raise NoRule(f"torch's {name!r}")

    def overwrite(self, value: Any, result: Value) -> Value:
        """Let `value` be `result` from now on."""
        if not isinstance(value, Value) or value.shared or value.dtype != result.dtype:
            raise NoRule("a change in place of what has several names")
        value.name, value.shape = result.name, result.shape
        return value

    # ------------------------------------------------------------------ for rules
    def op(
        self, kind: str, inputs: Sequence[Any], shape: Sequence[Size], dtype: torch.dtype, **attributes: Any
    ) -> Value:
        """The value of a new node with one output; inputs: values, tensors or names."""
        (name,) = self.graph.emit(kind, [self.name(x) for x in inputs], **attributes)
        return Value(self, name, shape, dtype)

    def name(self, x: Any) -> str:
        """The name of a value or of a constant."""
        if isinstance(x, Value):
            return x.name
        if isinstance(x, Tensor):
            return self.graph.constant(x)
        if isinstance(x, str):
            return x
        raise NoRule(f"{x!r} where a tensor is expected")

    def transposed(self, weight: Tensor) -> str:
        """The name of a constant with its two axes exchanged."""
        return self.graph.constant(weight, TRANSPOSED)

    def operand(self, x: Any, dtype: torch.dtype) -> str:
        """The name of a value, a tensor or a number as a tensor of this type."""
        if isinstance(x, Dim):
            x = Value(self, self.graph.emit("Squeeze", [self.sizes([x])])[0], (), torch.int64)
        if isinstance(x, (int, float)):
            return self.graph.number(x, dtype)
        if isinstance(x, Value):
            return self.cast(x, dtype).name
        return self.name(x.to(dtype) if isinstance(x, Tensor) else x)

    def cast(self, x: Value, dtype: torch.dtype) -> Value:
        if dtype not in TYPES:
            raise NoRule(f"type {dtype}")
        return x if x.dtype == dtype else self.op("Cast", [x], x.shape, dtype, to=TYPES[dtype])

    def sizes(self, sizes: Sequence[Size]) -> str:
        """The name of the int64 list of these sizes."""
        parts: list[str] = []
        known: list[int] = []
        for size in sizes:
            if isinstance(size, Dim):
                parts += [self.graph.number(known)] * bool(known)
                parts.append(self._size(size))
                known = []
            else:
                known.append(int(size))
        parts += [self.graph.number(known)] * bool(known)
        return parts[0] if len(parts) == 1 else self.graph.emit("Concat", parts, axis=0)[0]

    def _size(self, size: Dim) -> str:
        """The name of a list of one variable size."""
        total = ""
        for atoms, factor in size.terms.items():
            parts = [self._atom(a) for a in atoms]
            if factor != 1 or not parts:
                parts.append(self.graph.number([factor]))
            term = parts[0]
            for part in parts[1:]:
                (term,) = self.graph.emit("Mul", [term, part])
            total = self.graph.emit("Add", [total, term])[0] if total else term
        return total

    def _atom(self, atom: Atom) -> str:
        of, number = atom.source
        if isinstance(of, Dim):
            return self.graph.emit("Div", [self._size(of), self.graph.number([number])])[0]  # type: ignore[list-item]
        return self.graph.emit("Shape", [of], start=number, end=number + 1)[0]  # type: ignore[operator]

    def measured(self, value: Value, axis: int) -> Value:
        """`value` with the size of an axis left to be read from the tensor itself."""
        shape = list(value.shape)
        shape[axis] = Dim.of(Atom(f"{value.name}.{axis}", (value.name, axis)))
        value.shape = tuple(shape)
        return value


def _traced(x: Any) -> bool:
    if isinstance(x, (Value, Dim)):
        return True
    if isinstance(x, (tuple, list)):
        return any(map(_traced, x))
    return isinstance(x, slice) and any(map(_traced, (x.start, x.stop, x.step)))


def result_type(a: Any, b: Any) -> torch.dtype:
    """The type that torch gives to a function of two values, tensors or numbers."""
    return torch.result_type(_example(a), _example(b))


def _example(x: Any) -> Any:
    return _empty(x.dtype, len(x.shape) > 0) if isinstance(x, Tensor) else 1 if isinstance(x, Dim) else x


@lru_cache(None)
def _empty(dtype: torch.dtype, axes: bool) -> Tensor:
    return torch.empty((1,) * axes, dtype=dtype, device="meta")


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """The network in evaluation mode; each of its modules gets its own mode back."""
    training = [m for m in net.modules() if m.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def trace(
    net: nn.Module, inputs: Sequence[Input], batch: int | None, outputs: Sequence[str]
) -> tuple[Graph, list[Value], list[Value]]:
    """(graph, inputs, outputs) of a network in evaluation mode, outputs under the given names.

    Axes of equal name are taken to be equal. Raises `NoRule` for what cannot be followed.
    """
    run = Trace(net, [*(i.name for i in inputs), *outputs])
    atoms: dict[str, Atom] = {}
    values = []
    for i in inputs:
        shape: list[Size] = list(i.full_shape(batch or 1))
        for axis, name in i.dynamic_axes(None if batch else "batch").items():
            shape[axis] = Dim.of(atoms.setdefault(name, Atom(name, (i.name, axis))))
        values.append(Value(run, i.name, shape, torch.int64 if i.high else torch.float32))
    placed = [Value(run, v.name, v.shape, v.dtype) for v in values]
    random = torch.get_rng_state()
    try:
        with evaluating(net), torch.no_grad(), run:
            given = net(*values)
        if not torch.equal(random, torch.get_rng_state()):
            raise NoRule("random numbers")
    except NoRule:
        raise
    except Exception as error:  # whatever a network's code does with what is no tensor
        raise NoRule(f"{type(error).__name__}: {error}") from error
    found = [given] if isinstance(given, Value) else list(given) if isinstance(given, (tuple, list)) else []
    if len(found) != len(outputs) or not all(isinstance(v, Value) for v in found):
        raise NoRule(f"outputs that are not {len(outputs)} tensors")
    graph, results = run.graph, []
    own = {n for op in graph.ops for n in op.outputs}
    renamed: dict[str, str] = {}
    for name, value in zip(outputs, found, strict=True):
        source = renamed.get(value.name, value.name)
        if source in own:
            own.discard(source)
        else:  # an input, a constant, or what is an output already
            (source,) = graph.emit("Identity", [source])
        graph.rename(source, name)
        renamed.setdefault(value.name, name)
        results.append(Value(run, name, value.shape, value.dtype))
    graph.fold_norms(outputs)
    graph.prune(outputs)
    return graph, placed, results
