"""The nodes and constants of one ONNX graph, before they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from hwsearch.exporters.onnx.dims import NoRule, Size

#: of torch's types, those that models have here
TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.bool: TensorProto.BOOL,
}


@dataclass
class Op:
    """One node. A batch norm is ``Norm``, with its float64 ``scale`` and ``shift`` as attributes, (1, C, 1, …)."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


class Graph:
    """Nodes in order; each tensor has one name and one producer.

    taken : names that nodes and constants must not get
    names : of the network's tensors, by identity
    """

    def __init__(self, taken: Sequence[str], names: dict[int, str]) -> None:
        self.ops: list[Op] = []
        self.constants: dict[str, Tensor] = {}
        self._paths = names
        self._taken = set(taken)
        self._numbers: Counter[str] = Counter()
        self._known: dict[Any, Any] = {}  # what was made before is used again

    def fresh(self, hint: str) -> str:
        """A name nobody has."""
        while True:
            name = f"{hint}_{self._numbers[hint]}" if self._numbers[hint] else hint
            self._numbers[hint] += 1
            if name not in self._taken:
                self._taken.add(name)
                return name

    def emit(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """The names of the outputs of a node; that of an equal one, if there is such."""
        key = (kind, *inputs, outputs, *((k, tuple(v) if isinstance(v, list) else v) for k, v in attributes.items()))
        if key not in self._known:
            names = [self.fresh(kind) for _ in range(outputs)]
            self.ops.append(Op(kind, list(inputs), names, attributes))
            self._known[key] = names
        found: list[str] = self._known[key]
        return found

    def norm(self, name: str, scale: Tensor, shift: Tensor) -> str:
        """``name · scale + shift``; both float64, (1, C, 1, …)."""
        out = self.fresh("Norm")
        self.ops.append(Op("Norm", [name], [out], {"scale": scale, "shift": shift}))
        return out

    def constant(self, value: Tensor, suffix: str = "") -> str:
        """The name of a constant; one tensor has one name, whatever uses it. suffix : tells what was made of a weight"""
        key = (id(value), suffix)
        if key not in self._known:
            if value.dtype not in TYPES:
                raise NoRule(f"a constant of type {value.dtype}")
            path = self._paths.get(id(value))
            name = self.fresh(f"{path}{suffix}" if path else "constant")
            self.constants[name] = value.detach().t() if suffix == TRANSPOSED else value.detach()
            self._known[key] = (name, value)  # a tensor that lives on keeps its id
        found: str = self._known[key][0]
        return found

    def number(self, value: float | bool | Sequence[int], dtype: torch.dtype = torch.int64) -> str:
        """The name of a constant: a scalar, or a list of integers."""
        key = (str(value), dtype)  # 1 == 1.0 == True
        if key not in self._known:
            self._known[key] = torch.tensor(value, dtype=dtype)
        return self.constant(self._known[key])

    # ------------------------------------------------------------------ passes
    def rename(self, old: str, new: str) -> None:
        for op in self.ops:
            op.inputs = [new if n == old else n for n in op.inputs]
            op.outputs = [new if n == old else n for n in op.outputs]

    def fold_norms(self, results: Sequence[str]) -> None:
        """Batch norms go into the convolution before them, or become a product and a sum; in float64, rounded once."""
        uses = Counter(n for op in self.ops for n in op.inputs) + Counter(results)
        makers = {op.outputs[0]: op for op in self.ops if op.kind == "Conv"}
        kept: list[Op] = []
        for op in self.ops:
            if op.kind != "Norm":
                kept.append(op)
                continue
            scale, shift = op.attributes["scale"], op.attributes["shift"]
            conv = makers.get(op.inputs[0])
            if conv is None or uses[op.inputs[0]] > 1 or not all(n in self.constants for n in conv.inputs[1:]):
                names = [self._new(f"{op.outputs[0]}.{k}", v.float()) for k, v in op.attributes.items()]
                middle = self.fresh("Mul")
                kept += [Op("Mul", [op.inputs[0], names[0]], [middle]), Op("Add", [middle, names[1]], op.outputs)]
                continue
            weight, scale, shift = conv.inputs[1], scale.flatten(), shift.flatten()
            folded = scaled(self.constants[weight], scale)
            if len(conv.inputs) > 2:
                shift = self.constants[conv.inputs[2]].double() * scale + shift
            bias = conv.inputs[2] if len(conv.inputs) > 2 else f"{weight.removesuffix('.weight')}.bias"
            conv.inputs[1:] = [self._replaced(weight, folded, uses), self._replaced(bias, shift.float(), uses)]
            conv.outputs = op.outputs
            makers[op.outputs[0]] = conv
        self.ops = kept

    def _new(self, hint: str, value: Tensor) -> str:
        name = self.fresh(hint)
        self.constants[name] = value
        return name

    def _replaced(self, name: str, value: Tensor, uses: Counter[str]) -> str:
        """The name of a changed constant: its own, unless others use what it was."""
        if uses[name] > 1 or name not in self.constants:
            return self._new(name, value)
        self.constants[name] = value
        return name

    def prune(self, results: Sequence[str]) -> None:
        """Without nodes and constants that nothing needs."""
        needed, kept = set(results), []
        for op in reversed(self.ops):
            if needed.intersection(op.outputs):
                kept.append(op)
                needed.update(op.inputs)
        self.ops = kept[::-1]
        self.constants = {k: v for k, v in self.constants.items() if k in needed}

    # ------------------------------------------------------------------ the model
    def proto(
        self,
        inputs: Sequence[tuple[str, torch.dtype, Sequence[int | str]]],
        outputs: Sequence[tuple[str, torch.dtype, Sequence[int | str]]],
        opset: int,
        ir_version: int,
    ) -> onnx.ModelProto:
        """The model; inputs, outputs : (name, type, shape with names of variable axes)."""
        model = onnx.ModelProto(ir_version=ir_version, producer_name="hwsearch")
        model.opset_import.add(version=opset)
        graph = model.graph  # filled in its place: weights are many, and each copy of them is felt
        graph.name = "subnet"
        for op in self.ops:
            node = graph.node.add(op_type=op.kind, name=op.outputs[0], input=op.inputs, output=op.outputs)
            node.attribute.extend(helper.make_attribute(k, v) for k, v in op.attributes.items())
        for name, value in self.constants.items():
            data = value.contiguous().numpy().tobytes()
            graph.initializer.add(name=name, data_type=TYPES[value.dtype], dims=value.shape, raw_data=data)
        for place, values in ((graph.input, inputs), (graph.output, outputs)):
            place.extend(helper.make_tensor_value_info(n, TYPES[t], list(shape)) for n, t, shape in values)
        return model


#: suffix of the name of a transposed weight
TRANSPOSED = ".T"


def scaled(weight: Tensor, scale: Tensor) -> Tensor:
    """float32 weight (O, …) times float64 scale (O,), rounded once."""
    factors = scale.numpy().reshape(-1, *(1,) * (weight.ndim - 1))
    out = np.empty(tuple(weight.shape), np.float32)
    np.multiply(weight.numpy(), factors, out=out, casting="same_kind")
    return torch.from_numpy(out)


def axis_names(shape: Sequence[Size], names: dict[int, str]) -> list[int | str]:
    """A shape as it is written in a model: numbers, given names, and of other variable axes their formula."""
    return [size if isinstance(size, int) else names.get(i, repr(size)) for i, size in enumerate(shape)]
