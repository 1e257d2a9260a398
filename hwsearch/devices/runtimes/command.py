"""Any executable as a device runtime: it gets the path of an ONNX file and prints JSON.

So a phone over adb, a board over ssh, a vendor's tool or a farm of boards plug in; see docs/how-to/device.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Form, Model, Workload
from hwsearch.errors import DeviceError, MeasurementError, ProviderError, nearest

#: what `device.options` may hold, with defaults
DEFAULTS: dict[str, Any] = {"command": "", "facts_command": "", "timeout_s": 60.0}
#: what stands for a setting or a file in the command, with the value that need not be told
PLACEHOLDERS = {"model": None, "runs": None, "inputs": None, "batch": 1, "threads": 1, "precision": "fp32"}
PROVIDER = "provider"
DEVICE_PLACEHOLDERS = ("batch", "threads", "precision", PROVIDER)
#: runs behind a footprint
FOOTPRINT_RUNS = 10
#: how much of the end of an output is read, and how much of that an error shows
TAIL_BYTES, TAIL_LINES = 1 << 20, 4

_WORD = re.compile(r"\{([A-Za-z_]+)\}")


class CommandRuntime:
    """Runtime ``command``.

    Options: ``command`` : split as a shell would split it, but run without one; ``{model}`` and ``{runs}`` must be in it,
    ``{inputs}`` (a JSON file: name, shape, dtype, range and named axes of each input), ``{batch}``, ``{threads}``,
    ``{precision}`` and ``{provider}`` may be: a setting that is not the default must be
    ``timeout_s`` : a call that takes longer is killed, with all it started
    ``facts_command`` : prints a JSON object that says what the device is; without it nobody sees that the hardware behind
    the command is another than it was

    The last line on standard output is ``{"latency_ms": [one number a run], "provider": "..."}``; it may also have
    ``peak_memory_mib``, ``energy_mj`` (of one inference), ``nodes`` (how many ran on each provider), ``facts`` (the same
    in every answer) and ``failure``: a sentence that says why this model has no latency. A workload of several models is
    one call a model, and their latencies are summed.
    """

    form: ClassVar[Form] = "onnx"

    def __init__(self, device: Device) -> None:
        self.device = device
        options = _options(device)
        self.timeout_s = float(options["timeout_s"])
        self._command = self._words(str(options["command"]), ("model", "runs"), (*PLACEHOLDERS, PROVIDER))
        told = {word for part in self._command for word in _WORD.findall(part)}
        for name, default in PLACEHOLDERS.items():
            if default is not None and name not in told and getattr(device, name) != default:
                raise DeviceError(
                    f"device {device.name!r} sets {name} = {getattr(device, name)!r}, but its command has no {{{name}}}: "
                    "the device would not be told."
                )
        self._facts_command: list[str] = []
        if options["facts_command"]:
            self._facts_command = self._words(str(options["facts_command"]), (), DEVICE_PLACEHOLDERS)
        self._told_facts: Any = None

    def _words(self, text: str, required: Sequence[str], allowed: Sequence[str]) -> list[str]:
        name = self.device.name
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise DeviceError(f"device {name!r}: the command {text!r} cannot be split: {error}.") from error
        if not words:
            raise DeviceError(
                f"device {name!r} has no command.",
                hint="Set options.command, for example 'python measure.py {model} --runs {runs}'.",
            )
        found = [word for part in words for word in _WORD.findall(part)]
        for word in found:
            if word not in allowed:
                raise DeviceError(
                    f"device {name!r}: {{{word}}} in the command {text!r} stands for nothing.",
                    hint=nearest(word, allowed),
                )
        for word in required:
            if word not in found:
                raise DeviceError(f"device {name!r}: the command {text!r} has no {{{word}}}.")
        if shutil.which(words[0]) is None:
            raise DeviceError(
                f"device {name!r}: there is no executable {words[0]!r}.", hint="Give its full path, or mend PATH."
            )
        return words

    def facts(self) -> dict[str, Any]:
        """The settings, the contents of the program, and what the facts command says.

        Raises `DeviceError` where the facts command says nothing usable.
        """
        return {**self.device.settings, "program": self._digests, "device": self._hardware}

    @cached_property
    def _digests(self) -> dict[str, str]:
        """The executable and the scripts among its arguments: another version of them is another device."""
        program = Path(shutil.which(self._command[0]) or self._command[0])
        scripts = [Path(w) for w in self._command[1:] if w.endswith((".py", ".sh")) and Path(w).is_file()]
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()[:12] for p in (program, *scripts)}

    @cached_property
    def _hardware(self) -> dict[str, Any] | None:
        if not self._facts_command:
            return None
        try:
            return self.call(self._facts_command, {})
        except MeasurementError as error:
            raise DeviceError(error.message, hint=error.hint) from error

    def load(self, workload: Workload) -> CommandSession:
        """Have the command run each model once; `DeviceError` where the command ends with a failure, as it does for a refused model."""
        session = CommandSession(self, workload)
        try:
            for part in session.parts:
                part.ask(1, loading=True)
        except BaseException:
            session.close()
            raise
        return session

    def verify(self, workload: Workload) -> dict[str, int]:
        """What the command says ran where: nodes, or models where it does not count nodes."""
        counts: Counter[str] = Counter()
        session = CommandSession(self, workload)
        try:
            for part in session.parts:
                answer = part.ask(1, loading=True)
                nodes = answer.get("nodes")
                if nodes is None:
                    counts[answer["provider"]] += 1
                    continue
                if not isinstance(nodes, dict) or not nodes or not all(_is_count(n) for n in nodes.values()):
                    raise self.nonsense(part.words, f'"nodes" is {nodes!r}, not providers with numbers')
                elsewhere = {p: n for p, n in nodes.items() if not same_provider(p, self.device.provider)}
                if elsewhere:
                    raise ProviderError(
                        f"device {self.device.name!r} asked for {self.device.provider!r}, but {sum(elsewhere.values())} of "
                        f"{sum(nodes.values())} nodes ran on {', '.join(elsewhere)}."
                    )
                counts.update(nodes)
        finally:
            session.close()
        return dict(counts)

    def footprint(self, workload: Workload) -> dict[str, float]:
        """Peak memory (of the largest model) and energy (of all), where the command tells them; size of the models."""
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
    def offers(cls) -> list[dict[str, Any]]:
        """What this runtime can be asked for here."""
        return [{"provider": "any", "hardware": "what options.command reaches"}]

    # ------------------------------------------------------------------ calls
    def call(self, words: Sequence[str], values: Mapping[str, Any], *, loading: bool = False) -> dict[str, Any]:
        """The JSON object that a command prints last, its placeholders filled in."""
        known = {name: getattr(self.device, name) for name in DEVICE_PLACEHOLDERS} | dict(values)
        filled = [_WORD.sub(lambda match: str(known[match[1]]), word) for word in words]
        code, out, errors = self._run(filled)
        if code is None:
            raise self._error(
                filled, f"did not end within {self.timeout_s:g} s and was killed", errors, hint="Is the device there?"
            )
        if code != 0:
            how = f"ended with exit status {code}" if code > 0 else f"was ended by signal {-code}"
            kind = DeviceError if loading else MeasurementError
            raise self._error(filled, how, errors, kind=kind, hint="Run it by hand to see why.")
        last = next((line for line in reversed(out.splitlines()) if line.strip()), "")
        try:
            answer = json.loads(last)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            said = f"printed {last[:120]!r}" if last else "printed nothing"
            raise self._error(filled, f"{said} where a JSON object belongs (the last line)", errors)
        return answer

    def nonsense(self, words: Sequence[str], what: str) -> MeasurementError:
        error = self._error(words, f"answered what cannot be true: {what}", "")
        assert isinstance(error, MeasurementError)
        return error

    def _error(
        self,
        words: Sequence[str],
        what: str,
        errors: str,
        *,
        kind: type[DeviceError] | type[MeasurementError] = MeasurementError,
        hint: str | None = None,
    ) -> DeviceError | MeasurementError:
        lines = [line.strip() for line in errors.splitlines() if line.strip()][-TAIL_LINES:]
        said = f" It said: {' / '.join(lines)[-600:]}" if lines else ""
        return kind(f"device {self.device.name!r}: the command '{shlex.join(words)}' {what}.{said}", hint=hint)

    def _run(self, words: Sequence[str]) -> tuple[int | None, str, str]:
        """(exit status or None after the timeout, standard output, standard error), the ends of both.

        They go through files: a process that the command leaves behind would keep a pipe open.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    list(words), stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True
                )
            except OSError as error:
                raise DeviceError(
                    f"device {self.device.name!r}: the command '{shlex.join(words)}' cannot be started: {error.strerror}."
                ) from error
            code: int | None = None
            try:
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(self.timeout_s)
            finally:
                if process.returncode is None:
                    _kill(process)
            texts = []
            for file in (out, errors):
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                texts.append(file.read().decode("utf-8", "replace"))
            return code, texts[0], texts[1]

    def check(self, words: Sequence[str], answer: dict[str, Any], runs: int) -> dict[str, Any]:
        """An answer to a measurement as it is, if it can be true."""
        failure = answer.get("failure")
        if failure is not None:
            raise MeasurementError(f"device {self.device.name!r}: {failure}")
        provider = answer.get("provider")
        if not isinstance(provider, str) or not provider:
            raise self.nonsense(words, f'"provider" is {provider!r}')
        if not same_provider(provider, self.device.provider):
            raise ProviderError(
                f"device {self.device.name!r} asked for {self.device.provider!r}, but {provider!r} ran."
            )
        times = answer.get("latency_ms")
        if not isinstance(times, list):
            raise self.nonsense(words, f'"latency_ms" is {str(times)[:60]}, not a list')
        if len(times) != runs:
            raise self.nonsense(words, f"{len(times)} latencies for {runs} runs")
        for value in times:
            if not _is_number(value) or not value > 0:
                raise self.nonsense(words, f"a latency of {value!r} ms")
        for name in ("peak_memory_mib", "energy_mj"):
            if name in answer and (not _is_number(answer[name]) or answer[name] < 0):
                raise self.nonsense(words, f"{name} = {answer[name]!r}")
        facts = answer.get("facts")
        if facts is not None:
            if self._told_facts is None:
                self._told_facts = facts
            elif facts != self._told_facts:
                raise MeasurementError(
                    f"device {self.device.name!r} is another than it was: {_difference(self._told_facts, facts)}.",
                    hint="Put the device back, or make it a [[device]] of its own.",
                )
        return answer


