"""Any program that times an ONNX file as a runtime: another host by ssh, a phone by adb, a vendor's tool, a board farm."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from hwsearch.devices.device import Device, Form, Model, Workload
from hwsearch.errors import DeviceError, MeasurementError, ProviderError, nearest

OPTIONS: dict[str, Any] = {"command": "", "facts_command": "", "timeout_s": 60.0}
PLACES = ("model", "inputs", "runs", "batch", "threads", "precision", "provider")
_TAIL = 400


class CommandSession:
    """A workload's model files in a folder; each block of runs is one call of the program a part."""

    def __init__(self, runtime: CommandRuntime, workload: Workload) -> None:
        self._runtime = runtime
        self._folder = tempfile.TemporaryDirectory(prefix="hwsearch-")
        folder = Path(self._folder.name)
        self._parts: list[tuple[Path, Path, int]] = []
        for i, part in enumerate(workload.parts):
            model, inputs = folder / f"{i}.onnx", folder / f"{i}.json"
            model.write_bytes(part.onnx)
            inputs.write_text(json.dumps(described(part, runtime.device.batch)), encoding="utf-8")
            self._parts.append((model, inputs, part.runs))
        self.extra: dict[str, float] = {}

    def time(self, runs: int) -> list[float]:
        total = [0.0] * runs
        for model, inputs, times in self._parts:
            answer = self._runtime.call(model, inputs, runs)
            total = [t + times * ms for t, ms in zip(total, answer["latency_ms"], strict=True)]
            for name in ("peak_memory_mib", "energy_mj"):
                if name in answer:
                    more = self.extra.get(name, 0.0)
                    value = float(answer[name])
                    self.extra[name] = max(more, value) if name == "peak_memory_mib" else more + times * value
        return total

    def close(self) -> None:
        self._folder.cleanup()


