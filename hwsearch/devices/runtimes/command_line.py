"""The command of runtime ``command``: its options and placeholders, and how it is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypedDict

from hwsearch._json import is_number
from hwsearch.devices.device import Device
from hwsearch.devices.processes import kill_family, leads_session
from hwsearch.errors import DeviceError, nearest

#: what stands for a setting or a file in the command, with the value that need not be told
PLACEHOLDERS = {"model": None, "runs": None, "inputs": None, "batch": 1, "threads": 1, "precision": "fp32"}
PROVIDER = "provider"
DEVICE_PLACEHOLDERS = ("batch", "threads", "precision", PROVIDER)
#: how much of the end of an output is read
TAIL_BYTES = 1 << 20

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")


class Apart(TypedDict, total=False):
    """Arguments of `subprocess.Popen` that set a program apart from the process that starts it.

    Attributes
    ----------
    process_group : int
        0: a process group of its own in the same session.
    start_new_session : bool
        A session of its own.
    """

    process_group: int
    start_new_session: bool


@dataclass(frozen=True)
class CommandOptions:
    """Options of a device of runtime ``command``.

    Attributes
    ----------
    command : str
        Measures a model; see `CommandRuntime`.
    facts_command : str
        Prints what the device is, as a JSON object; empty for none.
    timeout_s : float
        A call that takes longer is killed, seconds.
    """

    command: str = ""
    facts_command: str = ""
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Completed:
    """Result of a call of a command: exit status and output.

    Attributes
    ----------
    code : int or None
        Exit status, negative for a signal; None after the timeout.
    out, errors : str
        The ends of standard output and standard error.
    """

    code: int | None
    out: str
    errors: str


def command_options(device: Device) -> CommandOptions:
    """Read the options of a device.

    Parameters
    ----------
    device : Device
        Its `options` are read.

    Returns
    -------
    CommandOptions
        With defaults for what is not given.

    Raises
    ------
    DeviceError
        For an unknown option, or a value of the wrong kind.
    """
    known = CommandOptions.__dataclass_fields__
    for name, value in device.options.items():
        if name not in known:
            raise DeviceError(f"device {device.name!r}: unknown option {name!r}.", hint=nearest(name, known))
        if name == "timeout_s" and not (is_number(value) and value > 0):
            raise DeviceError(f"device {device.name!r}: timeout_s = {value!r} is not a positive number of seconds.")
        if name != "timeout_s" and not isinstance(value, str):
            raise DeviceError(f"device {device.name!r}: option {name} = {value!r} is not a text.")
    return CommandOptions(**device.options)


def placeholders(words: Sequence[str]) -> list[str]:
    """List the placeholders in the words of a command.

    Parameters
    ----------
    words : sequence of str
        Words such as ``--model={model}``.

    Returns
    -------
    list of str
        Names without braces, in order.

    Examples
    --------
    >>> placeholders(["run", "--model={model}", "{runs}"])
    ['model', 'runs']
    """
    return [name for word in words for name in _PLACEHOLDER.findall(word)]


def command_words(device: Device, text: str, required: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """Split a command as a shell would, and check its placeholders and its executable.

    Parameters
    ----------
    device : Device
        Named in errors.
    text : str
        The command.
    required, allowed : sequence of str
        Placeholders that must be, and that may be, in it.

    Returns
    -------
    list of str
        Its words, placeholders included.

    Raises
    ------
    DeviceError
        If it is empty, cannot be split, lacks a placeholder or has an unknown one, or names no executable.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise DeviceError(f"device {device.name!r}: the command {text!r} cannot be split: {error}.") from error
    if not words:
        raise DeviceError(
            f"device {device.name!r} has no command.",
            hint="Set options.command, for example 'python measure.py {model} --runs {runs}'.",
        )
    found = placeholders(words)
    for word in found:
        if word not in allowed:
            raise DeviceError(
                f"device {device.name!r}: {{{word}}} in the command {text!r} stands for nothing.",
                hint=nearest(word, allowed),
            )
    for word in required:
        if word not in found:
            raise DeviceError(f"device {device.name!r}: the command {text!r} has no {{{word}}}.")
    if shutil.which(words[0]) is None:
        raise DeviceError(
            f"device {device.name!r}: there is no executable {words[0]!r}.", hint="Give its full path, or mend PATH."
        )
    return words


def fill(words: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """Put values in the place of placeholders.

    Parameters
    ----------
    words : sequence of str
        The command.
    values : mapping of str to object
        By placeholder; each is written as `str` writes it.

    Returns
    -------
    list of str
        Words without placeholders.

    Examples
    --------
    >>> fill(["run", "--runs={runs}"], {"runs": 3})
    ['run', '--runs=3']
    """
    return [_PLACEHOLDER.sub(lambda match: str(values[match[1]]), word) for word in words]


def run_command(device: Device, words: Sequence[str], timeout_s: float) -> Completed:
    """Run a command to its end, or kill it with all it started after the timeout.

    Its outputs go through files: a process that the command leaves behind would keep a pipe open.

    Parameters
    ----------
    device : Device
        Named in errors.
    words : sequence of str
        The command; no shell sees it.
    timeout_s : float
        Seconds.

    Returns
    -------
    Completed
        Exit status and the ends of both outputs.

    Raises
    ------
    DeviceError
        If it cannot be started.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            # of a measuring process whoever ends that one must find the program; elsewhere it gets no terminal
            apart: Apart = {"process_group": 0} if leads_session() else {"start_new_session": True}
            process = subprocess.Popen(list(words), stdin=subprocess.DEVNULL, stdout=out, stderr=errors, **apart)
        except OSError as error:
            raise DeviceError(
                f"device {device.name!r}: the command '{shlex.join(words)}' cannot be started: {error.strerror}."
            ) from error
        code: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout_s)
        finally:
            if process.returncode is None:
                kill_family(process)
        texts = []
        for file in (out, errors):
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            texts.append(file.read().decode("utf-8", "replace"))
        return Completed(code, texts[0], texts[1])
