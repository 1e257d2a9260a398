"""ONNX Runtime as a device runtime: the provider asked for runs the whole graph, or it is an error."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime as ort

from hwsearch.devices.device import Chain, Device, Form, HostClock, Model, Workload
from hwsearch.devices.host import host_facts, usable_cores
from hwsearch.errors import DeviceError, ProviderError, nearest
from hwsearch.inputs import Input


class OnnxSession(HostClock):
    """A loaded model with its input; `run` is one call of `InferenceSession.run`, as a user makes it."""

    def __init__(self, session: ort.InferenceSession, feed: dict[str, np.ndarray]) -> None:
        self._session = session
        self._feed = feed

    def run(self) -> None:
        self._session.run(None, self._feed)


class OnnxRuntime:
    """Runtime ``onnxruntime``: any execution provider, by name.

    Threads are set (never left to the machine), execution is sequential, idle workers do not spin:
    several sessions are alive at once while candidates are interleaved, and a spinning one would
    disturb the next (``options.spinning = true`` changes that and makes another device).
    """

    form: ClassVar[Form] = "onnx"

    def __init__(self, device: Device) -> None:
        self.device = device
        available = ort.get_available_providers()
        if device.provider not in available:
            raise ProviderError(
                f"device {device.name!r} asks for {device.provider!r}, which this onnxruntime {ort.__version__} does not offer.",
                hint=nearest(device.provider, available),
            )
        if device.precision != "fp32":
            raise DeviceError(
                f"device {device.name!r}: precision {device.precision!r} is not supported by this runtime yet; use 'fp32'."
            )
        unknown = set(device.options) - {"spinning", "optimization"}
        if unknown:
            raise DeviceError(
                f"device {device.name!r}: unknown option {sorted(unknown)[0]!r}.",
                hint=nearest(sorted(unknown)[0], ["spinning", "optimization"]),
            )
        if device.provider == "CPUExecutionProvider" and device.threads > usable_cores():
            raise DeviceError(
                f"device {device.name!r} asks for {device.threads} threads; this process may use {usable_cores()} cores."
            )
        self._spinning = bool(device.options.get("spinning", False))
        self._level = str(device.options.get("optimization", "all"))
        levels = ort.GraphOptimizationLevel
        self._levels = {
            "none": levels.ORT_DISABLE_ALL,
            "basic": levels.ORT_ENABLE_BASIC,
            "extended": levels.ORT_ENABLE_EXTENDED,
            "all": levels.ORT_ENABLE_ALL,
        }
        if self._level not in self._levels:
            raise DeviceError(
                f"device {device.name!r}: optimization {self._level!r} is unknown.",
                hint=nearest(self._level, self._levels),
            )

    def facts(self) -> dict[str, Any]:
        host = {k: v for k, v in host_facts().items() if k not in ("python", "memory_gib")}
        return {
            **self.device.settings,
            "host": host,
            "onnxruntime": ort.__version__,
            "optimization": self._level,
            "spinning": self._spinning,
            "execution": "sequential, inter-op 1",
            "call": "InferenceSession.run with numpy input",
        }

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.device.threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = self._levels[self._level]
        options.log_severity_level = 3
        spin = "1" if self._spinning else "0"
        options.add_session_config_entry("session.intra_op.allow_spinning", spin)
        if self.device.provider != "CPUExecutionProvider":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _session(self, model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        try:
            session = ort.InferenceSession(model, options, providers=[self.device.provider])
        except Exception as error:  # onnxruntime raises its own, unexported kinds
            raise DeviceError(f"device {self.device.name!r} cannot load the model: {error}") from error
        used = session.get_providers()
        if not used or used[0] != self.device.provider:
            raise ProviderError(
                f"device {self.device.name!r} asked for {self.device.provider!r}, but onnxruntime fell back to {used[0] if used else 'nothing'!r}."
            )
        return session

    def _feed(self, session: ort.InferenceSession, inputs: Sequence[Input]) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        values = [i.sample(self.device.batch, rng) for i in inputs]
        return {found.name: value for found, value in zip(session.get_inputs(), values, strict=True)}

    def load(self, workload: Workload) -> HostClock:
        parts = [(self._load(model), model.runs) for model in workload.parts]
        return parts[0][0] if len(parts) == 1 and parts[0][1] == 1 else Chain(parts)

    def _load(self, model: Model) -> OnnxSession:
        session = self._session(model.onnx, self._options())
        loaded = OnnxSession(session, self._feed(session, model.inputs))
        try:
            loaded.run()
        except Exception as error:  # as above
            raise DeviceError(f"device {self.device.name!r} cannot run the model: {error}") from error
        return loaded

    def verify(self, workload: Workload) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for model in workload.parts:
            counts.update(self._verify(model))
        return dict(counts)

    def _verify(self, model: Model) -> dict[str, int]:
        with tempfile.TemporaryDirectory() as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = self._session(model.onnx, options)
            session.run(None, self._feed(session, model.inputs))
            events = json.loads(Path(session.end_profiling()).read_text())
        counts: dict[str, int] = {}
        for event in events:
            provider = event.get("args", {}).get("provider")
            if event.get("cat") == "Node" and provider and event["name"].endswith("_kernel_time"):
                counts[provider] = counts.get(provider, 0) + 1
        others = {k: v for k, v in counts.items() if k != self.device.provider}
        if others or not counts:
            raise ProviderError(
                f"device {self.device.name!r} asked for {self.device.provider!r}, but {others or 'nothing'} ran."
            )
        return counts
