"""The command that plans a training on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch._json import JsonObject
from hwsearch.cli.app import CATALOGUE, command
from hwsearch.cli.options import Json
from hwsearch.cli.render import emit_json, print_frame, print_lines


@command(CATALOGUE)
def plan_training(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or a TOML file.")],
    cluster: Annotated[Path, typer.Option("--cluster", help="A TOML file: leaves, spines, links.")],
    supernet: Annotated[
        str | None,
        typer.Option("--supernet", help="Train this one: a supernet's name, or file.py:ENTRY, which is run."),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The training data, as for 'train'.")] = None,
    examples: Annotated[
        int | None, typer.Option("--examples", min=1, help="How many training examples there are, in place of --data.")
    ] = None,
    calibrate: Annotated[
        int | None,
        typer.Option("--calibrate", help="Time exchanges of so many local processes (2 to 4) in place of [network]."),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Hashes that are drawn for ECMP.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the hashes.")] = 0,
    as_json: Json = False,
) -> None:
    """Plan what training by a recipe costs on a cluster: bytes, time of each exchange, hours; nothing is trained.

    Parameters
    ----------
    recipe : str
        A recipe's name, or a TOML file.
    cluster : pathlib.Path
        The description of the cluster.
    supernet : str, optional
        What is trained in place of the recipe's supernet.
    data : pathlib.Path, optional
        The training data.
    examples : int, optional
        Their number, in place of them.
    calibrate : int, optional
        Local processes whose exchanges are timed.
    draws, seed : int
        Hashes that are drawn for ECMP, and their seed.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = hwsearch.plan_training(
        recipe,
        cluster,
        supernet=supernet,
        data=data,
        examples=examples,
        calibrate=calibrate,
        draws=draws,
        seed=seed,
    )
    if not emit_json(found, as_json):
        _print(found)


def _print(found: JsonObject) -> None:
    import pandas as pd

    network = found["network"]
    print_lines(
        f"{found['supernet']} on {found['ranks']} processes; a message costs {network['alpha_us']:.3g} µs and its bytes at "
        f"{network['link_gbps']:.3g} Gbit/s ({network['from']})"
    )
    for stage in found["stages"]:
        summed = f"{stage['sum_bytes'] / 1e6:.3g} MB are added up in each"
        alone = "0 bytes of gradients are exchanged: each process trains a module on whole batches"
        print_lines(
            f"stage {stage['stage']}, {stage['strategy']}: {stage['steps']:,} steps of {stage['passes']:.3g} passes; "
            + (summed if stage["sum_bytes"] else alone)
        )
    columns = ["stage", "collective", "routing", "exchange_ms", "exchange_ms_low", "exchange_ms_high", "over_spray"]
    columns += ["busiest_over_spray", "extra_flows"]
    costs = pd.DataFrame(found["costs"])
    timed = costs["hours"].notna().all()
    print_frame(costs[columns + (["hours", "exchange_share"] if timed else [])], "Time of a step's exchange")
    totals = pd.DataFrame(found["totals"])
    print_frame(totals if timed else totals.drop(columns="hours"), "All stages")
    if found["split"]["exchange"]:
        rows = found["split"]["exchange"]
        print_frame(
            pd.DataFrame(rows[:20]), f"Split of {rows[0]['from_leaf']}→{rows[0]['to_leaf']}, collective exchange"
        )
        if len(rows) > 20:
            print_lines(f"and {len(rows) - 20} more pieces, in --json")
    if found["calibration"]:
        said = found["calibration"]
        table = pd.DataFrame({k: said[k] for k in ("sizes", "measured_s", "predicted_s", "held_out")})
        table = table.rename(columns={"sizes": "bytes"})
        table["measured_ms"], table["predicted_ms"] = 1e3 * table.pop("measured_s"), 1e3 * table.pop("predicted_s")
        print_frame(table[["bytes", "measured_ms", "predicted_ms", "held_out"]], "Calibration")
        print_lines(f"mean absolute error of the sizes held out: {said['mape_pct']:.1f} %")
