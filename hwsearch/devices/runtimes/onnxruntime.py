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
from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.devices.host import host_facts, usable_cores
from hwsearch.devices.meters import footprint, host_meter
from hwsearch.devices.runtimes.base import Chain, Form, HostClock, Model, Runtime, Workload
from hwsearch.devices.runtimes.onnx_options import CPU, PLACES, STRICT, onnx_options, provider_name, session_options
from hwsearch.devices.runtimes.onnx_session import BoundSession, OnnxSession
from hwsearch.errors import DeviceError, MeasurementError, ProviderError, nearest
from hwsearch.tasks.inputs import Input


class OnnxRuntime(Runtime):
    """Runtime ``onnxruntime``: any execution provider, by its name or its short one (``cuda``).

    Threads are set (never left to the machine), execution is sequential, idle workers do not spin: several sessions are alive
    at once while candidates are interleaved, and a spinning one would disturb the next. Precision ``fp16`` converts the model
    with ONNX Runtime's own tool, inputs and outputs stay fp32.

    Parameters
    ----------
    device : Device
        Its options are those of `OnnxOptions`; each makes another device. Some nodes may run on the CPU with
        ``allow_cpu_nodes``, which is recorded.

    Raises
    ------
    ProviderError
        If this ONNX Runtime does not offer the provider.
    DeviceError
        For an unknown option or precision, and for more threads than there are cores.
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
        if self.provider == CPU and device.threads > usable_cores():
            raise DeviceError(
                f"device {device.name!r} asks for {device.threads} threads; this process may use {usable_cores()} cores."
            )
        self._place = PLACES.get(self.provider)
        self.options = onnx_options(device)
        binding = self.options.io_binding
        self._binds = self._place is not None if binding is None else bool(binding)

    @override
    def facts(self) -> JsonObject:
        host = {k: v for k, v in host_facts().items() if k not in ("python", "memory_gib")}
        o = self.options
        binding = "InferenceSession.run_with_iobinding, inputs and outputs on the device"
        facts = {
            **self.device.settings,
            "provider": self.provider,
            "host": host,
            "onnxruntime": ort.__version__,
            "optimization": o.optimization,
            "spinning": o.spinning,
            "execution": f"{'parallel' if o.parallel else 'sequential'}, inter-op {o.inter_op_threads}",
            "call": binding if self._binds else "InferenceSession.run with numpy input",
        }
        # a device that leaves these alone keeps the fingerprint it has had
        return facts | ({"allow_cpu_nodes": True} if o.allow_cpu_nodes else {}) | ({} if o.arena else {"arena": False})

    # ------------------------------------------------------------------ sessions
    def session_options(self) -> ort.SessionOptions:
        """Make the options of a session on this device.

        Returns
        -------
        onnxruntime.SessionOptions
            New at each call.
        """
        strict = self.provider != CPU and not self.options.allow_cpu_nodes
        return session_options(self.device, self.options, strict=strict)

    def open_session(self, model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        """Open a session on this device's provider.

        Parameters
        ----------
        model : bytes
            The serialised ONNX model; it is converted to the device's precision.
        options : onnxruntime.SessionOptions
            As `session_options` makes them.

        Returns
        -------
        onnxruntime.InferenceSession
            Whose first provider is the device's.

        Raises
        ------
        DeviceError
            If the model is refused.
        ProviderError
            If ONNX Runtime fell back to another provider.
        """
        providers: list[Any] = [(self.provider, self.options.provider)] if self.options.provider else [self.provider]
        if self.options.allow_cpu_nodes and self.provider != CPU:
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
        """Convert the model to the device's precision."""
        if self.device.precision == "fp32":
            return model
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        half = convert_float_to_float16(onnx.load_model_from_string(model), keep_io_types=True)
        return bytes(half.SerializeToString())

    def random_inputs(self, session: ort.InferenceSession, inputs: Sequence[Input]) -> dict[str, np.ndarray]:
        """Draw inputs of a session, the same at each call.

        Parameters
        ----------
        session : onnxruntime.InferenceSession
            Names the inputs.
        inputs : sequence of Input
            Their shapes and ranges.

        Returns
        -------
        dict of str to numpy.ndarray
            By name, with the device's batch.
        """
        rng = np.random.default_rng(0)
        values = [i.sample(self.device.batch, rng) for i in inputs]
        return {found.name: value for found, value in zip(session.get_inputs(), values, strict=True)}

    @override
    def load(self, workload: Workload) -> HostClock:
        parts = [(self._load(model), model.runs) for model in workload.parts]
        return parts[0][0] if len(parts) == 1 and parts[0][1] == 1 else Chain(parts)

    def _load(self, model: Model) -> OnnxSession:
        try:
            session = self.open_session(model.onnx, self.session_options())
        except ProviderError:
            self._verify(model)  # tells which operators fell back, if it was that
            raise
        try:
            feed = self.random_inputs(session, model.inputs)
            if self._binds:
                index = int(self.options.provider.get("device_id", 0))
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
    @override
    def verify(self, workload: Workload) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for model in workload.parts:
            counts.update(self._verify(model))
        return dict(counts)

    def _verify(self, model: Model) -> dict[str, int]:
        with tempfile.TemporaryDirectory() as folder:
            options = self.session_options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            if self.provider != CPU:
                options.add_session_config_entry(STRICT, "0")  # to see which operators would fall back
            session = self.open_session(model.onnx, options)
            try:
                outputs = OnnxSession(session, self.random_inputs(session, model.inputs)).outputs()
            except Exception as error:  # as above
                raise DeviceError(f"device {self.device.name!r} cannot run the model: {_reason(error)}") from error
            events = json.loads(Path(session.end_profiling()).read_text())
        ran = [
            (event["args"]["provider"], event["args"].get("op_name", "?"))
            for event in events
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and event["args"].get("provider")
        ]
        others = Counter(op for provider, op in ran if provider != self.provider)
        if not ran or (others and not self.options.allow_cpu_nodes):
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
        """Measure size, memory and energy of a workload.

        The memory and the energy of an accelerator are not among it. ONNX Runtime's Python interface does not tell how large its
        arena is; the arena is part of ``peak_memory_mib``.

        Parameters
        ----------
        workload : Workload
            The ONNX models of a subnet.

        Returns
        -------
        dict of str to float
            ``model_size_mib`` of the ONNX files, and what `hwsearch.devices.meters.footprint` meters of this process.
        """
        size = sum(len(model.onnx) for model in workload.parts) / 2**20
        meter = host_meter() if self._place is None else None
        return {"model_size_mib": size, **footprint(lambda: self.load(workload), meter)}

    @classmethod
    def offers(cls) -> list[JsonObject]:
        """List what this runtime can be asked for on this machine.

        Returns
        -------
        list of dict
            One row an execution provider.
        """
        return [
            {
                "provider": provider,
                "threads": f"1 to {usable_cores()}" if provider == CPU else "1",
                "precision": "fp32, fp16",
            }
            for provider in ort.get_available_providers()
        ]


def _reason(error: Exception) -> str:
    """Take the first sentence of what onnxruntime says, without its codes."""
    text = " ".join(str(error).split()) or type(error).__name__
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    text = text.removeprefix("This is an invalid model.").strip() or text
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0][:300]
