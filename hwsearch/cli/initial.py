"""Questions of `hwsearch init`, and what it writes: a short configuration with comments and units."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import entry_points
from typing import TypeVar

import typer

from hwsearch.cli.render import err, visible
from hwsearch.errors import HwsearchError, nearest

T = TypeVar("T")

#: execution providers that ONNX Runtime has names for
PROVIDERS = ("CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider", "OpenVINOExecutionProvider")
#: the supernet that needs neither weights nor data of the user's
SHIPPED = "cifar10-mbv3"


@dataclass(frozen=True)
class DeviceAnswers:
    """One device as it was answered.

    Attributes
    ----------
    name, runtime, provider : str
        As in ``[[device]]``; the provider is ONNX Runtime's.
    threads, batch : int
        Threads, and inputs of one inference.
    """

    name: str = "this-cpu"
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = 1
    batch: int = 1

    def to_dict(self) -> dict[str, object]:
        """Describe the device as a configuration does.

        Returns
        -------
        dict
            Without the provider where the runtime has none.
        """
        found = asdict(self)
        if self.runtime != "onnxruntime":
            del found["provider"]
        return found


@dataclass(frozen=True)
class Answers:
    """Answers that a configuration is made of.

    Attributes
    ----------
    supernet : str
        A name of the catalogue, or ``file.py:ENTRY``.
    devices : tuple of DeviceAnswers
        At least one.
    limit : str, optional
        On the latency.
    """

    supernet: str = SHIPPED
    devices: tuple[DeviceAnswers, ...] = field(default_factory=lambda: (DeviceAnswers(),))
    limit: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Describe the configuration.

        Returns
        -------
        dict
            As `hwsearch.campaigns.loading.parse_config` takes it.
        """
        latency = {"metric": "latency", **({"limit": self.limit} if self.limit else {})}
        return {
            "supernet": {"name": self.supernet},
            "device": [d.to_dict() for d in self.devices],
            "objective": [{"metric": "accuracy"}, latency],
        }


