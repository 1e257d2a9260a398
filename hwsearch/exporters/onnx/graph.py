"""The nodes and constants of one ONNX graph, before they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor

from hwsearch.exporters.onnx.dims import NoRuleError

#: element types that models can have: torch's → ONNX's
TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.bool: TensorProto.BOOL,
}
#: suffix of the name of a transposed weight
TRANSPOSED = ".T"
#: value of a node's attribute: a number, a text, a list of numbers or a tensor
Attribute = Any


@dataclass
class Node:
    """One node of a graph.

    Attributes
    ----------
    kind : str
        ONNX operator, or ``Norm``: a batch norm with its float64 ``scale`` and ``shift``, of shape (1, C, 1, …), as
        attributes, which `hwsearch.exporters.onnx.passes.fold_norms` replaces.
    inputs : list of str
        Names of its inputs.
    outputs : list of str
        Names of its outputs.
    attributes : dict
        Attributes of the operator.
    """

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Attribute] = field(default_factory=dict)


class Graph:
    """Nodes in order and constants; each tensor has one name and one producer.

    Parameters
    ----------
    reserved : sequence of str
        Names that nodes and constants must not get.
    names : dict
        Identity of a tensor of the network → its name there.

    Attributes
    ----------
    nodes : list of Node
        Nodes in an order in which they can be run.
    constants : dict
        Name → tensor.

    Examples
    --------
    >>> graph = Graph(["x"], {})
    >>> graph.emit("Relu", ["x"]) == graph.emit("Relu", ["x"])
    True
    >>> len(graph.nodes)
    1
    """

    def __init__(self, reserved: Sequence[str], names: dict[int, str]) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, Tensor] = {}
        self._paths = names
        self._taken = set(reserved)
        self._numbers: Counter[str] = Counter()
        # what was made before is used again
        self._emitted: dict[Hashable, list[str]] = {}
        self._named: dict[tuple[int, str], tuple[str, Tensor]] = {}
        self._tensors: dict[tuple[str, torch.dtype], Tensor] = {}

    def fresh(self, hint: str) -> str:
        """Find a name that nothing in the graph has.

        Parameters
        ----------
        hint : str
            The name, to which a number is added where it is taken.

        Returns
        -------
        str
            The name, which is taken from now on.
        """
        while True:
            name = f"{hint}_{self._numbers[hint]}" if self._numbers[hint] else hint
            self._numbers[hint] += 1
            if name not in self._taken:
                self._taken.add(name)
                return name

    def emit(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Attribute) -> list[str]:
        """Add a node, unless an equal one is there.

        Parameters
        ----------
        kind : str
            ONNX operator.
        inputs : sequence of str
            Names of the inputs.
        outputs : int, default 1
            Number of outputs.
        **attributes
            Attributes of the operator.

        Returns
        -------
        list of str
            Names of the outputs of the node, or of the equal one.
        """
        key = (kind, *inputs, outputs, *((k, tuple(v) if isinstance(v, list) else v) for k, v in attributes.items()))
        if key not in self._emitted:
            names = [self.fresh(kind) for _ in range(outputs)]
            self.nodes.append(Node(kind, list(inputs), names, attributes))
            self._emitted[key] = names
        return self._emitted[key]

    def norm(self, name: str, scale: Tensor, shift: Tensor) -> str:
        """Add a batch norm with fixed statistics: ``name * scale + shift``.

        Parameters
        ----------
        name : str
            Name of the input.
        scale, shift : Tensor
            float64, of shape (1, C, 1, …).

        Returns
        -------
        str
            Name of the output.
        """
        out = self.fresh("Norm")
        self.nodes.append(Node("Norm", [name], [out], {"scale": scale, "shift": shift}))
        return out

    def constant(self, value: Tensor, suffix: str = "") -> str:
        """Add a constant; one tensor has one name, whatever uses it.

        Parameters
        ----------
        value : Tensor
            The constant.
        suffix : str, default ""
            Appended to the name: what was made of a weight. `TRANSPOSED` stores the transpose.

        Returns
        -------
        str
            Name of the constant.

        Raises
        ------
        NoRuleError
            If models cannot have its type.
        """
        key = (id(value), suffix)
        if key not in self._named:
            if value.dtype not in TYPES:
                raise NoRuleError(f"a constant of type {value.dtype}")
            path = self._paths.get(id(value))
            name = self.fresh(f"{path}{suffix}" if path else "constant")
            self.constants[name] = value.detach().t() if suffix == TRANSPOSED else value.detach()
            self._named[key] = (name, value)  # a tensor that lives on keeps its id
        return self._named[key][0]

    def number(self, value: float | bool | Sequence[int], dtype: torch.dtype = torch.int64) -> str:
        """Add a scalar or a list of integers as a constant.

        Parameters
        ----------
        value : float, bool or sequence of int
            The number or numbers.
        dtype : torch.dtype, default torch.int64
            Type of the constant.

        Returns
        -------
        str
            Name of the constant.
        """
        key = (str(value), dtype)  # 1 == 1.0 == True
        if key not in self._tensors:
            self._tensors[key] = torch.tensor(value, dtype=dtype)
        return self.constant(self._tensors[key])

    def rename(self, old: str, new: str) -> None:
        """Rename a tensor wherever it is made or used.

        Parameters
        ----------
        old, new : str
            Its name before and after.
        """
        for node in self.nodes:
            node.inputs = [new if n == old else n for n in node.inputs]
            node.outputs = [new if n == old else n for n in node.outputs]
