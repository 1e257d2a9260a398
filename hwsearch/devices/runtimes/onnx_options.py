"""Settings of ONNX Runtime: execution providers, options of a device and their checks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import onnxruntime as ort

from hwsearch.devices.device import Device
from hwsearch.errors import DeviceError, nearest

CPU = "CPUExecutionProvider"
#: execution providers whose tensors lie in a memory of their own, and its name
PLACES = {
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "cuda",
    "ROCMExecutionProvider": "cuda",
    "MIGraphXExecutionProvider": "cuda",
    "DmlExecutionProvider": "dml",
}
ALIASES = {"directml": "DmlExecutionProvider"}
#: option ``optimization`` as ONNX Runtime has it
LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
#: session entry by which a fallback to the CPU is an error
STRICT = "session.disable_cpu_ep_fallback"


@dataclass(frozen=True)
class OnnxOptions:
    """Options of a device of runtime ``onnxruntime``.

    Attributes
    ----------
    optimization : {"none", "basic", "extended", "all"}
        Graph optimisation level.
    spinning : bool
        Whether idle threads spin.
    io_binding : bool or None
        Whether inputs and outputs stay on the device; None: where the provider has a memory of its own.
    allow_cpu_nodes : bool
        Whether some nodes may run on the CPU.
    parallel : bool
        Parallel execution of independent nodes, by `inter_op_threads`.
    inter_op_threads : int
        At least 1.
    arena : bool
        Whether memory comes from an arena.
    provider : dict of str to str
        Options of the execution provider, given as ``provider.KEY``.
    session : dict of str to str
        Session configuration entries, given as ``session.KEY``; keys include the prefix.
    """

    optimization: str = "all"
    spinning: bool = False
    io_binding: bool | None = None
    allow_cpu_nodes: bool = False
    parallel: bool = False
    inter_op_threads: int = 1
    arena: bool = True
    provider: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)


def provider_name(name: str) -> str:
    """Write an execution provider by its full name.

    Parameters
    ----------
    name : str
        Full or short, in any case.

    Returns
    -------
    str
        As ONNX Runtime writes it; an unknown name stays as it is.

    Examples
    --------
    >>> provider_name("cpu")
    'CPUExecutionProvider'
    """
    known = {p.casefold(): p for p in (*ort.get_all_providers(), *ort.get_available_providers())}
    word = name.casefold()
    return ALIASES.get(word) or known.get(f"{word}executionprovider") or known.get(word) or name


def onnx_options(device: Device) -> OnnxOptions:
    """Read the options of a device.

    Parameters
    ----------
    device : Device
        Its `options` are read.

    Returns
    -------
    OnnxOptions
        With defaults for what is not given.

    Raises
    ------
    DeviceError
        For an unknown option, or a value of the wrong kind.
    """
    provider = {k[9:]: _text(v) for k, v in device.options.items() if k.startswith("provider.")}
    session = {k: _text(v) for k, v in device.options.items() if k.startswith("session.")}
    own = {k: v for k, v in device.options.items() if not k.startswith(("provider.", "session."))}
    known = [f.name for f in fields(OnnxOptions) if f.name not in ("provider", "session")]
    for name in own:
        if name not in known:
            raise DeviceError(f"device {device.name!r}: unknown option {name!r}.", hint=nearest(name, known))
    o = OnnxOptions(**own, provider=provider, session=session)
    for name in ("spinning", "allow_cpu_nodes", "parallel", "arena", "io_binding"):
        value = getattr(o, name)
        if not isinstance(value, bool) and value is not None:
            raise DeviceError(f"device {device.name!r}: option {name} is {value!r}, not true or false.")
    threads = o.inter_op_threads
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise DeviceError(f"device {device.name!r}: option inter_op_threads is {threads!r}, not a number of threads.")
    if o.optimization not in LEVELS:
        raise DeviceError(
            f"device {device.name!r}: optimization {o.optimization!r} is unknown.",
            hint=nearest(str(o.optimization), LEVELS),
        )
    return o


def session_options(device: Device, options: OnnxOptions, *, strict: bool) -> ort.SessionOptions:
    """Make the options of an ONNX Runtime session.

    Parameters
    ----------
    device : Device
        Its threads are set, never left to the machine.
    options : OnnxOptions
        The device's options.
    strict : bool
        Whether a node that falls back to the CPU is an error.

    Returns
    -------
    onnxruntime.SessionOptions
        New at each call.
    """
    made = ort.SessionOptions()
    made.intra_op_num_threads = device.threads
    made.inter_op_num_threads = int(options.inter_op_threads)
    modes = ort.ExecutionMode
    made.execution_mode = modes.ORT_PARALLEL if options.parallel else modes.ORT_SEQUENTIAL
    made.graph_optimization_level = LEVELS[options.optimization]
    made.enable_cpu_mem_arena = options.arena
    made.log_severity_level = 3
    made.add_session_config_entry("session.intra_op.allow_spinning", "1" if options.spinning else "0")
    if strict:
        made.add_session_config_entry(STRICT, "1")
    for key, value in options.session.items():
        made.add_session_config_entry(key, value)
    return made


def _text(value: object) -> str:
    """Write a setting as onnxruntime takes it: all are texts, true and false are 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else str(value)
