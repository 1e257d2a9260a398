"""Operator signatures: what makes two executed kernels the same work."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Signature:
    """What makes two kernels the same work: operator, provider, precision, shapes and attributes.

    Attributes
    ----------
    op : str
        With its domain where that is not ONNX's own, such as ``com.microsoft.nchwc.Conv``.
    provider, precision : str
        Where and in which precision it ran.
    inputs, outputs : tuple of mapping
        Shapes as the profile gives them, each ``{dtype: [sizes]}``.
    attributes : mapping
        Of the node in the optimised graph; JSON-able.
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
        if name not in ("Conv", "FusedConv", "NhwcFusedConv"):
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
