"""ONNX Runtime as a device runtime: the provider asked for runs the whole graph, or it is an error."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime as ort

from hwsearch.devices.device import Device
from hwsearch.devices.host import host_facts, usable_cores
from hwsearch.devices.meters import footprint, host_meter
from hwsearch.devices.runtimes.base import Chain, Form, HostClock, Model, Workload
from hwsearch.errors import DeviceError, MeasurementError, ProviderError, nearest
from hwsearch.tasks.inputs import Input

#: execution providers whose tensors lie in a memory of their own, and its name
PLACES = {
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "cuda",
    "ROCMExecutionProvider": "cuda",
    "MIGraphXExecutionProvider": "cuda",
    "DmlExecutionProvider": "dml",
}
ALIASES = {"directml": "DmlExecutionProvider"}
LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
#: our own options and their defaults; None: it depends on the provider
OPTIONS: dict[str, Any] = {
    "optimization": "all",
    "spinning": False,
    "io_binding": None,
    "allow_cpu_nodes": False,
    "parallel": False,
    "inter_op_threads": 1,
    "arena": True,
}
CPU = "CPUExecutionProvider"
STRICT = "session.disable_cpu_ep_fallback"


def provider_name(name: str) -> str:
    """The full name of an execution provider: ``cuda`` → ``CUDAExecutionProvider``; an unknown one stays as it is."""
    known = {p.casefold(): p for p in (*ort.get_all_providers(), *ort.get_available_providers())}
    word = name.casefold()
    return ALIASES.get(word) or known.get(f"{word}executionprovider") or known.get(word) or name


class OnnxSession(HostClock):
    """A loaded model with its input; `run` is one call of `InferenceSession.run`, as a user makes it."""

    def __init__(self, session: ort.InferenceSession, feed: dict[str, np.ndarray]) -> None:
        self._session = session
        self._feed = feed

    def run(self) -> None:
        self._session.run(None, self._feed)

    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs of one run, by name."""
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, self._feed), strict=True))

    def close(self) -> None:
        del self._session


class BoundSession(OnnxSession):
    """The same with inputs and outputs that stay on the device, in memory that is taken once: no copy is in the figure."""

    def __init__(self, session: ort.InferenceSession, feed: dict[str, np.ndarray], place: str, index: int) -> None:
        super().__init__(session, feed)
        self._binding = session.io_binding()
        for name, value in feed.items():
            self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, place, index))
        for output in session.get_outputs():
            self._binding.bind_output(output.name, place, index)
        self.run()  # now the outputs have their shapes
        for output, value in zip(session.get_outputs(), self._binding.get_outputs(), strict=True):
            self._binding.bind_ortvalue_output(output.name, value)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def outputs(self) -> dict[str, np.ndarray]:
        self.run()
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._binding.copy_outputs_to_cpu(), strict=True))

    def close(self) -> None:
        del self._binding
        super().close()


