"""Record what a network computes, by running its own forward pass on tensors without numbers.

Every function of torch that meets such a tensor is written down as ONNX nodes by its rule
(`hwsearch.exporters.onnx.registry.rule`); what is computed from weights and numbers alone is computed at once and
becomes a constant. Sizes of fixed axes are plain integers, on which a network's code may branch; sizes of variable axes
are `Dim` objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hwsearch.exporters.onnx.dims import Atom, Dim, NoRuleError, Size
from hwsearch.exporters.onnx.graph import TRANSPOSED, TYPES, Graph
from hwsearch.exporters.onnx.registry import RULES, SYNONYMS
from hwsearch.exporters.onnx.values import Argument, Operand, TracedTensor


class OnnxTracer(TorchFunctionMode):
    """One traced run of a network, as a context manager; the graph fills with what the network does.

    Parameters
    ----------
    net : nn.Module
        The network; its parameters and buffers give constants their names.
    reserved : sequence of str
        Names of inputs and outputs, which no node and no constant may get.

    Attributes
    ----------
    graph : Graph
        Nodes and constants recorded so far.
    """

    def __init__(self, net: nn.Module, reserved: Sequence[str]) -> None:
        super().__init__()
        tensors = [*net.named_parameters(), *net.named_buffers()]
        self.graph = Graph(reserved, {id(v): k for k, v in tensors})

    def __torch_function__(
        self, function: Argument, types: Argument, args: Argument = (), kwargs: Argument = None
    ) -> Argument:
        kwargs = kwargs or {}
        if not any(map(_traced, (*args, *kwargs.values()))):
            return function(*args, **kwargs)
        return self.call(function.__name__, args, kwargs)

    def call(self, name: str, args: tuple[Argument, ...], kwargs: dict[str, Argument] | None = None) -> Argument:
        """Record one call of a torch function by its rule.

        Parameters
        ----------
        name : str
            Name of the function or method; special methods with their underscores.
        args : tuple
            Positional arguments.
        kwargs : dict, optional
            Keyword arguments.

        Returns
        -------
        TracedTensor or tuple
            What the rule gives; for a change in place the tensor that was changed.

        Raises
        ------
        NoRuleError
            If no rule is registered, or the rule does not cover these arguments.
        """
        if name.startswith("__"):
            name = name[2:-2]
            if name.startswith("i") and SYNONYMS.get(name[1:], name[1:]) in RULES:  # += and the like
                return self.call(f"{SYNONYMS.get(name[1:], name[1:])}_", args, kwargs)
        name = SYNONYMS.get(name, name)
        if name in RULES:
            return RULES[name](self, *args, **kwargs or {})
        if name.endswith("_") and name[:-1] in RULES:
            return self.overwrite(args[0], RULES[name[:-1]](self, *args, **kwargs or {}))
        raise NoRuleError(f"torch's {name!r}")

    def overwrite(self, value: Argument, result: TracedTensor) -> TracedTensor:
        """Record a change in place: `value` becomes `result` from now on.

        Parameters
        ----------
        value : TracedTensor
            Tensor that the network changes.
        result : TracedTensor
            What it holds afterwards.

        Returns
        -------
        TracedTensor
            `value` itself.

        Raises
        ------
        NoRuleError
            If another tensor may share its memory, or the type differs.
        """
        if not isinstance(value, TracedTensor) or value.shared or value.dtype != result.dtype:
            raise NoRuleError("a change in place of what has several names")
        value.name, value.shape = result.name, result.shape
        return value

    # ------------------------------------------------------------------ for rules
    def op(
        self, kind: str, inputs: Sequence[Argument], shape: Sequence[Size], dtype: torch.dtype, **attributes: Argument
    ) -> TracedTensor:
        """Add a node with one output.

        Parameters
        ----------
        kind : str
            ONNX operator.
        inputs : sequence
            Traced tensors, constant tensors or names.
        shape : sequence of int or Dim
            Shape of the output.
        dtype : torch.dtype
            Type of the output.
        **attributes
            Attributes of the ONNX node.

        Returns
        -------
        TracedTensor
            The output.
        """
        (name,) = self.graph.emit(kind, [self.name(x) for x in inputs], **attributes)
        return TracedTensor(self, name, shape, dtype)

    def name(self, x: Argument) -> str:
        """Look up the name of a tensor in the graph; a constant is added to the graph at its first use.

        Parameters
        ----------
        x : Tensor or str
            A traced tensor, a constant, or a name, which is returned as it is.

        Returns
        -------
        str
            Name in the graph.
        """
        if isinstance(x, TracedTensor):
            return x.name
        if isinstance(x, Tensor):
            return self.graph.constant(x)
        if isinstance(x, str):
            return x
        raise NoRuleError(f"{x!r} where a tensor is expected")

    def transposed(self, weight: Tensor) -> str:
        """Add the transpose of a weight as a constant.

        Parameters
        ----------
        weight : Tensor
            Constant of two axes.

        Returns
        -------
        str
            Name of the transposed constant.
        """
        return self.graph.constant(weight, TRANSPOSED)

    def operand(self, x: Operand | str, dtype: torch.dtype) -> str:
        """Make an operand a tensor of the given type, with a cast where needed.

        Parameters
        ----------
        x : Tensor, Dim, int, float or str
            Operand; a string is the name of a tensor that has the type already.
        dtype : torch.dtype
            Type that the operator needs.

        Returns
        -------
        str
            Name in the graph.
        """
        if isinstance(x, Dim):
            x = TracedTensor(self, self.graph.emit("Squeeze", [self.sizes([x])])[0], (), torch.int64)
        if isinstance(x, (int, float)):
            return self.graph.number(x, dtype)
        if isinstance(x, TracedTensor):
            return self.cast(x, dtype).name
        return self.name(x.to(dtype) if isinstance(x, Tensor) else x)

    def cast(self, x: TracedTensor, dtype: torch.dtype) -> TracedTensor:
        """Convert a tensor to another type; no node is added if it has the type.

        Parameters
        ----------
        x : TracedTensor
            The tensor.
        dtype : torch.dtype
            Type wanted.

        Returns
        -------
        TracedTensor
            `x`, or the output of a Cast node.

        Raises
        ------
        NoRuleError
            If models cannot have the type.
        """
        if dtype not in TYPES:
            raise NoRuleError(f"type {dtype}")
        return x if x.dtype == dtype else self.op("Cast", [x], x.shape, dtype, to=TYPES[dtype])

    def sizes(self, sizes: Sequence[Size]) -> str:
        """Make a list of sizes an int64 tensor, computed at run time where sizes are variable.

        Parameters
        ----------
        sizes : sequence of int or Dim
            The sizes.

        Returns
        -------
        str
            Name of the tensor of shape (len(sizes),).
        """
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
        """Write one variable size as a list of length 1."""
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

    def measured(self, value: TracedTensor, axis: int) -> TracedTensor:
        """Replace the size of an axis by one that is read from the tensor at run time; changes `value`.

        Parameters
        ----------
        value : TracedTensor
            Tensor of which the size is not known.
        axis : int
            The axis.

        Returns
        -------
        TracedTensor
            `value`.
        """
        shape = list(value.shape)
        shape[axis] = Dim.of(Atom(f"{value.name}.{axis}", (value.name, axis)))
        value.shape = tuple(shape)
        return value


def _traced(x: Argument) -> bool:
    if isinstance(x, (TracedTensor, Dim)):
        return True
    if isinstance(x, (tuple, list)):
        return any(map(_traced, x))
    return isinstance(x, slice) and any(map(_traced, (x.start, x.stop, x.step)))
