"""Networks of torch modules as runtimes run them: copied to the device, checked, compiled, counted."""

from __future__ import annotations

import copy
import itertools
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Model, Workload
from hwsearch.errors import DeviceError, MeasurementError, ProviderError, nearest

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


_numbers = itertools.count()


# ---------------------------------------------------------------------- shared by the torch runtimes
def check_torch_device(
    device: Device, defaults: Mapping[str, Any], modes: tuple[str, ...], providers: tuple[str, ...]
) -> JsonObject:
    """Check a torch device and complete its options.

    Parameters
    ----------
    device : Device
        Options, precision and provider are checked.
    defaults : mapping
        Known options with their defaults.
    modes, providers : tuple of str
        Allowed values of option ``mode`` and of the provider.

    Returns
    -------
    dict
        All options.

    Raises
    ------
    DeviceError
        For what is unknown or of the wrong kind.
    ProviderError
        For a provider that the runtime does not have.
    """
    for name, value in device.options.items():
        if name not in defaults:
            raise DeviceError(f"device {device.name!r}: unknown option {name!r}.", hint=nearest(name, defaults))
        if type(value) is not type(defaults[name]):
            kind = type(defaults[name]).__name__
            raise DeviceError(f"device {device.name!r}: option {name} is {value!r}, not a {kind}.")
    options = {**defaults, **device.options}
    if options["mode"] not in modes:
        raise DeviceError(
            f"device {device.name!r}: mode {options['mode']!r} is unknown.", hint=nearest(options["mode"], modes)
        )
    if device.precision not in DTYPES:
        raise DeviceError(
            f"device {device.name!r}: precision {device.precision!r} is not supported by this runtime.",
            hint=nearest(device.precision, DTYPES),
        )
    if device.provider not in providers:
        raise ProviderError(
            f"device {device.name!r}: runtime {device.runtime!r} has no provider {device.provider!r}.",
            hint='Leave it out; for an execution provider use runtime = "onnxruntime".',
        )
    return options


class TorchPart:
    """A network of a workload on its device, in the device's precision, with random inputs; the workload's own stays as it is.

    Parameters
    ----------
    device : Device
        Precision and batch.
    model : Model
        With a torch module.
    place : str
        Where tensors lie: ``cpu`` or ``cuda:0``.
    compiled : bool
        Whether the whole network is compiled.

    Raises
    ------
    DeviceError
        If there is no module, or it does not fit on the device.
    """

    def __init__(self, device: Device, model: Model, place: str, *, compiled: bool) -> None:
        if model.module is None:
            raise DeviceError(
                f"device {device.name!r}: runtime {device.runtime!r} runs torch modules, and was given none.",
                hint='Use runtime = "onnxruntime".',
            )
        dtype = DTYPES[device.precision]
        net = copy.deepcopy(model.module).eval()
        try:
            self.net: nn.Module = net.to(place, dtype)
            self._inputs = _inputs(model, device.batch, dtype, place)
        except RuntimeError as error:
            raise cannot_run(device, error) from error
        self._device, self.runs = device, model.runs
        self._call: Callable[..., Any] = compile_isolated(self.net) if compiled else self.net

    def __call__(self) -> Any:
        """Run the network once."""
        return self._call(*self._inputs)

    def check(self) -> None:
        """Run once and look at the outputs.

        Raises
        ------
        DeviceError
            If the network cannot run.
        MeasurementError
            If outputs are not finite.
        """
        try:
            answer = self()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # torch raises many kinds, and what a network raises is its own
            raise cannot_run(self._device, error) from error
        for name, tensor in _tensors(answer):
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                share = 100 * (1 - float(tensor.isfinite().float().mean()))
                raise MeasurementError(
                    f"device {self._device.name!r}: {share:.3g} % of output {name} is NaN or infinite.",
                    hint="The weights hold NaN, or the device's precision is too low for them.",
                )


def chain(parts: list[TorchPart]) -> Callable[[], Any]:
    """Join parts to one call.

    Parameters
    ----------
    parts : list of TorchPart
        Run in order, each its number of times.

    Returns
    -------
    callable
        One inference.
    """
    calls = [part for part in parts for _ in range(part.runs)]
    if len(calls) == 1:
        return calls[0]

    def run() -> None:
        for call in calls:
            call()

    return run


def compile_isolated(net: nn.Module) -> Callable[..., Any]:
    """Compile a whole network so that it shares no cache with other networks.

    Torch keeps compiled code by code object and gives up after a few networks of one class, to run the next ones eagerly
    without a word; so each network is called by a function with code of its own. A network that cannot be compiled as one
    graph is an error.

    Parameters
    ----------
    net : torch.nn.Module
        The network; its shapes must not change.

    Returns
    -------
    callable
        Called as the network is.
    """

    def call(*inputs: Tensor) -> Any:
        return net(*inputs)

    code = call.__code__.replace(co_name=f"network_{next(_numbers)}")
    own = types.FunctionType(code, call.__globals__, code.co_name, call.__defaults__, call.__closure__)
    return torch.compile(own, fullgraph=True, dynamic=False)  # type: ignore[no-any-return]


@contextmanager
def intra_op_threads(wanted: int) -> Iterator[None]:
    """Set torch's intra-op thread count in a context, and restore it on exit.

    Parameters
    ----------
    wanted : int
        Threads within.

    Yields
    ------
    None
        With the threads set.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Counting(TorchDispatchMode):
    """Counts operators by the kind of device that their first result lies on."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        for _, tensor in _tensors(answer):
            self.counts[tensor.device.type] += 1
            break
        return answer


def count_operators(device: Device, workload: Workload, place: str) -> dict[str, int]:
    """Count how many operators an eager run dispatches, by the kind of device that holds their results.

    Parameters
    ----------
    device : Device
        Precision, batch, threads.
    workload : Workload
        Of torch modules.
    place : str
        Where tensors lie.

    Returns
    -------
    dict of str to int
        Operators by kind of device.
    """
    parts = [TorchPart(device, model, place, compiled=False) for model in workload.parts]
    with intra_op_threads(device.threads), torch.no_grad(), _Counting() as counting:
        for part in parts:
            part()
    return dict(counting.counts)


def cannot_run(device: Device, error: BaseException) -> DeviceError:
    """Make the error for a network that torch cannot run.

    Parameters
    ----------
    device : Device
        Named in the message.
    error : Exception
        Torch's; the first line of its message is quoted.

    Returns
    -------
    DeviceError
        To be raised; with a hint where memory ran out.
    """
    text = str(error).strip().splitlines()
    return DeviceError(
        f"device {device.name!r} cannot run the network: {text[0][:300] if text else type(error).__name__}",
        hint="Use a smaller batch, or a smaller [protocol] group."
        if isinstance(error, torch.OutOfMemoryError)
        else None,
    )


def _inputs(model: Model, batch: int, dtype: torch.dtype, place: str) -> tuple[Tensor, ...]:
    rng = np.random.default_rng(0)
    found = [torch.from_numpy(np.asarray(i.sample(batch, rng))).to(place) for i in model.inputs]
    return tuple(t.to(dtype) if t.is_floating_point() else t for t in found)


def _tensors(answer: Any, name: str = "0") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in what a network returns, with names: numbers of a tuple, keys of a mapping."""
    if isinstance(answer, Tensor):
        yield name, answer
    elif isinstance(answer, Mapping):
        for key, value in answer.items():
            yield from _tensors(value, repr(key))
    elif isinstance(answer, (tuple, list)):
        for number, value in enumerate(answer):
            yield from _tensors(value, str(number))