class OnnxRuntime:
    """Runtime ``onnxruntime``: any execution provider, by its name or its short one (``cuda``).

    Threads are set (never left to the machine), execution is sequential, idle workers do not spin: several sessions are
    alive at once while candidates are interleaved, and a spinning one would disturb the next. Options, each of which makes
    another device: ``optimization`` (none, basic, extended, all), ``spinning``, ``parallel`` and ``inter_op_threads``,
    ``arena``, ``io_binding`` (default: where the provider has a memory of its own), ``allow_cpu_nodes`` (some nodes may
    run on the CPU, which is recorded), ``provider.KEY`` (of the execution provider) and ``session.KEY`` (session
    configuration). Precision ``fp16`` converts the model with ONNX Runtime's own tool, inputs and outputs stay fp32.
    """

    form: ClassVar[Form] = "onnx"

    def __init__(self, device: Device) -> None:
        self.device = device
        self.provider = provider_name(device.provider)
        available = ort.get_available_providers()
        if self.provider not in available:
            raise ProviderError(
                f"device {device.name!r} asks for {device.provider!r}, which this onnxruntime {ort.__version__} does not offer.",
                hint=nearest(device.provider, available),
            )
        if device.precision not in ("fp32", "fp16"):
            raise DeviceError(
                f"device {device.name!r}: precision {device.precision!r} is not supported by this runtime.",
                hint="Use 'fp32' or 'fp16'; other precisions need a model that is quantised already.",
            )
        self._provider_options = {k[9:]: _text(v) for k, v in device.options.items() if k.startswith("provider.")}
        self._session_entries = {k: _text(v) for k, v in device.options.items() if k.startswith("session.")}
        own = {k: v for k, v in device.options.items() if not k.startswith(("provider.", "session."))}
        for name in own:
            if name not in OPTIONS:
                raise DeviceError(f"device {device.name!r}: unknown option {name!r}.", hint=nearest(name, OPTIONS))
        if self.provider == CPU and device.threads > usable_cores():
            raise DeviceError(
                f"device {device.name!r} asks for {device.threads} threads; this process may use {usable_cores()} cores."
            )
        self._place = PLACES.get(self.provider)
        o = OPTIONS | own
        for name in ("spinning", "allow_cpu_nodes", "parallel", "arena", "io_binding"):
            if not isinstance(o[name], bool) and o[name] is not None:
                raise DeviceError(f"device {device.name!r}: option {name} is {o[name]!r}, not true or false.")
        threads = o["inter_op_threads"]
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
            raise DeviceError(
                f"device {device.name!r}: option inter_op_threads is {threads!r}, not a number of threads."
            )
        self._own = o | {"io_binding": self._place is not None if o["io_binding"] is None else bool(o["io_binding"])}
        if self._own["optimization"] not in LEVELS:
            raise DeviceError(
                f"device {device.name!r}: optimization {self._own['optimization']!r} is unknown.",
                hint=nearest(str(self._own["optimization"]), LEVELS),
            )

    def facts(self) -> dict[str, Any]:
        host = {k: v for k, v in host_facts().items() if k not in ("python", "memory_gib")}
        o = self._own
        binding = "InferenceSession.run_with_iobinding, inputs and outputs on the device"
        facts = {
            **self.device.settings,
            "provider": self.provider,
            "host": host,
            "onnxruntime": ort.__version__,
            "optimization": o["optimization"],
            "spinning": o["spinning"],
            "execution": f"{'parallel' if o['parallel'] else 'sequential'}, inter-op {o['inter_op_threads']}",
            "call": binding if o["io_binding"] else "InferenceSession.run with numpy input",
        }
        # a device that leaves these alone keeps the fingerprint it has had
        return facts | {k: True for k in ("allow_cpu_nodes",) if o[k]} | ({} if o["arena"] else {"arena": False})

    # ------------------------------------------------------------------ sessions
    def _options(self) -> ort.SessionOptions:
        o, options = self._own, ort.SessionOptions()
        options.intra_op_num_threads = self.device.threads
        options.inter_op_num_threads = int(o["inter_op_threads"])
        modes = ort.ExecutionMode
        options.execution_mode = modes.ORT_PARALLEL if o["parallel"] else modes.ORT_SEQUENTIAL
        options.graph_optimization_level = LEVELS[o["optimization"]]
        options.enable_cpu_mem_arena = o["arena"]
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if o["spinning"] else "0")
        if self.provider != CPU and not o["allow_cpu_nodes"]:
            options.add_session_config_entry(STRICT, "1")
        for key, value in self._session_entries.items():
            options.add_session_config_entry(key, value)
        return options

    def _session(self, model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        providers: list[Any] = [(self.provider, self._provider_options)] if self._provider_options else [self.provider]
        if self._own["allow_cpu_nodes"] and self.provider != CPU:
            providers.append(CPU)
        try:
            session = ort.InferenceSession(self._converted(model), options, providers=providers)
        except Exception as error:  # onnxruntime raises its own, unexported kinds
            kind = ProviderError if "fallback to CPU EP" in str(error) else DeviceError
            raise kind(f"device {self.device.name!r} cannot load the model: {_reason(error)}") from error
        used = session.get_providers()
        if not used or used[0] != self.provider:
            raise ProviderError(
                f"device {self.device.name!r} asked for {self.provider!r}, but onnxruntime fell back to {used[0] if used else 'nothing'!r}.",
                hint="Its log says why the provider could not be loaded; often a library of the driver is missing.",
            )
        return session

    def _converted(self, model: bytes) -> bytes:
        """The model in the device's precision."""
        if self.device.precision == "fp32":
            return model
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        half = convert_float_to_float16(onnx.load_model_from_string(model), keep_io_types=True)
        return bytes(half.SerializeToString())

    def _feed(self, session: ort.InferenceSession, inputs: Sequence[Input]) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        values = [i.sample(self.device.batch, rng) for i in inputs]
        return {found.name: value for found, value in zip(session.get_inputs(), values, strict=True)}

    def load(self, workload: Workload) -> HostClock:
        """Raises `DeviceError` for a model it refuses, `MeasurementError` for outputs that are not numbers."""
        parts = [(self._load(model), model.runs) for model in workload.parts]
        return parts[0][0] if len(parts) == 1 and parts[0][1] == 1 else Chain(parts)

    def _load(self, model: Model) -> OnnxSession:
        try:
            session = self._session(model.onnx, self._options())
        except ProviderError:
            self._verify(model)  # tells which operators fell back, if it was that
            raise
        try:
            feed = self._feed(session, model.inputs)
            if self._own["io_binding"]:
                index = int(self._provider_options.get("device_id", 0))
                loaded: OnnxSession = BoundSession(session, feed, self._place or "cpu", index)
            else:
                loaded = OnnxSession(session, feed)
            outputs = loaded.outputs()
        except Exception as error:  # as above
            raise DeviceError(f"device {self.device.name!r} cannot run the model: {_reason(error)}") from error
        self._sound(outputs)
        return loaded

    def _sound(self, outputs: dict[str, np.ndarray]) -> None:
        for name, value in outputs.items():
            if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                share = 100 * float(1 - np.isfinite(value).mean())
                raise MeasurementError(
                    f"device {self.device.name!r}: {share:.3g} % of output {name!r} is NaN or infinite.",
                    hint="The weights hold NaN, or the device's precision is too low for them.",
                )

    # ------------------------------------------------------------------ what ran where
    def verify(self, workload: Workload) -> dict[str, int]:
        """Raises `ProviderError` naming the operators that another provider ran, unless ``allow_cpu_nodes``."""
        counts: Counter[str] = Counter()
        for model in workload.parts:
            counts.update(self._verify(model))
        return dict(counts)

    def _verify(self, model: Model) -> dict[str, int]:
        with tempfile.TemporaryDirectory() as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            if self.provider != CPU:
                options.add_session_config_entry(STRICT, "0")  # to see which operators would fall back
            session = self._session(model.onnx, options)
            try:
                outputs = OnnxSession(session, self._feed(session, model.inputs)).outputs()
            except Exception as error:  # as above
                raise DeviceError(f"device {self.device.name!r} cannot run the model: {_reason(error)}") from error
            events = json.loads(Path(session.end_profiling()).read_text())
        ran = [
            (event["args"]["provider"], event["args"].get("op_name", "?"))
            for event in events
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and event["args"].get("provider")
        ]
        others = Counter(op for provider, op in ran if provider != self.provider)
        if not ran or (others and not self._own["allow_cpu_nodes"]):
            named = ", ".join(op for op, _ in others.most_common(4)) + (", …" if len(others) > 4 else "")
            where = ", ".join(sorted({p for p, _ in ran if p != self.provider}))
            what = f"{sum(others.values())} of {len(ran)} nodes ({named}) ran on {where}" if ran else "no node ran"
            raise ProviderError(
                f"device {self.device.name!r} asked for {self.provider!r}, but {what}.",
                hint="Set allow_cpu_nodes = true to measure it all the same; the device then says so.",
            )
        self._sound(outputs)
        return dict(Counter(provider for provider, _ in ran))

    def footprint(self, workload: Workload) -> dict[str, float]:
        """``model_size_mib`` of the ONNX files, and what `hwsearch.devices.meters.footprint` meters of this process.

        The memory and the energy of an accelerator are not among it. ONNX Runtime's Python interface does not tell how
        large its arena is; the arena is part of ``peak_memory_mib``.
        """
        size = sum(len(model.onnx) for model in workload.parts) / 2**20
        meter = host_meter() if self._place is None else None
        return {"model_size_mib": size, **footprint(lambda: self.load(workload), meter)}

    @classmethod
    def offers(cls) -> list[dict[str, Any]]:
        """What this runtime can be asked for here."""
        return [
            {
                "provider": provider,
                "threads": f"1 to {usable_cores()}" if provider == CPU else "1",
                "precision": "fp32, fp16",
            }
            for provider in ort.get_available_providers()
        ]


def _reason(error: Exception) -> str:
    """The first sentence of what onnxruntime says, without its codes."""
    text = " ".join(str(error).split()) or type(error).__name__
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    text = text.removeprefix("This is an invalid model.").strip() or text
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0][:300]


def _text(value: Any) -> str:
    """A setting as onnxruntime takes it: all are texts, true and false are 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else str(value)
