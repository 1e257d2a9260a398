"""Optuna's ask and tell, and hwsearch's, side by side: a mixed space, several objectives, a limit.

Trains nothing: accuracy, latency, energy and size are formulas. `pip install optuna` (it comes with hwsearch[optuna]).
"""

import math
import sys

import optuna

from hwsearch import searchers
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume
from hwsearch.spaces import Choice, SearchSpace, When

EVALUATIONS, SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 60, 0
LIMIT_MS = 12.0


def measure(genes):
    """(accuracy %, latency ms, energy mJ, parameters M) of one configuration; yours are measured."""
    layers, width = genes["layers"], genes["width"]
    size = layers * width**2 / 1e5
    rate = math.log10(genes["lr"]) + 2.5 - 0.1 * layers  # the best learning rate depends on the depth
    accuracy = 92 - 25 * math.exp(-size / 2) - 3 * rate**2 + (0.5 if genes["act"] == "swish" else 0.0)
    accuracy -= 2 * abs(genes.get("dropout", 0.3) - 0.2)
    latency = 1.0 + 0.02 * layers * width ** (1.1 if genes["act"] == "swish" else 1.0)
    return accuracy, latency, 0.4 * latency + size, size


# ---- Optuna: what is suggested while a trial runs is the space
sampler = optuna.samplers.TPESampler(seed=SEED)
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(directions=["maximize", "minimize", "minimize", "minimize"], sampler=sampler)
theirs = []
for _ in range(EVALUATIONS):
    trial = study.ask()
    genes = {
        "layers": trial.suggest_int("layers", 2, 8),
        "width": trial.suggest_categorical("width", [32, 64, 96, 128]),
        "act": trial.suggest_categorical("act", ["relu", "swish"]),
        "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
    }
    if genes["layers"] > 4:
        genes["dropout"] = trial.suggest_float("dropout", 0.0, 0.5)
    values = measure(genes)
    trial.set_constraint("latency_ms", values[1] - LIMIT_MS)  # met where it is not positive; since Optuna 5
    study.tell(trial, values)
    theirs.append(values)

# ---- hwsearch: the space is said first, and eight configurations are asked for at a time
space = SearchSpace(
    "mixed",
    [
        Choice("layers", tuple(range(2, 9))),
        Choice("width", (32, 64, 96, 128)),
        Choice("act", ("relu", "swish"), ordinal=False),
        Choice.between("lr", 1e-4, 1e-1, 25, log=True),
        Choice.between("dropout", 0.0, 0.5, 11, when=When("layers", (5, 6, 7, 8))),
    ],
)
objectives = ["max accuracy", f"latency_ms <= {LIMIT_MS}", "min energy_mj", "min params"]
searcher = searchers.create("default", space, objectives, seed=SEED, inner_evaluations=4000)
ours = []
while len(ours) < EVALUATIONS:
    archs = searcher.ask(min(20 if not ours else 8, EVALUATIONS - len(ours)))
    values = [measure(arch) for arch in archs]  # an architecture is a mapping of genes to values
    searcher.tell(archs, values)
    ours += values

judge = [Objective.parse(text) for text in ("max accuracy", "min latency_ms", "min energy_mj", "min params")]
for name, values in (("Optuna, TPE", theirs), ("hwsearch, default", ours)):
    met = [value for value in values if value[1] <= LIMIT_MS]
    print(
        f"{name}: {len(met)} of {len(values)} within {LIMIT_MS} ms, hypervolume {hypervolume(met, judge, [60, LIMIT_MS, 10, 10]):.0f}"
    )
