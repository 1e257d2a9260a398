"""Computed metrics: the built-in ones by hand, those of plug-ins, and names that nobody has."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from hwsearch import registry
from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import PluginError, SearchError
from hwsearch.objectives import ComputedMetric, Objective, computed_metric, computed_metrics
from hwsearch.objectives.names import DIRECTIONS, known_metrics


class Net:
    """Costs that are easy to compute by hand."""

    def macs_array(self, rows: IntArray) -> FloatArray:
        return rows.sum(axis=1) * 1000.0

    def params_array(self, rows: IntArray) -> FloatArray:
        return rows.sum(axis=1) * 2.0**18

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return {"macs": self.macs_array(rows), "params": self.params_array(rows)}


def test_the_built_in_metrics_by_hand() -> None:
    rows = np.array([[1, 0], [2, 1]])
    assert computed_metric("macs").compute(Net(), rows).tolist() == [1000.0, 3000.0]
    assert computed_metric("params").compute(Net(), rows).tolist() == [2.0**18, 3 * 2.0**18]
    assert computed_metric("model_size_mib").compute(Net(), rows).tolist() == [1.0, 3.0]  # four bytes a weight
    for name, metric in computed_metrics().items():
        assert metric.name == name and metric.direction == DIRECTIONS.get(name, metric.direction)


def test_an_unknown_metric_names_the_near_one() -> None:
    with pytest.raises(SearchError, match=r"'parms'.*Did you mean 'params'"):
        computed_metric("parms")


def test_metrics_of_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = ComputedMetric("width", "channels", "max", lambda net, rows: rows[:, 0] * 1.0)
    points = tuple(
        SimpleNamespace(name=name, value=f"other:{name}", dist=None, load=lambda found=found: found)
        for name, found in (("width", wide), ("depth", "not a metric"))
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert computed_metric("width") is wide
    with pytest.raises(PluginError, match="ComputedMetric"):
        computed_metric("depth")


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (lambda net, rows: None, r"'x' must return one number a row, shape \(2,\), got"),
        (lambda net, rows: rows[:, :1] * 1.0, r"shape \(2,\), got shape \(2, 1\)"),
        (lambda net, rows: np.array([1.0, np.nan]), r"'x' must be finite, got nan for the subnet of genes \[2, 1\]"),
        (lambda net, rows: ["slow", "fast"], r"'x' cannot be computed for this supernet: ValueError"),
        (lambda net, rows: net.cost_features(rows)["bits"], r"'x' cannot be computed.*KeyError: 'bits'"),
        (lambda net, rows: sys.exit(3), "'x' cannot be computed for this supernet: SystemExit: 3"),
    ],
)
def test_values_are_one_finite_number_a_row(compute, words: str) -> None:
    with pytest.raises(SearchError, match=words):
        ComputedMetric("x", "words", "min", compute).values(Net(), np.array([[1, 0], [2, 1]]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("a-b", "words", "min", len), "name 'a-b'"),
        (("x", "", "min", len), "unit ''"),
        (("x", "words", "minimize", len), "direction of computed metric 'x' must be 'min' or 'max', got 'minimize'"),
        (("x", "words", "min", 3), "compute of computed metric 'x' must be a function, got 3"),
    ],
)
def test_a_metric_that_is_declared_wrongly(given, words: str) -> None:
    with pytest.raises(SearchError, match=words):
        ComputedMetric(*given)


def test_an_entry_point_has_the_name_of_its_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = ComputedMetric("width", "channels", "max", lambda net, rows: rows[:, 0] * 1.0)
    point = SimpleNamespace(name="breadth", value="other:wide", dist=None, load=lambda: wide)
    monkeypatch.setattr(registry, "entry_points", lambda group: (point,))
    with pytest.raises(PluginError, match=r"entry point 'breadth'.*is the metric 'width'"):
        computed_metric("breadth")


def test_a_plug_in_that_cannot_be_imported_spares_those_who_do_not_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(name="broken", value="no_such_module:X", dist=None, load=lambda: 1 / 0)
    monkeypatch.setattr(registry, "entry_points", lambda group: (point,))
    assert "broken" in known_metrics()
    assert Objective("accuracy").direction == "max"
    with pytest.raises(PluginError, match="'broken'"):
        Objective("broken")
