"""Operator profiles: one row an executed kernel, keyed by a signature that other networks may share."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from hwsearch.devices.device import Model
from hwsearch.devices.onnxruntime import OnnxRuntime
from hwsearch.errors import MeasurementError


@dataclass(frozen=True)
class Signature:
    """What makes two kernels the same work: operator, provider, precision, shapes and attributes.

    inputs, outputs : shapes as the profile gives them, each ``{dtype: [sizes]}``
    attributes : of the node in the optimised graph, JSON-able
    """

    op: str
    provider: str
    precision: str
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]
    attributes: Mapping[str, Any]

    @cached_property
    def canonical(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @cached_property
    def id(self) -> str:
        """Twelve hex digits of the canonical JSON."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Kernel:
    """One node of one model: its signature and the microseconds of each profiled run."""

    name: str
    signature: Signature
    us: tuple[int, ...]

    @property
    def ms(self) -> float:
        """Mean without the slowest quarter, in ms: durations are whole microseconds, which a median would keep."""
        fast = np.sort(np.asarray(self.us, float))[: max(1, len(self.us) * 3 // 4)]
        return float(fast.mean()) / 1e3


def _attributes(path: Path) -> dict[str, dict[str, Any]]:
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    plain = {n.name: {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute} for n in nodes}
    return {k: {a: _plain(v) for a, v in values.items()} for k, values in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, onnx.TensorProto):
        return hashlib.sha256(value.SerializeToString()).hexdigest()[:12]
    return [_plain(v) for v in value]


def kernels(
    events: list[dict[str, Any]], attributes: Mapping[str, Mapping[str, Any]], precision: str = "fp32", *, skip: int = 0
) -> list[Kernel]:
    """Kernels of an ONNX Runtime profile in order of execution; the first `skip` runs of each are warm-up.

    Raises `MeasurementError` where a profile holds no node beyond the warm-up.
    """
    times: dict[str, list[int]] = defaultdict(list)
    facts: dict[str, dict[str, Any]] = {}
    for event in events:
        name, args = event.get("name", ""), event.get("args", {})
        if event.get("cat") == "Node" and name.endswith("_kernel_time") and args.get("provider"):
            node = name.removesuffix("_kernel_time")
            times[node].append(int(event["dur"]))
            facts.setdefault(node, args)
    if not times or any(len(v) <= skip for v in times.values()):
        raise MeasurementError("the profile holds no executed node after its warm-up; profile more runs.")
    return [
        Kernel(
            node,
            Signature(
                args["op_name"],
                args["provider"],
                precision,
                tuple(args.get("input_type_shape", ())),
                tuple(args.get("output_type_shape", ())),
                dict(attributes.get(node, {})),
            ),
            tuple(times[node][skip:]),
        )
        for node, args in facts.items()
    ]


def profile(runtime: OnnxRuntime, model: Model, *, runs: int = 50, warmup: int = 5) -> list[Kernel]:
    """Kernels of one model on ONNX Runtime, each timed `runs` times by its own profiler."""
    with tempfile.TemporaryDirectory() as folder:
        options = runtime._options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        session = runtime._session(model.onnx, options)
        feed = runtime._feed(session, model.inputs)
        for _ in range(warmup + runs):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
        attributes = _attributes(Path(folder) / "optimised.onnx")
    return kernels(events, attributes, runtime.device.precision, skip=warmup)