def known_names(kind: str) -> list[str]:
    """List the plug-ins of a kind by name; none is imported.

    Parameters
    ----------
    kind : str
        The group behind ``hwsearch.``: ``supernets`` or ``runtimes``.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted({e.name for e in entry_points(group=f"hwsearch.{kind}")})


def check_name(kind: str, name: str) -> str:
    """Check that a plug-in is installed.

    Parameters
    ----------
    kind : str
        As in `known_names`.
    name : str
        What was asked for; of supernets also ``file.py:ENTRY``.

    Returns
    -------
    str
        The name.

    Raises
    ------
    HwsearchError
        If there is none of that name; names the nearest one.
    """
    if name in known_names(kind) or (kind == "supernets" and ":" in name):
        return name
    raise HwsearchError(f"there is no {kind[:-1]} {name!r}.", hint=nearest(name, known_names(kind)))


def check_answers(answers: Answers) -> Answers:
    """Check answers as the configuration that is made of them is checked.

    Parameters
    ----------
    answers : Answers
        What was answered so far.

    Returns
    -------
    Answers
        The same.

    Raises
    ------
    HwsearchError
        If a value is not valid; the message names it.
    """
    from hwsearch.campaigns.loading import parse_config

    check_name("supernets", answers.supernet)
    for device in answers.devices:
        check_name("runtimes", device.runtime)
    parse_config(answers.to_dict(), "the answers given")
    return answers


def ask_all(given: Answers) -> Answers:
    """Ask for supernet, devices and limit; a wrong answer is explained and asked again.

    Parameters
    ----------
    given : Answers
        What is suggested.

    Returns
    -------
    Answers
        Valid ones.
    """
    first = given.devices[0]
    name = _ask(
        f"Supernet ({', '.join(known_names('supernets'))}, or FILE.py:ENTRY)",
        given.supernet,
        lambda text: check_name("supernets", text),
    )
    devices: list[DeviceAnswers] = []
    while True:
        devices.append(_ask_device(first if not devices else DeviceAnswers(f"device-{len(devices) + 1}"), devices))
        if not typer.confirm("Another device?", default=False, err=True):
            break
    answers = Answers(name, tuple(devices))
    limit = _ask(
        "Latency limit in ms or as a share of the largest subnet, such as '<= 2 ms' or '<= 60 %' (- for none)",
        given.limit or "-",
        lambda text: check_answers(replace(answers, limit=_limit(text))).limit,
    )
    return replace(answers, limit=limit)


def _limit(text: str) -> str | None:
    return None if text.strip() in ("", "-") else text


def _ask_device(first: DeviceAnswers, others: list[DeviceAnswers]) -> DeviceAnswers:
    def valid(device: DeviceAnswers) -> DeviceAnswers:
        check_answers(Answers(devices=(*others, device)))
        return device

    device = _ask("A name for the device", first.name, lambda text: valid(replace(first, name=text)))
    device = _ask(
        f"What runs the model ({', '.join(known_names('runtimes'))})",
        device.runtime,
        lambda text: valid(replace(device, runtime=text)),
    )
    if device.runtime == "onnxruntime":
        device = _ask(
            f"Execution provider of ONNX Runtime ({', '.join(PROVIDERS)}, …)",
            device.provider,
            lambda text: valid(replace(device, provider=_provider(text))),
        )
    device = _ask(
        "Threads of one inference", str(device.threads), lambda text: valid(replace(device, threads=_number(text)))
    )
    return _ask(
        "Inputs of one inference (batch)", str(device.batch), lambda text: valid(replace(device, batch=_number(text)))
    )


def _ask(question: str, default: str, accept: Callable[[str], T]) -> T:
    """Ask until the answer is accepted."""
    while True:
        answer = typer.prompt(question, default=default, err=True)
        try:
            return accept(str(answer).strip())
        except HwsearchError as error:
            err.print(f" {visible(error)} Please answer again.", highlight=False)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise HwsearchError(f"{text!r} is not a whole number.")
    return int(text)


def _provider(text: str) -> str:
    if not text.endswith("ExecutionProvider"):
        raise HwsearchError(f"{text!r} is not the name of an execution provider.", hint=nearest(text, PROVIDERS))
    return text


def short_toml(answers: Answers) -> str:
    """Write a configuration of some fifteen lines, each with what it means and its unit.

    Parameters
    ----------
    answers : Answers
        Valid ones.

    Returns
    -------
    str
        TOML.

    Examples
    --------
    >>> print(short_toml(Answers()).splitlines()[2])
    name = "cifar10-mbv3"               # others: hwsearch supernets
    """
    lines = [
        (
            "# Every setting, with its default: hwsearch init --full. Check and run: hwsearch check FILE, hwsearch run FILE",
            "",
        ),
        ("[supernet]", ""),
        (_pair("name", answers.supernet), "others: hwsearch supernets"),
    ]
    if answers.supernet != SHIPPED:
        lines += [
            ('# checkpoint = "weights.pt"', "your weights, where the supernet ships none"),
            ("# [data]", "your examples, where the supernet ships none: folders of class folders, parquet, …"),
            ('# calibration = "images/train"', "for the batch norms"),
            ('# validation = "images/val"', "what the search goes by"),
            ('# test = "images/test"', "what the front's accuracies are on"),
        ]
    for device in answers.devices:
        lines += [
            ("", ""),
            ("[[device]]", ""),
            (_pair("name", device.name), "as you like"),
            (_pair("runtime", device.runtime), "onnxruntime, torch-cpu, cuda, command, simulated"),
        ]
        if device.runtime == "onnxruntime":
            lines.append((_pair("provider", device.provider), "of ONNX Runtime; what is here: hwsearch doctor"))
        lines += [
            (_pair("threads", device.threads), "threads of one inference"),
            (_pair("batch", device.batch), "inputs of one inference"),
        ]
    limit = [(_pair("limit", answers.limit), "ms, or % of the largest subnet's latency")] if answers.limit else [
        ('# limit = "<= 2 ms"', "ms, or % of the largest subnet's latency: \"<= 60 %\"")
    ]  # fmt: skip
    lines += [
        ("", ""),
        ("[[objective]]", ""),
        (_pair("metric", "accuracy"), "the task's score, such as top-1 in %; more is better"),
        ("", ""),
        ("[[objective]]", ""),
        (_pair("metric", "latency"), "ms an inference of a whole batch; less is better"),
        *limit,
    ]
    return "".join(f"{text:<35} # {comment}\n" if comment else f"{text}\n" for text, comment in lines)


def _pair(key: str, value: object) -> str:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
