"""Computed metrics: the built-in ones by hand, those of plug-ins, and names that nobody has."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hwsearch import registry
from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import PluginError, SearchError
from hwsearch.objectives import ComputedMetric, computed_metric, computed_metrics
from hwsearch.objectives.names import DIRECTIONS


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
