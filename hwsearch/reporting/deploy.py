"""The page's first screen: of each device which file to deploy, how well it does, and whether the search was worth it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from hwsearch._json import JsonObject
from hwsearch.reporting.chart import latency_places
from hwsearch.reporting.data import DeviceReport, ReportData
from hwsearch.reporting.differences import signed, trade_off_text
from hwsearch.reporting.facts import AxisLimit, limits, pick_letters, pretty_label
from hwsearch.reporting.snippet import side_of
from hwsearch.reporting.words import Z95, finite, percent, plus_minus, size, with_interval

#: the program that a report puts into ``models/``
RUNNER = "classify.py"


@dataclass(frozen=True)
class Deployed:
    """The file to deploy on a device, as the page tells of it: all numbers already words.

    Attributes
    ----------
    letter, label : str
        The pick's short name, and why it was picked.
    file, size : str
        The model, from the campaign's folder, and its size.
    accuracy, latency : str
        With their intervals.
    margins : tuple of str
        How far it is from each limit.
    steps : tuple of (str, str)
        What one step along the front changes: which step, and what.
    command : str
        A line of a shell, for the campaign's folder; empty where the program cannot prepare the input.
    """

    letter: str
    label: str
    file: str
    size: str
    accuracy: str
    latency: str
    margins: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    command: str


def pick_to_deploy(device: DeviceReport, bounds: list[AxisLimit]) -> int | None:
    """Choose the pick that the page recommends.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    bounds : list of AxisLimit
        The limits that hold on the device.

    Returns
    -------
    int or None
        Place among the picks: of those that meet every limit by what was measured, the one that was picked for a limit, or
        else the fastest that is nearly as accurate as the best, or else the first. None where no pick meets them.
    """
    fit = [i for i, p in enumerate(device.picks) if all(_room(p, b) >= 0 for b in bounds)]
    labels = [str(p.get("label", "")) for p in device.picks]
    wanted = ("<=", ">=") if bounds else ("fastest within",)
    return next((i for i in fit if any(w in labels[i] for w in wanted)), fit[0] if fit else None)


def deployed(device: DeviceReport, report: ReportData) -> Deployed | None:
    """Collect what the first screen says of a device.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    report : ReportData
        The report.

    Returns
    -------
    Deployed or None
        None where there is nothing to deploy.
    """
    bounds = limits(device, report.objectives, report.metric)
    place = pick_to_deploy(device, bounds)
    if place is None:
        return None
    pick, places = device.picks[place], latency_places(device)
    unit = step_unit(report.metric)
    steps = []
    for words, key, gained in (("One step slower", "faster", True), ("One step faster", "slower", False)):
        step = next((t for t in device.trade_offs if t.get(key) == pick.get("arch_id")), None)
        if step:
            steps.append((words, trade_off_text(step, unit, gained=gained)))
    return Deployed(
        letter=pick_letters(device)[place],
        label=pretty_label(str(pick.get("label", ""))),
        file=str(pick.get("file") or ""),
        size=size(pick.get("size_bytes")),
        accuracy=plus_minus(pick.get("accuracy"), pick.get("accuracy_se")) + percent(report.metric),
        latency=with_interval(pick.get("latency_ms"), pick.get("latency_low"), pick.get("latency_high"), places)
        + " ms",
        margins=tuple(margin_text(pick, b, places, report.metric) for b in bounds),
        steps=tuple(steps),
        command=run_command(pick, report.supernet, str(device.description.get("provider") or "")),
    )


def margin_text(pick: JsonObject, bound: AxisLimit, places: int, metric: str) -> str:
    """Write how far a pick is inside a limit, with its interval.

    Parameters
    ----------
    pick : mapping
        A pick of `DeviceReport.picks`.
    bound : AxisLimit
        The limit.
    places : int
        Decimals of latencies.
    metric : str
        Name of the score.

    Returns
    -------
    str
        For example ``+0.14 (+0.06 to +0.21) ms inside the limit ≤ 1 ms``.
    """
    room = _room(pick, bound)
    if bound.metric == "latency_ms":
        ends = [bound.value - float(pick[k]) for k in ("latency_low", "latency_high") if finite(pick.get(k))]
        digits, unit = places, "ms"
    else:
        se = pick.get("accuracy_se")
        ends = [room - Z95 * float(se), room + Z95 * float(se)] if finite(se) else []
        digits, unit = 1, step_unit(metric)
    low, high = sorted(ends) if len(ends) == 2 else (None, None)
    risk = "; another campaign may find it outside" if finite(low) and low < 0 <= room else ""
    return f"{signed(room, low, high, digits)} {unit} inside the {bound.text}{risk}"


def _room(pick: JsonObject, bound: AxisLimit) -> float:
    value = pick.get(bound.metric)
    if not finite(value):
        return -1.0
    return float(value) - bound.value if "≥" in bound.text else bound.value - float(value)


def step_unit(metric: str) -> str:
    """Name the unit of a difference of scores.

    Parameters
    ----------
    metric : str
        Name of the score, as in ``ReportData.metric``.

    Returns
    -------
    str
        ``points`` where the score is in percent, else the score's name.
    """
    return "points" if percent(metric) == " %" else str(metric)


def run_command(pick: JsonObject, card: JsonObject, provider: str) -> str:
    """Write the command that runs a pick on a photo, for the campaign's folder.

    Parameters
    ----------
    pick : mapping
        A pick of `DeviceReport.picks`.
    card : mapping
        The supernet's card, with ``preprocess``.
    provider : str
        Execution provider of ONNX Runtime.

    Returns
    -------
    str
        The command; empty where the input is no image, or no file is known.
    """
    if not runs_on_photos(card) or not pick.get("file") or pick.get("further_files") or side_of(pick, card) is None:
        return ""
    file = PurePosixPath(str(pick["file"]).replace("\\", "/"))
    words = ["python", f"models/{RUNNER}", str(file), "photo.jpg"]
    if provider and provider != "CPUExecutionProvider":
        words += ["--provider", provider]
    return shlex.join(words)


def runs_on_photos(card: JsonObject) -> bool:
    """Tell whether `RUNNER` can prepare a supernet's input.

    Parameters
    ----------
    card : mapping
        The supernet's card.

    Returns
    -------
    bool
        True where it has mean and standard deviation of the pixels.
    """
    how = card.get("preprocess") or {}
    return bool(how.get("mean") and how.get("std"))


def worth_compared(report: ReportData) -> str:
    """Write what `worth_words` compares, and what it leaves out.

    Parameters
    ----------
    report : ReportData
        The report.

    Returns
    -------
    str
        Two sentences.
    """
    profiled = max((d.worth.get("profiled", 0) for d in report.devices), default=0)
    return (
        "Proposed and random subnets were measured alike, and scored on validation data, by which the search also chose. The "
        f"{profiled} profiled subnets that it had learnt from are not counted; how far as many further random ones would have "
        "come was not measured."
    )


def runner_source() -> bytes:
    """Read the program that a report puts beside the models.

    Returns
    -------
    bytes
        Its source, which ``examples/classify.py`` runs, too.
    """
    return (files("hwsearch") / "reporting" / "templates" / RUNNER).read_bytes()


def worth_words(device: DeviceReport, report: ReportData) -> str:
    """Write whether the search was worth it on a device.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report, with `worth`.
    report : ReportData
        The report.

    Returns
    -------
    str
        Some sentences; empty where nothing is known.
    """
    w = device.worth
    if not w:
        return ""
    if "search_share" not in w:
        return (
            f"This campaign cannot tell: {w['searched']} subnets that the search proposed and {w['random']} random ones were "
            "measured, too few to compare. Set [profile] random = 20 to have a baseline."
        )
    n, gain = w["n"], w.get("gain")
    verdict = "Not clearly"
    if finite(gain):
        verdict = "Yes" if w["gain_low"] > 0 else "No" if w["gain_high"] < 0 else verdict
    shares = f"{100 * w['search_share']:.0f} % of the best hypervolume known, the random ones {100 * w['random_share']:.0f} %"
    words = [
        f"{verdict}: of {n} random subnets {w['dominated']} are dominated by one of the {n} that the search proposed first."
    ]
    if finite(gain):
        text = signed(gain, w["gain_low"], w["gain_high"], 1)
        words.append(
            f"At no more latency the best of these differs by {text} {step_unit(report.metric)} from a random one "
            f"(mean over the {w['compared']} to which there is one that is no slower)."
        )
    words.append(f"The proposals reach {shares}.")
    return " ".join(words)
