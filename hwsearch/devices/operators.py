"""Operator signatures: what makes two executed kernels the same work; and profiles of models, a row a kernel."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwsearch._typing import FloatArray


@dataclass(frozen=True)
class Signature:
    """Signature of a kernel, which makes two the same work: operator, provider, precision, shapes and attributes.

    Attributes
    ----------
    op : str
        With its domain where that is not ONNX's own, such as ``com.microsoft.nchwc.Conv`` or ``aten::conv2d`` of torch.
    provider, precision : str
        Where and in which precision it ran.
    inputs, outputs : tuple of mapping
        Shapes as the profile gives them, each ``{dtype: [sizes]}``.
    attributes : mapping
        Of the node in the optimised graph, or the arguments of torch's operator that are no tensors; JSON-able.
    """

    op: str
    provider: str
    precision: str
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]
    attributes: Mapping[str, Any]

    @cached_property
    def canonical(self) -> str:
        """The signature as JSON with sorted keys; equal signatures have equal texts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def __hash__(self) -> int:
        return hash(self.canonical)

    @cached_property
    def id(self) -> str:
        """Twelve hex digits of the canonical JSON."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:12]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Read what `dataclasses.asdict` or JSON made of a signature.

        Parameters
        ----------
        data : mapping
            Its fields.

        Returns
        -------
        Signature
            Equal to the one that was written.
        """
        return cls(**{**data, "inputs": tuple(data["inputs"]), "outputs": tuple(data["outputs"])})

    @property
    def kind(self) -> str:
        """A coarse name: ``depthwise conv``, ``pointwise conv``, ``conv``, or the operator's own in small words."""
        name = self.op.rpartition(".")[2]
        if name.startswith("aten::") and name != "aten::conv2d":
            return name.removeprefix("aten::").strip("_").replace("_", " ")
        if name not in ("Conv", "FusedConv", "NhwcFusedConv", "aten::conv2d"):
            return "reorder" if name.startswith("Reorder") else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
        if self.attributes.get("group", 1) > 1:
            return "depthwise conv"
        return "pointwise conv" if set(self.attributes.get("kernel_shape", ())) == {1} else "conv"

    @property
    def text(self) -> str:
        """One line for people: operator, activation, kernel, stride, shapes of the data."""
        a, shape = self.attributes, lambda s: "×".join(map(str, next(iter(s.values()), [])))
        words = [self.kind, a.get("activation", "")]
        if "kernel_shape" in a:
            words.append("×".join(map(str, a["kernel_shape"])))
            words.append(f"/{a['strides'][0]}" if a.get("strides", [1])[0] > 1 else "")
        shapes = [shape(s) for s in (*self.inputs[:1], *self.outputs[:1])]
        return " ".join(filter(None, [*words, " → ".join(shapes)]))


@dataclass(frozen=True)
class ExecutedKernel:
    """One executed node of one model.

    A kernel's time is that until the next kernel starts: it holds the work itself, what the executor does between two nodes,
    and the profiler's own writing. A profile's durations are cut to whole microseconds; differences of start times are not
    biased by that.

    Attributes
    ----------
    name : str
        Of the node.
    signature : Signature
        Of the work.
    us : tuple of float
        Microseconds in each profiled run.
    """

    name: str
    signature: Signature
    us: tuple[float, ...]


@dataclass(frozen=True)
class Profile:
    """Kernels of one model in order of execution, and its latency without the profiler, run in turn with it.

    Attributes
    ----------
    kernels : tuple of ExecutedKernel
        In order of execution.
    plain_ms : tuple of float
        Unprofiled inferences, ms.
    """

    kernels: tuple[ExecutedKernel, ...]
    plain_ms: tuple[float, ...]

    @cached_property
    def kernel_ms(self) -> FloatArray:
        """Shape (kernels,): mean over the faster half of the runs, ms; their sum is the profiled inference."""
        us = np.array([k.us for k in self.kernels], float)
        fast = np.argsort(us.sum(axis=0))[: max(1, us.shape[1] // 2)]
        return np.asarray(us[:, fast].mean(axis=1) / 1e3)

    @cached_property
    def whole_ms(self) -> float:
        """The unprofiled inference, ms: mean over the faster half of the runs."""
        times = np.sort(np.array(self.plain_ms))
        return float(times[: max(1, len(times) // 2)].mean())
