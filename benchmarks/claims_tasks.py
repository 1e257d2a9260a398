"""Claims about many tasks on one backbone."""

from __future__ import annotations

from functools import partial

import pandas as pd

from benchmarks import prune_arms, task_arms
from benchmarks.claim import Figure, claim
from benchmarks.frame import Run


@claim("tasks.forgetting", "tasks.over_supsup", "tasks.over_supsup_25", "tasks.plain_forgetting")
def many_tasks(given: Run) -> dict[str, Figure]:
    """Pairs of noisy digits as five tasks, one after the other, on one backbone, in five ways at equal passes."""
    passes, seeds = (100, 3) if given.quick else (800, 5)
    kept = prune_arms.Kept(given.folder / "tasks" / "arms.json")
    rows = []
    for seed in range(seeds):
        for density in (0.05, 0.1, 0.25):
            for arm in task_arms.ARMS:
                if arm == "plain" and density != 0.1:
                    continue  # it has no density
                found = kept.of(f"{arm} {density} {seed} {passes}", partial(task_arms.arm, arm, density, passes, seed))
                given.say(f"{arm}, density {density:g}, seed {seed}: {found['end']:.2f} %")
                rows.append({"arm": arm, "density": density, "seed": seed, **found})
    frame = pd.DataFrame(rows)
    by = frame.set_index(["arm", "density", "seed"])
    told = frame.groupby(["density", "arm"], sort=False)["end"].agg(["mean", "std"]).reset_index()
    text = ", ".join(f"{r.arm} {100 * r.density:g} % {r.mean:.1f} ± {r.std:.1f}" for r in told.itertuples())
    bars_of = pd.DataFrame(
        {"arm": [f"{r.arm} {100 * r.density:g} %" for r in told.itertuples()], "top-1 in %": told["mean"]}
    )

    def over(*densities: float) -> pd.Series:
        gains = [by["end"]["exclusive"][d] - by["end"]["supsup"][d] for d in densities]
        return pd.Series(sum(gains) / len(gains))

    def mean(values: pd.Series, aim: str = "", note: str = "", rows: pd.DataFrame | None = None) -> Figure:
        return Figure(float(values.mean()), float(values.std(ddof=1)), len(values), aim, note, rows)

    safe = frame[frame["arm"].isin(["supsup", "exclusive", "without transfer"])]
    worst = float("inf") if safe["changed"].any() else float(safe["forgetting"].abs().max())
    plain = frame[frame["arm"] == "plain"]["forgetting"]
    return {
        "tasks.forgetting": Figure(worst, n=len(safe), aim="= 0", note="the most of any run"),
        "tasks.over_supsup": mean(over(0.05, 0.1), "> 0", f"{passes} passes a task: {text}", bars_of),
        "tasks.over_supsup_25": mean(over(0.25)),
        "tasks.plain_forgetting": mean(plain, note="all weights, five tasks in turn"),
    }


@claim("tasks.storage_ratio")
def task_storage(given: Run) -> dict[str, Figure]:
    """A folder of 100 tasks, its bytes by the files' sizes."""
    found = task_arms.storage(given.folder / "tasks" / "storage", 100)
    note = f"100 tasks, {found['weights']:,} weights, {found['bytes']:,} bytes"
    return {"tasks.storage_ratio": Figure(found["ratio"], aim="<= 1.05", note=note)}
