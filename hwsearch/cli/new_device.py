"""Text of what the campaign of a new device found."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hwsearch._json import JsonObject
from hwsearch.cli.render import print_frame, print_lines

if TYPE_CHECKING:
    import pandas as pd


def print_new_device(found: JsonObject) -> None:
    """Print the measured and the predicted front of a new device.

    Parameters
    ----------
    found : dict
        Of `hwsearch.run` with ``reuse``.
    """
    import pandas as pd

    reused, folder = found["reused"], shlex.quote(found["folder"])
    known = (
        ", ".join(f"{name} ({n} latencies)" for name, n in reused["latencies"].items()) or "no device was timed there"
    )
    print_lines(
        f"taken over from {reused['folder']}: {reused['accuracies']} accuracies; {known}",
        f"{found['device']}: {found['trusted']}",
    )
    front, named = pd.DataFrame(found["front"]), pd.DataFrame(found["named"])
    if len(front):
        print_frame(front, f"measured front of {found['device']}", 3)
    if len(named):
        print_frame(
            marked(named).drop(columns="genes"), "predicted front over the whole space: values with * were measured"
        )
    print_lines(
        f"{found['latencies']} subnets timed, {found['evaluated']} measured in full; {found['measured']} measurements in "
        f"{found['seconds']:.0f} s"
    )
    print_lines(
        f"next: more --evaluations measure members of the predicted front; hwsearch validate {folder} measures the front afresh"
    )


def marked(named: pd.DataFrame) -> pd.DataFrame:
    """Write each value of a predicted front with its interval, and a star where it was measured.

    Parameters
    ----------
    named : pandas.DataFrame
        With columns NAME, NAME_low, NAME_high and NAME_measured.

    Returns
    -------
    pandas.DataFrame
        With one column of text in place of each four.
    """
    names = [c.removesuffix("_measured") for c in named.columns if c.endswith("_measured")]
    shown = named.drop(columns=[c for n in names for c in (f"{n}_low", f"{n}_high", f"{n}_measured")])
    for name in names:
        parts = named[[name, f"{name}_low", f"{name}_high", f"{name}_measured"]].itertuples(index=False)
        shown[name] = [
            f"{value:.4g}{'*' if measured else ''}" + (f" ({low:.4g} to {high:.4g})" if low == low else "")
            for value, low, high, measured in parts
        ]
    return shown
