"""The predictors' benchmark: its data and its rules, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import predictors_here
from benchmarks.predictors import _best, _rivals_ahead
from benchmarks.predictors_data import FBNET_STAGES, fbnet_facts, latency_case, ofa_accuracy_case
from benchmarks.predictors_here import here_figures
from hwsearch.searchers.evolutionary.evolution import row_keys
from predictors import OperatorPredictor


def test_costs_of_fbnet_by_hand() -> None:
    """All slots skip but the first, which keeps 16 channels at 112 px: what skips where channels or sides change is 1 x 1."""
    skip = np.full((1, 22), 8)
    first = skip.copy()
    first[0, 0] = 1  # kernel 3, expansion 1, two groups
    macs, params, activations = fbnet_facts(first)[0, :3] - fbnet_facts(skip)[0, :3]
    assert params == 16 * 16 / 2 + 16 * 9 + 16 * 16 / 2
    assert macs == 112**2 * params and activations == 112**2 * (16 + 16 + 16)
    side, inputs, expected = 112, 16, 0
    for channels, _, stride in FBNET_STAGES:
        side //= stride
        expected += side**2 * inputs * channels if (stride, channels) != (1, inputs) else 0
        inputs = channels
    assert fbnet_facts(skip)[0, 0] == expected
    assert fbnet_facts(first)[0, -9:].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 21]


def test_no_subnet_is_learnt_from_and_tested() -> None:
    case = ofa_accuracy_case()
    assert len(np.unique(row_keys(case.onehot.astype(np.int64)))) == len(case.y) == 2162
    learn, test = case.split(100, 3)
    assert len(learn) == 100 and len(test) == 1500 and not set(learn) & set(test)
    assert case.schema.names[-1] == "fact16" and case.X.shape == (2162, 152)


@pytest.mark.parametrize(("family", "device"), [("fbnet", "gold-6226"), ("nb201", "pixel2")])
def test_latencies_are_those_of_the_tables(family: str, device: str) -> None:
    case = latency_case(family, device)
    assert np.isfinite(case.X).all() and (case.y > 0).all() and len(case.schema) == case.X.shape[1]


def test_the_best_rows_are_taken_front_by_front() -> None:
    costs = np.array([[0.0, 3.0], [3.0, 0.0], [1.0, 4.0], [4.0, 1.0], [5.0, 5.0]])
    assert sorted(_best(costs, 2).tolist()) == [0, 1] and sorted(_best(costs, 4).tolist()) == [0, 1, 2, 3]


def test_a_rival_is_ahead_by_more_than_two_standard_errors() -> None:
    def table(gains: list[float]) -> pd.DataFrame:
        rows = [("a", "process", s, 5.0, 0.9) for s in range(4)]
        rows += [("a", "rival", s, 5.0 - gain, 0.9) for s, gain in enumerate(gains)]
        return pd.DataFrame(rows, columns=["case", "model", "seed", "error", "spearman"]).assign(space="s", n=20)

    assert _rivals_ahead(table([0.1, 0.1, 0.2, 0.1])) == 1
    assert _rivals_ahead(table([0.1, -0.1, 0.2, -0.1])) == 0
    assert _rivals_ahead(table([-0.1, -0.1, -0.2, -0.1])) == 0


def test_figures_of_processors_are_means_over_splits() -> None:
    rows = [("cpu", 30, s, "operators", 1.0 + s, 90.0 + 10 * s) for s in (0, 1)] + [("cpu", 30, 0, "wholes", 3.0, 80.0)]
    frame = pd.DataFrame(rows, columns=["device", "n", "seed", "arm", "mape", "within5"])
    assert here_figures(frame) == {
        "mape_here": {"cpu": {"30 + operators": 1.5, "30": 3.0}},
        "within5": {"cpu": {"30 + operators": 95.0, "30": 80.0}},
    }


def test_operators_of_what_is_predicted_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 wholes, the operators of which and of ten others are counted; the model sees those of 30 wholes and of the others."""
    rows = predictors_here._net().space.sample_array(60, np.random.default_rng(0))
    ms = np.arange(1.0, 61.0)
    y = np.where(np.arange(60) < 50, ms, np.nan)
    told = []

    class Spy(OperatorPredictor):
        def fit(self, X, y, noise=None):
            told.append((set(self.times["all"]), set(y)))
            return super().fit(X, y, noise)

    monkeypatch.setattr(predictors_here, "OperatorPredictor", Spy)
    monkeypatch.setattr(predictors_here, "COUNTS", (30,))
    found = list(predictors_here._cases("cpu", rows, y, {"all": ms}, 1))
    assert {row["arm"] for row in found} == {"wholes", "operators"} and all(row["mape"] > 0 for row in found)
    (times, latencies), others = told[0], set(ms[50:])
    assert len(latencies) == 30 and times == latencies | others