class CommandRuntime:
    """Runtime ``command``.

    Options: ``command`` : a program and its arguments, with ``{model}`` (path of the ONNX file), ``{inputs}`` (path of a
    JSON file: name, shape and type of each input), ``{runs}``, ``{batch}``, ``{threads}``, ``{precision}``,
    ``{provider}``. It is started without a shell, and prints as its last line
    ``{"latency_ms": [one number a run], "provider": …}``, perhaps with ``peak_memory_mib`` and ``energy_mj``.
    ``facts_command`` : prints one JSON object that describes the device; it is part of the fingerprint
    ``timeout_s`` : a call that takes longer is killed, with all it started
    """

    form: ClassVar[Form] = "onnx"

    def __init__(self, device: Device) -> None:
        self.device = device
        for name, value in device.options.items():
            if name not in OPTIONS:
                raise DeviceError(f"device {device.name!r}: unknown option {name!r}.", hint=nearest(name, OPTIONS))
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise DeviceError(f"device {device.name!r}: option {name} is {value!r}.")
        o = OPTIONS | device.options
        self._words = self._split("command", str(o["command"]))
        if "{model}" not in str(o["command"]) or "{runs}" not in str(o["command"]):
            raise DeviceError(
                f"device {device.name!r}: the command {o['command']!r} does not say where {{model}} and {{runs}} go.",
                hint='As in command = "bench {model} --runs {runs}".',
            )
        self._facts_words = self._split("facts_command", str(o["facts_command"])) if o["facts_command"] else []
        try:
            self.timeout_s = float(o["timeout_s"])
        except ValueError:
            self.timeout_s = math.nan
        if not self.timeout_s > 0:
            raise DeviceError(f"device {device.name!r}: timeout_s is {o['timeout_s']!r}, not a number of seconds.")
        self._facts: dict[str, Any] | None = None

    def _split(self, option: str, text: str) -> list[str]:
        try:
            words = shlex.split(text)
            for word in words:
                word.format(**dict.fromkeys(PLACES, ""))
        except (ValueError, IndexError) as error:
            raise DeviceError(f"device {self.device.name!r}: {option} {text!r} cannot be read: {error}.") from error
        except KeyError as error:
            raise DeviceError(
                f"device {self.device.name!r}: {option} has an unknown place {{{error.args[0]}}}.",
                hint=nearest(str(error.args[0]), PLACES),
            ) from error
        if not words:
            raise DeviceError(
                f"device {self.device.name!r} has no {option}.", hint='As in command = "bench {model} --runs {runs}".'
            )
        if shutil.which(words[0]) is None:
            raise DeviceError(f"device {self.device.name!r}: there is no program {words[0]!r}.", hint="Give its path.")
        return words

    # ------------------------------------------------------------------ calls
    def call(self, model: Path, inputs: Path, runs: int) -> dict[str, Any]:
        """One call of the program: its checked answer. Raises `MeasurementError`, `ProviderError` for another provider."""
        d = self.device
        places = dict(zip(PLACES, (model, inputs, runs, d.batch, d.threads, d.precision, d.provider), strict=True))
        answer = self._answer([w.format(**places) for w in self._words])
        times = answer.get("latency_ms")
        good = isinstance(times, list) and len(times) == runs
        if not good or not all(_positive(t) for t in times or ()):
            raise MeasurementError(
                f"device {d.name!r}: for {runs} runs the program answered latency_ms = {str(times)[:80]}.",
                hint="It must be a list of that many positive numbers, in milliseconds.",
            )
        for name in ("peak_memory_mib", "energy_mj"):
            if name in answer and not _positive(answer[name]):
                raise MeasurementError(f"device {d.name!r}: the program answered {name} = {answer[name]!r}.")
        ran = answer.get("provider")
        if ran is not None and ran != d.provider:
            raise ProviderError(
                f"device {d.name!r} asked for {d.provider!r}, and the program says that {ran!r} ran.",
                hint="Name in the configuration what the program uses, or mend the program's arguments.",
            )
        return answer

    def _answer(self, words: Sequence[str]) -> dict[str, Any]:
        """The JSON object on the last line that a program prints."""
        shown = shlex.join(words)
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise MeasurementError(f"device {self.device.name!r}: {shown!r} cannot start: {error.strerror}.") from error
        try:
            said, complained = process.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise MeasurementError(
                f"device {self.device.name!r}: {shown!r} did not end within {self.timeout_s:g} s and was killed.",
                hint="Look at the device, or raise options.timeout_s.",
            ) from None
        except BaseException:
            _kill(process)
            raise
        tail = complained.strip()[-_TAIL:]
        told = f" It said: {tail}" if tail else ""
        if process.returncode != 0:
            raise MeasurementError(
                f"device {self.device.name!r}: {shown!r} ended with exit code {process.returncode}.{told}"
            )
        lines = [line for line in said.splitlines() if line.strip()]
        try:
            answer = json.loads(lines[-1]) if lines else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            last = lines[-1][:120] if lines else ""
            raise MeasurementError(
                f"device {self.device.name!r}: the last line of {shown!r} is {last!r}, not a JSON object.{told}"
            )
        return answer

    # ------------------------------------------------------------------ the runtime
    def facts(self) -> dict[str, Any]:
        """The command by its words and the program's contents, and what ``facts_command`` tells."""
        if self._facts is None:
            program = Path(shutil.which(self._words[0]) or "")
            scripts = [program, *(Path(w) for w in self._words[1:] if w.endswith((".py", ".sh")) and Path(w).is_file())]
            told = self._answer(self._facts_words) if self._facts_words else {}
            self._facts = {
                **self.device.settings,
                "program": {p.name: hashlib.sha256(p.read_bytes()).hexdigest()[:12] for p in scripts},
                "device": told,
            }
        return self._facts

    def load(self, workload: Workload) -> CommandSession:
        """Write the model files and have the program run them once."""
        if any(not part.onnx for part in workload.parts):
            raise DeviceError(f"device {self.device.name!r} was given no ONNX file.")
        session = CommandSession(self, workload)
        try:
            session.time(1)
        except BaseException:
            session.close()
            raise
        return session

    def verify(self, workload: Workload) -> dict[str, int]:
        """Run once. How many nodes ran is not known here: the program answers for its provider, which is compared."""
        self.load(workload).close()
        return {f"{self.device.provider} (as the program says)": len(workload.parts)}

    def footprint(self, workload: Workload) -> dict[str, float]:
        """``peak_memory_mib`` and ``energy_mj``, where the program tells them."""
        session = self.load(workload)
        try:
            session.extra.clear()
            session.time(10)
            return dict(session.extra)
        finally:
            session.close()

    @classmethod
    def offers(cls) -> list[dict[str, Any]]:
        """What this runtime can be asked for here."""
        return [{"provider": "any", "command": "a program that takes an ONNX file and prints JSON"}]


def described(part: Model, batch: int) -> list[dict[str, Any]]:
    """Name, shape (batch included), type and range of each input, for the program."""
    return [
        {
            "name": i.name,
            "shape": list(i.full_shape(batch)),
            "dtype": "int64" if i.high else "float32",
            "low": i.low,
            "high": i.high,
        }
        for i in part.inputs
    ]


def _positive(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def _kill(process: subprocess.Popen[str]) -> None:
    """End a program and all it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()


__all__ = ["CommandRuntime", "CommandSession", "described"]
