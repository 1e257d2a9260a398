"""Claims about packet spraying, and about predicted times of exchanges."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.claim import Figure, claim
from benchmarks.frame import Run, host
from hwsearch.api.processes import INTERFACE, loopback_interface
from hwsearch.training.planning import calibrate, ecmp_busiest, split_flows


@claim("planning.split_over_spray")
def splitting(given: Run) -> dict[str, Figure]:
    """Load of the busiest spine of split flows over the closed form n / s, in whole numbers: units of 1 / s of a flow."""
    flows, spines = (60, 24) if given.quick else (200, 64)
    worst, cases = 0.0, 0
    for s in range(1, spines + 1):
        for n in range(1, flows + 1):
            loads = [0] * s
            for piece in split_flows(n, s):
                loads[piece.spine] += piece.share.numerator * (s // piece.share.denominator)
            worst, cases = max(worst, max(loads) / n), cases + 1
            if min(loads) != n:  # nothing may be lost either
                worst = float("inf")
    return {"planning.split_over_spray": Figure(worst, n=cases, aim="= 1", note=f"n <= {flows}, s <= {spines}")}


@claim("planning.ecmp_over_spray")
def equal_cost(given: Run) -> dict[str, Figure]:
    """Load of the busiest spine under random hashing over n / s, for few and for many flows."""
    draws = 2000 if given.quick else 20_000
    means = [ecmp_busiest(8, 8, draws, np.random.default_rng(seed)).mean() for seed in range(3)]
    cases = ((8, 8), (16, 8), (32, 16), (128, 8), (512, 8))
    others = {(n, s): ecmp_busiest(n, s, draws, np.random.default_rng(0)).mean() * s / n for n, s in cases}
    note = ", ".join(f"{n} over {s}: {v:.2f}" for (n, s), v in others.items())
    rows = pd.DataFrame(
        {"flows over spines": [f"{n} over {s}" for n, s in cases], "busiest over n / s": list(others.values())}
    )
    return {
        "planning.ecmp_over_spray": Figure(float(np.mean(means)), float(np.std(means, ddof=1)), 3, note=note, rows=rows)
    }


@claim("planning.mape_pct")
def exchanges(given: Run) -> dict[str, Figure]:
    """Predicted against measured exchanges of 2, 3 and 4 local processes."""
    interface = loopback_interface()
    found = []
    for processes in (2, 3, 4):
        done = calibrate(processes, {INTERFACE: interface} if interface else {}, repeats=40 if given.quick else 120)
        given.say(f"{processes} processes: {done.mape_pct:.1f} %")
        found.append(done.mape_pct)
    note = f"2, 3, 4 processes on {host()['cores']} cores: {', '.join(f'{v:.1f}' for v in found)}"
    rows = pd.DataFrame({"processes": ["2", "3", "4"], "error in %": found})
    return {"planning.mape_pct": Figure(float(np.mean(found)), float(np.std(found, ddof=1)), 3, "<= 15", note, rows)}
