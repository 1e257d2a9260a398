"""The answers of a measuring command: how they are read and checked, and the errors that say what was wrong."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from hwsearch._json import JsonObject, is_number, is_shallow
from hwsearch.devices.device import Device
from hwsearch.errors import MeasurementError, ProviderError
from latency_tables.reading import parse_json

#: more nodes than any model has
MOST_NODES = 10**9
#: lines of standard error that a message shows
TAIL_LINES = 4


def parse_answer(device: Device, words: Sequence[str], out: str, errors: str) -> JsonObject:
    """Read the JSON object on the last line of a command's output.

    Parameters
    ----------
    device : Device
        Named in errors.
    words : sequence of str
        The command as it was run.
    out, errors : str
        The ends of its standard output and standard error.

    Returns
    -------
    dict
        The object; `validate_answer` checks it.

    Raises
    ------
    MeasurementError
        If the last line is not a JSON object.
    """
    last = next((line for line in reversed(out.splitlines()) if line.strip()), "")
    try:
        answer = parse_json(last)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not is_shallow(answer):
        said = f"printed {last[:120]!r}" if last else "printed nothing"
        raise MeasurementError(
            command_problem(device, words, f"{said} where a JSON object belongs (the last line)", errors)
        )
    return answer


def validate_answer(device: Device, words: Sequence[str], answer: JsonObject, runs: int) -> JsonObject:
    """Return an answer to a measurement unchanged if it can be true.

    Parameters
    ----------
    device : Device
        Whose provider must have run, by `same_provider`.
    words : sequence of str
        The command as it was asked.
    answer : dict
        As `parse_answer` gives it.
    runs : int
        How many latencies it must hold.

    Returns
    -------
    dict
        The same object, with ``provider``, and ``latency_ms`` as `runs` positive numbers.

    Raises
    ------
    MeasurementError
        If it reports a failure, or holds what no measurement gives.
    ProviderError
        If another provider ran.
    """
    failure = answer.get("failure")
    if failure is not None:
        raise MeasurementError(f"device {device.name!r}: {failure}")
    provider = answer.get("provider")
    if not isinstance(provider, str) or not provider:
        raise invalid_answer(device, words, f'"provider" is {provider!r}')
    if not same_provider(provider, device.provider):
        raise ProviderError(f"device {device.name!r} asked for {device.provider!r}, but {provider!r} ran.")
    times = answer.get("latency_ms")
    if not isinstance(times, list):
        raise invalid_answer(device, words, f'"latency_ms" is {str(times)[:60]}, not a list')
    if len(times) != runs:
        raise invalid_answer(device, words, f"{len(times)} latencies for {runs} runs")
    for value in times:
        if not is_number(value) or not value > 0:
            raise invalid_answer(device, words, f"a latency of {value!r} ms")
    for name in ("peak_memory_mib", "energy_mj"):
        if name in answer and (not is_number(answer[name]) or answer[name] < 0):
            raise invalid_answer(device, words, f"{name} = {answer[name]!r}")
    return answer


def count_nodes(device: Device, words: Sequence[str], answer: JsonObject) -> dict[str, int]:
    """Count executed nodes by provider, as an answer tells them.

    Parameters
    ----------
    device : Device
        Whose provider must have run all of them.
    words : sequence of str
        The command as it was asked.
    answer : dict
        A valid answer.

    Returns
    -------
    dict of str to int
        Nodes by provider; one for the whole model where the command does not count them.

    Raises
    ------
    MeasurementError
        If the counts are malformed.
    ProviderError
        If nodes ran on another provider.
    """
    nodes = answer.get("nodes")
    if nodes is None:
        return {answer["provider"]: 1}
    if not isinstance(nodes, dict) or not nodes or not all(_is_count(n) for n in nodes.values()):
        raise invalid_answer(device, words, f'"nodes" is {nodes!r}, not providers with numbers')
    elsewhere = {p: n for p, n in nodes.items() if not same_provider(p, device.provider)}
    if elsewhere:
        raise ProviderError(
            f"device {device.name!r} asked for {device.provider!r}, but {sum(elsewhere.values())} of "
            f"{sum(nodes.values())} nodes ran on {', '.join(elsewhere)}."
        )
    return nodes


def check_same_facts(device: Device, was: object, now: object) -> None:
    """Check that an answer's facts are those of the answers before it.

    Parameters
    ----------
    device : Device
        Named in errors.
    was, now : object
        Facts as JSON.

    Raises
    ------
    MeasurementError
        If they differ; names the first difference.
    """
    if now != was:
        raise MeasurementError(
            f"device {device.name!r} is another than it was: {_difference(was, now)}.",
            hint="Put the device back, or make it a [[device]] of its own.",
        )


def command_problem(device: Device, words: Sequence[str], what: str, errors: str) -> str:
    """Say what was wrong with a call of a command.

    Parameters
    ----------
    device : Device
        Whose command it was.
    words : sequence of str
        The command as it was run.
    what : str
        The problem, as the rest of a sentence about the command.
    errors : str
        The end of its standard error; the last lines are quoted.

    Returns
    -------
    str
        One or two sentences, on one line.
    """
    lines = [line.strip() for line in errors.splitlines() if line.strip()][-TAIL_LINES:]
    said = f" It said: {' / '.join(lines)[-600:]}" if lines else ""
    return f"device {device.name!r}: the command '{shlex.join(words)}' {what}.{said}"


def invalid_answer(device: Device, words: Sequence[str], what: str) -> MeasurementError:
    """Make the error for an answer that cannot be true.

    Parameters
    ----------
    device : Device
        Whose command it was.
    words : sequence of str
        The command as it was asked.
    what : str
        What cannot be true.

    Returns
    -------
    MeasurementError
        To be raised.
    """
    return MeasurementError(command_problem(device, words, f"answered what cannot be true: {what}", ""))


def same_provider(one: str, other: str) -> bool:
    """Tell whether two names mean one execution provider.

    Parameters
    ----------
    one, other : str
        Names, short or full.

    Returns
    -------
    bool
        Case and the ending ``ExecutionProvider`` make no difference.

    Examples
    --------
    >>> same_provider("cpu", "CPUExecutionProvider"), same_provider("cpu", "cuda")
    (True, False)
    """
    short = [name.casefold().removesuffix("executionprovider") for name in (one, other)]
    return short[0] == short[1]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_NODES


def _difference(was: object, now: object) -> str:
    """Name the first fact in which two answers differ."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(k for k in now if k not in was)]:
            if was.get(key) != now.get(key):
                return f"{key} was {was.get(key)!r} and is {now.get(key)!r}"
    return f"its facts were {was!r} and are {now!r}"
