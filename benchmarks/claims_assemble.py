"""Claims about modules that are trained apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.claim import Figure, claim, spread
from benchmarks.frame import Run
from benchmarks.training_pieces import exchanged, table


@claim("assemble.at_assembly", "assemble.gradient_bytes", "assemble.tuned_over_end_to_end")
def assembling(given: Run) -> dict[str, Figure]:
    """Modules incubated in a meta network against modules trained apart without one, and against training all together."""
    rows = table(1200 if given.quick else 4800, 0.2, 3, given.say)
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    rivals = ("no meta network", "parts of networks")
    gains = [row["assembled"] - max(row[name] for name in rivals) for row in rows]
    tuned = [row["assembled, tuned"] - row["end to end, tuned"] for row in rows]
    sent, sockets, looks = exchanged(20 if given.quick else 200, given.folder)
    bars_of = [name for name in mean if "," not in name]
    shown = pd.DataFrame({"arm": bars_of, "accuracy at assembly, %": [mean[name] for name in bars_of]})
    note = ", ".join(f"{name} {value:.1f}" for name, value in mean.items())
    return {
        "assemble.at_assembly": Figure(*spread(gains), 3, ">= 5", note, shown),
        "assemble.gradient_bytes": Figure(
            float(sent + sockets), n=looks, aim="= 0", note=f"{sockets} sockets seen in {looks} looks at the processes"
        ),
        "assemble.tuned_over_end_to_end": Figure(*spread(tuned), 3),
    }
