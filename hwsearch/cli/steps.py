"""Commands that do one step of a campaign."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

import hwsearch
from hwsearch._json import JsonObject
from hwsearch.cli.app import STEPS, command
from hwsearch.cli.options import DeviceName, Folder, Json, Source, Trust, open_campaign
from hwsearch.cli.progress import recording
from hwsearch.cli.render import emit_json, print_frame, print_lines, print_mapping
from hwsearch.errors import HwsearchError

if TYPE_CHECKING:
    import pandas as pd


def _show(name: str, frame: pd.DataFrame, as_json: bool, title: str) -> None:
    if not emit_json({name: frame}, as_json):
        print_frame(frame, title)


@command(STEPS)
def check(
    campaign: Source,
    folder: Folder = None,
    trust: Trust = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.0, help="Record this host's speed as well; 75 or more for a verdict.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Check that every device loads and runs the reference subnet as asked, and that the limits can be met.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    seconds : float
        How long to record the speed of this host, for a campaign whose devices are here.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    opened = open_campaign(campaign, folder, trust)
    try:
        with recording("", seconds) as tick:
            frame = hwsearch.check(opened, *((seconds, tick) if seconds else ()))
    except HwsearchError as error:
        rows = getattr(error, "rows", None)
        if rows and not as_json:
            import pandas as pd

            print_frame(pd.DataFrame(map(asdict, rows)).fillna("–"), "devices")
        raise
    host: JsonObject = {str(k): v for k, v in frame.attrs.items()}
    if not emit_json({"check": "passed", "devices": frame} | host, as_json):
        print_frame(frame, "devices", 3)
        print_lines("passed")
        print_mapping(host)


@command(STEPS)
def profile(campaign: Source, folder: Folder = None, trust: Trust = False, as_json: Json = False) -> None:
    """Measure the latency of a first set of subnets on every device, to learn from.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    _show("profile", hwsearch.profile(open_campaign(campaign, folder, trust)), as_json, "latency")


@command(STEPS)
def operators(
    campaign: Source,
    device: DeviceName = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many of the costliest operators to show.")] = 20,
    folder: Folder = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Measure the operators that a search space can ask for, and compare their sums with measured latencies.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    device : str, optional
        One device of the campaign, by name.
    most : int
        How many of the costliest operators to show.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    result = hwsearch.operators(open_campaign(campaign, folder, trust), device)
    if emit_json(result, as_json):
        return
    cover, said = result["coverage"], result["agreement"]
    frame = result["operators"]
    shown = frame[["operator", "operator_ms", "share_pct", "signature"]].head(most)
    print_frame(shown, f"costliest of {len(frame)} operators on {result['device']}", 3)
    print_lines(
        f"{cover['signatures']} signatures, {cover['measured_now']} measured now, {len(cover['missing'])} missing; "
        f"{cover['with_unknown']} of {cover['drawn']} random subnets asked for others than the "
        f"{cover['covering_set']} covering ones (at most {100 * cover['share_high']:.1f} % do, 95 % limit)"
    )
    if said["fitted"]:
        print_lines(
            f"sum against {said['wholes']} measured latencies: rank correlation {said['rank']:.4f}, error {said['mape_pct']:.1f} % "
            f"after a linear correction fitted on {said['fitted']}"
        )
    else:
        print_lines("too few measured latencies to set the sum against; measure some: hwsearch profile")
    print_lines(f"→ {result['plots'][-1]}")


@command(STEPS)
def evaluate(campaign: Source, folder: Folder = None, trust: Trust = False, as_json: Json = False) -> None:
    """Measure the accuracy of some of the profiled subnets on the validation data, to learn from.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    _show("evaluate", hwsearch.evaluate(open_campaign(campaign, folder, trust)), as_json, "accuracy")


@command(STEPS)
def fit(campaign: Source, folder: Folder = None, trust: Trust = False, as_json: Json = False) -> None:
    """Fit predictors of accuracy and latency to what was measured, and show their errors.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    _show(
        "fit",
        hwsearch.fit(open_campaign(campaign, folder, trust)),
        as_json,
        "predictors (errors on measurements not used for fitting)",
    )


@command(STEPS)
def search(campaign: Source, folder: Folder = None, trust: Trust = False, as_json: Json = False) -> None:
    """Search in rounds: propose subnets, measure them, learn from them.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    _show("search", hwsearch.search(open_campaign(campaign, folder, trust)), as_json, "search")


@command(STEPS)
def validate(campaign: Source, folder: Folder = None, trust: Trust = False, as_json: Json = False) -> None:
    """Measure the candidates for the Pareto fronts again: latency, and accuracy on the test data.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    _show("validate", hwsearch.validate(open_campaign(campaign, folder, trust)), as_json, "fresh measurements")
