"""The process with sums of operators, against machines whose latencies are known functions of their operators."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import GaussianProcessPredictor, OperatorPredictor, PredictorError, Schema, load, read_card, save
from predictors.card import card_of
from predictors.kernel import Kernel
from predictors.schema import FACT, GENE, OPERATOR, Column

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(10) for v in (1, 2, 3)])


def machine(n: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Rows, what their convolutions and additions take, and the latency of the whole: 1.3 times these, more for the second, and 0.5 ms."""
    rng = np.random.default_rng(seed)
    values = rng.integers(3, size=(n, 10))
    conv = np.exp(np.random.default_rng(1).standard_normal((10, 3)))[np.arange(10), values].sum(axis=1)
    add = 0.3 + 0.2 * (values[:, :5] == 2).sum(axis=1)
    latency = (0.5 + 1.3 * conv + 2.0 * add) * np.exp(0.005 * rng.standard_normal(n))
    return np.eye(3)[values].reshape(n, -1), {"conv": conv, "add": add}, latency


@pytest.fixture(scope="module")
def fitted() -> tuple[OperatorPredictor, np.ndarray, np.ndarray]:
    """Fitted on 15 networks of which the operators are known, beside those of 150 others."""
    X, times, y = machine(400)
    model = OperatorPredictor(GENES, X[:165], {k: v[:165] for k, v in times.items()}).fit(X[:15], y[:15])
    return model, X, y


def test_few_wholes_suffice_where_operators_are_known(fitted) -> None:
    model, X, y = fitted
    plain = GaussianProcessPredictor(GENES).fit(X[:15], y[:15])
    new = slice(165, None)  # neither whole nor operators were measured
    errors = [np.abs(m.predict(X[new]) / y[new] - 1).mean() for m in (model, plain)]
    assert errors[0] < 0.02 and 3 * errors[0] < errors[1]
    assert model.operators_["sum"] > 0.3 and sum(model.operators_.values()) > 0.8
    low, high = model.predict_interval(X[new], 0.9)
    assert ((low <= y[new]) & (y[new] <= high)).mean() > 0.88 and np.median((high - low) / y[new]) < 0.1


def test_a_worthless_table_costs_little() -> None:
    X, times, y = machine(300)
    random = {k: np.random.default_rng(2).permutation(v) for k, v in times.items()}
    model = OperatorPredictor(GENES, X[:200], {k: v[:200] for k, v in random.items()}).fit(X[:80], y[:80])
    plain = GaussianProcessPredictor(GENES).fit(X[:80], y[:80])
    errors = [np.abs(m.predict(X[200:]) / y[200:] - 1).mean() for m in (model, plain)]
    assert errors[0] < 1.5 * errors[1] and sum(model.operators_.values()) < 0.2


def test_the_sum_is_a_column_of_logarithms_and_classes_are_shares(fitted) -> None:
    model, X, _ = fitted
    _, times, _ = machine(400)
    total = times["conv"] + times["add"]
    columns, variances = model._columns(X[:20], 3)
    assert columns[:, 0] == pytest.approx(np.log(total[:20])) and not variances.any()
    assert list(model._given()) == ["sum", "classes conv", "classes add"]
    assert columns[:, 2] == pytest.approx((times["add"] / total)[:20])
    told, spread = model._columns(X[200:], 3)
    assert np.abs(told[:, 0] - np.log(total[200:])).max() < 0.02 and 0 < np.sqrt(spread[:, 0].max()) < 0.02


def test_a_class_that_takes_nothing_or_is_the_only_one_is_no_column() -> None:
    X, times, y = machine(60)
    only = OperatorPredictor(GENES, X, {"conv": times["conv"]}).fit(X[:20], y[:20])
    assert list(only._given()) == ["sum"]
    small = OperatorPredictor(GENES, X, {**times, "cast": np.full(60, 1e-4)}).fit(X[:20], y[:20])
    assert list(small._given()) == ["sum", "classes conv", "classes add"]
    none = OperatorPredictor(GENES).fit(X[:20], y[:20])
    assert np.array_equal(none.predict(X), GaussianProcessPredictor(GENES).fit(X[:20], y[:20]).predict(X))


def test_operators_have_parts_by_kind_and_other_blocks_one_each() -> None:
    columns = [Column("g=1", GENE, "g", 0, 1), Column("g=2", GENE, "g", 0, 2), Column("macs", FACT)]
    columns += [
        Column("operator sum", OPERATOR, "sum"),
        Column("a", OPERATOR, "classes"),
        Column("b", OPERATOR, "classes"),
    ]
    schema = Schema(tuple(columns))
    X = np.column_stack([np.tile([[1, 0], [0, 1]], (4, 1)), np.random.default_rng(0).random((8, 4))])
    names = Kernel(schema, schema.split(X)).names
    assert {"fact", "operator sum", "operator classes", "operator sum curved", "operator classes curved"} <= set(names)
    sizes = {p.name: p.map.shape[0] for p in Kernel(schema, schema.split(X)).linear}
    assert (sizes["operator sum"], sizes["operator classes"]) == (1, 2)


def test_rows_left_out_are_those_of_the_groups(fitted) -> None:
    model, _, _ = fitted
    group = np.random.default_rng(model.seed).permutation(15) % 5
    assert model.left_out(group) == pytest.approx(model.oof_predictions_)
    assert model.procedure_scores_["mape"] == pytest.approx(
        100 * np.abs(model.oof_predictions_ / model.target_ - 1).mean()
    )


def test_a_file_keeps_it_and_the_card_shows_the_shares(fitted, tmp_path) -> None:
    model, X, _ = fitted
    save(model, tmp_path / "p.zip", card_of(model, metric="latency_ms", unit="ms", schema=GENES))
    again = load(tmp_path / "p.zip")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.predict_interval(X), model.predict_interval(X))
    card = read_card(tmp_path / "p.zip")
    assert card is not None and card["operators"] == pytest.approx(model.operators_) and card["fidelities"] is None


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"conv": np.ones(3)}, r"shapes \[\(3,\), \(20,\)\]"),
        ({"conv": np.zeros(20)}, "operators is 0"),
        ({"conv": np.full(20, np.inf)}, "operators is inf"),
    ],
)
def test_times_that_are_none_are_refused(times: dict, said: str) -> None:
    X, _, y = machine(20)
    with pytest.raises(PredictorError, match=said):
        OperatorPredictor(GENES, X, times).fit(X, y)
