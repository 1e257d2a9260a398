"""Any executable as a device runtime: it gets the path of an ONNX file and prints JSON.

So a phone over adb, a board over ssh, a vendor's tool or a farm of boards plug in; see docs/how-to/device.md.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Form, Model, Runtime, Session, Workload
from hwsearch.devices.runtimes.command_answer import (
    check_same_facts,
    command_problem,
    count_nodes,
    parse_answer,
    validate_answer,
)
from hwsearch.devices.runtimes.command_line import (
    DEVICE_PLACEHOLDERS,
    PLACEHOLDERS,
    PROVIDER,
    command_options,
    command_words,
    fill,
    placeholders,
    run_command,
)
from hwsearch.errors import DeviceError, MeasurementError

#: runs behind a footprint
FOOTPRINT_RUNS = 10


class CommandRuntime(Runtime):
    """Runtime ``command``: any executable that measures an ONNX file and prints JSON.

    The last line on standard output is ``{"latency_ms": [one number a run], "provider": "..."}``. It may also have
    ``peak_memory_mib``, ``energy_mj`` (of one inference), ``nodes`` (how many ran on each provider), ``facts`` (the same
    in every answer) and ``failure``: a sentence that says why this model has no latency. A workload of several models is
    one call a model, and their latencies are summed.

    Parameters
    ----------
    device : Device
        Its options are ``command``: split as a shell would split it, but run without one; ``{model}`` and ``{runs}`` must
        be in it, ``{inputs}`` (a JSON file: name, shape, dtype, range and named axes of each input), ``{batch}``,
        ``{threads}``, ``{precision}`` and ``{provider}`` may be: a setting that is not the default must be.
        ``timeout_s``: a call that takes longer is killed, with all it started. ``facts_command``: prints a JSON object
        that says what the device is; without it nobody sees that the hardware behind the command is another than it was.

    Raises
    ------
    DeviceError
        If the command lacks what it must be told, or names no executable.
    """

    form: ClassVar[Form] = "onnx"
    starts_programs: ClassVar[bool] = True

    def __init__(self, device: Device) -> None:
        self.device = device
        options = command_options(device)
        self.timeout_s = float(options.timeout_s)
        self.command = command_words(device, options.command, ("model", "runs"), (*PLACEHOLDERS, PROVIDER))
        told = placeholders(self.command)
        for name, default in PLACEHOLDERS.items():
            if default is not None and name not in told and getattr(device, name) != default:
                raise DeviceError(
                    f"device {device.name!r} sets {name} = {getattr(device, name)!r}, but its command has no {{{name}}}: "
                    "the device would not be told."
                )
        facts_command = options.facts_command
        self._facts_command = command_words(device, facts_command, (), DEVICE_PLACEHOLDERS) if facts_command else []
        self._told_facts: object = None

    @override
    def facts(self) -> JsonObject:
        return {**self.device.settings, "program": self._digests, "device": self._hardware}

    @cached_property
    def _digests(self) -> dict[str, str]:
        """The executable and the scripts among its arguments: another version of them is another device."""
        program = Path(shutil.which(self.command[0]) or self.command[0])
        scripts = [Path(w) for w in self.command[1:] if w.endswith((".py", ".sh")) and Path(w).is_file()]
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()[:12] for p in (program, *scripts)}

    @cached_property
    def _hardware(self) -> JsonObject | None:
        if not self._facts_command:
            return None
        try:
            return self.call(self._facts_command, {})
        except MeasurementError as error:
            raise DeviceError(error.message, hint=error.hint) from error

    @override
    def load(self, workload: Workload) -> CommandSession:
        session = CommandSession(self, workload)
        try:
            for part in session.parts:
                part.ask(1, loading=True)
        except BaseException:
            session.close()
            raise
        return session

    @override
    def verify(self, workload: Workload) -> dict[str, int]:
        counts: Counter[str] = Counter()
        session = CommandSession(self, workload)
        try:
            for part in session.parts:
                counts.update(count_nodes(self.device, self.command, part.ask(1, loading=True)))
        finally:
            session.close()
        return dict(counts)

    def footprint(self, workload: Workload) -> dict[str, float]:
        """Measure memory and energy, where the command tells them.

        Parameters
        ----------
        workload : Workload
            The ONNX models of a subnet.

        Returns
        -------
        dict of str to float
            ``model_size_mib`` of all models; ``peak_memory_mib`` of the largest; ``energy_mj`` of one inference of all.
        """
        found: dict[str, float] = {"model_size_mib": sum(len(m.onnx) for m in workload.parts) / 2**20}
        session = CommandSession(self, workload)
        try:
            answers = [(part.ask(FOOTPRINT_RUNS * part.runs, loading=True), part.runs) for part in session.parts]
        finally:
            session.close()
        if all("peak_memory_mib" in answer for answer, _ in answers):
            found["peak_memory_mib"] = max(float(answer["peak_memory_mib"]) for answer, _ in answers)
        if all("energy_mj" in answer for answer, _ in answers):
            found["energy_mj"] = sum(float(answer["energy_mj"]) * runs for answer, runs in answers)
        return found

    @classmethod
    def offers(cls) -> list[JsonObject]:
        """List what this runtime can be asked for on this machine.

        Returns
        -------
        list of dict
            One row: whatever the command reaches.
        """
        return [{"provider": "any", "hardware": "what options.command reaches"}]

    def call(self, words: Sequence[str], values: Mapping[str, object], *, loading: bool = False) -> JsonObject:
        """Run a command and read the JSON object that it prints last.

        Parameters
        ----------
        words : sequence of str
            The command with placeholders.
        values : mapping of str to object
            By placeholder, beside the device's settings.
        loading : bool
            Whether a failure means that the device refuses the model.

        Returns
        -------
        dict
            The object, not checked yet.

        Raises
        ------
        DeviceError
            If the command cannot be started, or fails while `loading`.
        MeasurementError
            If it fails, takes longer than the timeout, or prints no JSON object.
        """
        known = {name: getattr(self.device, name) for name in DEVICE_PLACEHOLDERS} | dict(values)
        filled = fill(words, known)
        done = run_command(self.device, filled, self.timeout_s)
        if done.code is None:
            how = f"did not end within {self.timeout_s:g} s and was killed"
            raise MeasurementError(command_problem(self.device, filled, how, done.errors), hint="Is the device there?")
        if done.code != 0:
            how = f"ended with exit status {done.code}" if done.code > 0 else f"was ended by signal {-done.code}"
            kind = DeviceError if loading else MeasurementError
            raise kind(command_problem(self.device, filled, how, done.errors), hint="Run it by hand to see why.")
        return parse_answer(self.device, filled, done.out, done.errors)

    def measure(self, values: Mapping[str, object], runs: int, *, loading: bool = False) -> JsonObject:
        """Ask the command for so many runs of a model.

        Parameters
        ----------
        values : mapping of str to object
            ``model``, ``inputs`` and ``runs``.
        runs : int
            How many latencies the answer must hold.
        loading : bool
            As in `call`.

        Returns
        -------
        dict
            An answer that `validate_answer` has passed and whose facts have not changed.

        Raises
        ------
        DeviceError, MeasurementError, ProviderError
            As `call` and `validate_answer` raise them.
        """
        answer = validate_answer(self.device, self.command, self.call(self.command, values, loading=loading), runs)
        if answer.get("facts") is not None:
            if self._told_facts is None:
                self._told_facts = answer["facts"]
            check_same_facts(self.device, self._told_facts, answer["facts"])
        return answer


class CommandSession(Session):
    """A workload as files; every `time` is one call of the command for each of its models.

    Parameters
    ----------
    runtime : CommandRuntime
        Calls the command.
    workload : Workload
        Its models are written to a temporary folder, which `close` removes.

    Raises
    ------
    DeviceError
        If a part of the workload has no ONNX model.
    """

    def __init__(self, runtime: CommandRuntime, workload: Workload) -> None:
        if any(not model.onnx for model in workload.parts):
            raise DeviceError(f"device {runtime.device.name!r} was given no ONNX file.")
        self._folder = tempfile.TemporaryDirectory(prefix="hwsearch-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self.parts = [_Part(runtime, model, folder, i) for i, model in enumerate(workload.parts)]

    @override
    def time(self, runs: int) -> list[float]:
        total = np.zeros(runs)
        for part in self.parts:
            times = part.ask(runs * part.runs)["latency_ms"]
            total += np.array(times, dtype=np.float64).reshape(runs, part.runs).sum(axis=1)
        return [float(v) for v in total]

    @override
    def close(self) -> None:
        self._folder.cleanup()


class _Part:
    def __init__(self, runtime: CommandRuntime, model: Model, folder: Path, number: int) -> None:
        self._runtime, self.runs = runtime, model.runs
        digest = hashlib.sha256(model.onnx).hexdigest()[:12]
        self._model, self._inputs = folder / f"{number}-{digest}.onnx", folder / f"{number}-{digest}.json"
        self._model.write_bytes(model.onnx)
        described = [
            {
                "name": i.name,
                "shape": list(i.full_shape(runtime.device.batch)),
                "dtype": "int64" if i.high else "float32",
                "low": i.low,
                "high": i.high,
                "axes": {str(k): v for k, v in i.dynamic_axes().items()},
            }
            for i in model.inputs
        ]
        self._inputs.write_text(json.dumps(described))

    def ask(self, runs: int, *, loading: bool = False) -> JsonObject:
        """Get the valid answer to so many runs of this model."""
        values = {"model": self._model, "inputs": self._inputs, "runs": runs}
        return self._runtime.measure(values, runs, loading=loading)
