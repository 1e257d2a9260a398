"""The default tactic on other people's numbers: mixed spaces with ranges, a limit, four objectives; and the example beside Optuna."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwsearch.searchers import create
from hwsearch.spaces import Choice, SearchSpace, When

SMALL = {"start": 10, "inner_evaluations": 1500, "population": 60}


def mixed_space(steps: int = 25) -> SearchSpace:
    return SearchSpace(
        "mixed",
        [
            Choice("layers", tuple(range(2, 9))),
            Choice("act", ("relu", "swish"), ordinal=False),
            Choice.between("lr", 1e-4, 1e-1, steps, log=True),
            Choice.between("momentum", 0.5, 0.99, steps),
            Choice.between("dropout", 0.0, 0.5, 11, when=When("layers", (6, 7, 8))),
        ],
    )


def loss(genes) -> float:
    rate, momentum = math.log10(genes["lr"]) + 2.2, 4 * (genes["momentum"] - 0.85)
    return rate**2 + momentum**2 + 0.3 * rate * momentum + 0.2 * (genes["layers"] - 5) ** 2


def test_the_model_is_smooth_in_ranges() -> None:
    """From 60 of 46,000, the wave of two ranges is predicted with half the error of a model that is told nothing of their order."""
    space = mixed_space()
    rows = space.sample_array(260, np.random.default_rng(0))
    archs = space.from_array(rows)
    wave = np.array([math.sin(1.5 * math.log10(a["lr"])) * math.cos(6 * (a["momentum"] - 0.7)) for a in archs])
    errors = {}
    for name, options in (("ranges", {}), ("nothing", {"known": lambda rows: np.zeros((len(rows), 1))})):
        searcher = create("default", space, ["min loss"], seed=0, **SMALL, **options)
        searcher.tell_array(rows[:60], wave[:60])
        predicted = searcher.predict(archs[60:])["loss"].to_numpy()
        errors[name] = float(np.sqrt(((predicted - wave[60:]) ** 2).mean()) / wave.std())
    assert errors["ranges"] < 0.5 * errors["nothing"] < 0.5


def test_an_optimum_of_ranges_is_found_sooner_than_by_chance() -> None:
    space, best = mixed_space(), {}
    for tactic in ("default", "random"):
        searcher = create(tactic, space, ["min loss"], seed=0, **(SMALL if tactic == "default" else {}))
        while len(searcher.values) < 40:
            archs = searcher.ask(10 if not len(searcher.values) else 5)
            searcher.tell(archs, [loss(arch) for arch in archs])
        best[tactic] = float(searcher.values.min())
    assert best["default"] <= 0.21 < 0.3 < best["random"]  # one layer off is 0.2


def test_four_objectives_and_a_limit() -> None:
    space = mixed_space(9)

    def measure(genes) -> tuple[float, float, float, float]:
        size = genes["layers"] * (1.3 if genes["act"] == "swish" else 1.0)
        return 90 - loss(genes) + size, size, 0.4 * size + genes.get("dropout", 0.1), 1.0 / genes["momentum"]

    objectives = ["max accuracy", "latency_ms <= 6", "min energy_mj", "min memory_mib"]
    searcher = create("default", space, objectives, seed=0, **SMALL)
    for n in (10, 4, 4):
        archs = searcher.ask(n)
        searcher.tell(archs, [measure(arch) for arch in archs])
    assert len(searcher.values) == 18 and searcher.info.round == 2
    front = searcher.front().to_frame()
    assert len(front) and (front["latency_ms"] <= 6).all()
    late = searcher.values[10:, 1]
    assert (late <= 6).mean() > (searcher.values[:10, 1] <= 6).mean()  # it keeps to the limit when it knows


def test_a_search_with_ranges_resumes_with_the_same_asks() -> None:
    space = mixed_space(9)

    def made():
        return create("default", space, ["min loss", "min layers"], seed=1, **SMALL)

    def values(archs) -> np.ndarray:
        return np.array([[loss(arch), arch["layers"]] for arch in archs])

    one = made()
    for n in (10, 3):
        archs = one.ask(n)
        one.tell(archs, values(archs))
    other = made()
    other.load_state_dict(one.state_dict())
    for _ in range(2):
        mine, theirs = one.ask(3), other.ask(3)
        assert mine == theirs
        one.tell(mine, values(mine))
        other.tell(theirs, values(theirs))


def test_the_example_beside_optuna_runs() -> None:
    pytest.importorskip("optuna")
    example = Path(__file__).parents[2] / "examples" / "ask_tell_optuna.py"
    out = subprocess.run([sys.executable, str(example), "24"], check=True, capture_output=True, text=True).stdout
    theirs, ours = out.splitlines()
    assert theirs.startswith("Optuna, TPE: ") and ours.startswith("hwsearch, default: ")
    assert " of 24 within 12.0 ms" in theirs and " of 24 within 12.0 ms" in ours
