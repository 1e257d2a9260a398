"""Plan of a training on a cluster: what training by a recipe will cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hwsearch._json import JsonObject
from hwsearch.api.processes import INTERFACE, loopback_interface
from hwsearch.api.training import initial_supernet
from hwsearch.errors import ConfigError, TrainingError
from hwsearch.supernets import catalogue
from hwsearch.tasks.data import NO_LIMIT, Data
from hwsearch.training.planning import (
    COLLECTIVES,
    Calibration,
    Counted,
    Network,
    read_cluster,
    split_table,
    stage_costs,
    stage_demand,
    step_rounds,
)
from hwsearch.training.planning.calibration import calibrate as calibrate_locally
from hwsearch.training.planning.cluster import GBPS
from hwsearch.training.recipes import DEFAULT_STRATEGY, load_recipe, recipe_stages


def plan_training(
    recipe: str | Path,
    cluster: Path | str,
    *,
    supernet: str | None = None,
    data: Path | str | None = None,
    examples: int | None = None,
    calibrate: int | None = None,
    draws: int = 200,
    seed: int = 0,
) -> JsonObject:
    """Plan what training by a recipe costs on a cluster: bytes, time of each exchange, hours; nothing is trained.

    Parameters
    ----------
    recipe : str or Path
        A recipe's name, or a TOML file.
    cluster : Path or str
        A TOML file with the tables ``[topology]``, ``[network]`` and ``[compute]``, see docs/how-to/plan-training.md.
    supernet : str, optional
        What is trained in place of the recipe's supernet: a name of the catalogue, or ``file.py:ENTRY``, whose code is run.
    data : Path or str, optional
        The training data, to count them, and for strategies that look at examples.
    examples : int, optional
        How many training examples there are, in place of `data`.
    calibrate : int, optional
        Time exchanges between so many local processes (2 to 4), and use what a message and a byte cost there in place of
        ``[network]``.
    draws : int
        Hashes that are drawn for ECMP; fewer in networks so large that this would take minutes.
    seed : int
        Seed of these.

    Returns
    -------
    dict of str to object
        ``stages`` (bytes, steps and passes of each), ``costs`` (a row a stage, collective and routing), ``totals`` (all stages),
        ``split`` (flow, spine, share of the busiest pair of leaves), ``network``, and ``calibration`` where asked for.

    Raises
    ------
    ConfigError
        If the recipe or the cluster is malformed, a number is out of range, or neither `data` nor `examples` is given.
    SupernetError
        If there is no such supernet.
    DataError
        If the data are missing or do not fit.
    TrainingError
        If a batch cannot be shared out over the cluster's processes, a strategy cannot serve the supernet, or a process of the
        calibration ends.

    Examples
    --------
    >>> import hwsearch
    >>> plan = hwsearch.plan_training("cifar10-mbv3", "cluster.toml", examples=50_000)  # doctest: +SKIP
    >>> plan["totals"][0]["hours"]  # doctest: +SKIP
    """
    for name, value, least in (("draws", draws, 1), ("seed", seed, 0), ("examples", examples, 1)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ConfigError(f"{name} {value!r} is not a whole number of at least {least}.")
    if (data is None) == (examples is None):
        raise ConfigError(
            "how many training examples there are decides how many steps a recipe has.",
            hint="Give examples or data, one of them.",
        )
    place = read_cluster(Path(cluster))
    plan = load_recipe(recipe, supernet)
    entry = catalogue.entry(plan["supernet"])
    stages = recipe_stages(plan, recipe)
    task = entry.find_task()
    shipped = entry.examples() if entry.data else {}
    found: Data
    if data is not None:
        found = task.read(
            task.split(str(data), "train"), limit=NO_LIMIT, classes=shipped["test"].classes if shipped else None
        )
    else:
        found = Counted(examples or 0, shipped.get("calibration"))
    net = initial_supernet(entry, plan["supernet"], None, stages[0][1].seed, found if data is not None else None)
    world = place.topology.world
    demands = []
    for (strategy, config), stage in zip(stages, plan["stage"], strict=True):
        name = str(stage.get("strategy", DEFAULT_STRATEGY))
        demands.append(stage_demand(name, net, strategy, task, found, config, world))
    measured = _calibrated(calibrate)
    network = _network(place.network, measured)
    if network is None:
        raise ConfigError(
            f"{cluster}: the table [network] is missing.", hint="Add alpha_us and link_gbps, or give calibrate."
        )
    costs = [
        asdict(cost)
        for number, demand in enumerate(demands, 1)
        for cost in stage_costs(number, demand, place, network, draws, seed)
    ]
    first = next((d for d in demands if d.sum_bytes), demands[0])  # of those that exchange anything
    rounds = {c: step_rounds(c, world, first)[2:] for c in COLLECTIVES}
    return {
        "plan": str(recipe),
        "supernet": plan["supernet"],
        "ranks": world,
        "topology": place.topology.model_dump(exclude={"ranks"}),
        "network": network.model_dump() | {"from": "calibration" if measured else str(cluster)},
        "stages": [asdict(d) | {"stage": n, "sum_bytes": d.sum_bytes} for n, d in enumerate(demands, 1)],
        "costs": costs,
        "totals": _totals(costs, [d.steps for d in demands]),
        "split": {name: split_table(one, place.topology) for name, one in rounds.items()},
        "calibration": None if measured is None else asdict(measured) | {"mape_pct": measured.mape_pct},
        "draws": draws,
        "seed": seed,
    }


def _calibrated(processes: int | None) -> Calibration | None:
    if processes is None:
        return None
    interface = loopback_interface()
    return calibrate_locally(processes, {INTERFACE: interface} if interface else {})


def _network(given: Network | None, measured: Calibration | None) -> Network | None:
    if measured is None:
        return given
    if measured.beta_s <= 0:
        raise TrainingError(
            "the calibration found exchanges that take no longer for more bytes: this host was too busy meanwhile.",
            hint="Run it again, or give [network].",
        )
    return Network(alpha_us=1e6 * measured.alpha_s, link_gbps=min(1 / (measured.beta_s * GBPS), 1e6))


def _totals(costs: list[JsonObject], steps: list[int]) -> list[JsonObject]:
    """Add the stages up, a row a collective and routing."""
    found: dict[tuple[str, str], JsonObject] = {}
    for cost in costs:
        key = cost["collective"], cost["routing"]
        row = found.setdefault(key, {"collective": key[0], "routing": key[1], "exchange_hours": 0.0, "hours": 0.0})
        row["exchange_hours"] += steps[cost["stage"] - 1] * cost["exchange_ms"] / 3.6e6
        row["hours"] += cost["hours"]
    return list(found.values())