class CommandSession:
    """A workload as files; every `time` is one call of the command for each of its models."""

    def __init__(self, runtime: CommandRuntime, workload: Workload) -> None:
        if any(not model.onnx for model in workload.parts):
            raise DeviceError(f"device {runtime.device.name!r} was given no ONNX file.")
        self._folder = tempfile.TemporaryDirectory(prefix="hwsearch-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self.parts = [_Part(runtime, model, folder, i) for i, model in enumerate(workload.parts)]

    def time(self, runs: int) -> list[float]:
        total = np.zeros(runs)
        for part in self.parts:
            times = part.ask(runs * part.runs)["latency_ms"]
            total += np.array(times, dtype=np.float64).reshape(runs, part.runs).sum(axis=1)
        return [float(v) for v in total]

    def close(self) -> None:
        self._folder.cleanup()


class _Part:
    def __init__(self, runtime: CommandRuntime, model: Model, folder: Path, number: int) -> None:
        self._runtime, self.runs = runtime, model.runs
        self.words = runtime._command
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

    def ask(self, runs: int, *, loading: bool = False) -> dict[str, Any]:
        """The checked answer to so many runs of this model."""
        values = {"model": self._model, "inputs": self._inputs, "runs": runs}
        return self._runtime.check(self.words, self._runtime.call(self.words, values, loading=loading), runs)


def same_provider(one: str, other: str) -> bool:
    """Whether two names mean one execution provider: ``cpu`` is short for ``CPUExecutionProvider``."""
    short = [name.casefold().removesuffix("executionprovider") for name in (one, other)]
    return short[0] == short[1]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started in its session."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _options(device: Device) -> dict[str, Any]:
    for name, value in device.options.items():
        if name not in DEFAULTS:
            raise DeviceError(f"device {device.name!r}: unknown option {name!r}.", hint=nearest(name, DEFAULTS))
        if name == "timeout_s" and not (_is_number(value) and value > 0):
            raise DeviceError(f"device {device.name!r}: timeout_s = {value!r} is not a positive number of seconds.")
        if name != "timeout_s" and not isinstance(value, str):
            raise DeviceError(f"device {device.name!r}: option {name} = {value!r} is not a text.")
    return {**DEFAULTS, **device.options}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _difference(was: Any, now: Any) -> str:
    """The first fact in which two answers differ."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(k for k in now if k not in was)]:
            if was.get(key) != now.get(key):
                return f"{key} was {was.get(key)!r} and is {now.get(key)!r}"
    return f"its facts were {was!r} and are {now!r}"
