"""Figures of an assessment hold what was measured."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from hwsearch.reporting.figures.assessment import (
    MOST_PARTS,
    bands_figure,
    conflict_figure,
    excess_figure,
    probes_figure,
)


def texts(figure) -> str:
    return " ".join(t.get_text() for ax in figure.axes for t in ax.texts)


def test_the_bands_show_every_subnet_and_the_means(assessment) -> None:
    figure = bands_figure(assessment)
    ax = figure.axes[0]
    dots = ax.collections[0].get_offsets()
    assert sorted(dots[:, 0].tolist()) == sorted(r["macs"] for r in assessment["subnets"])
    means = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 2]
    assert means == [b["score"]["value"] for b in assessment["bands"]]
    written = ax.xaxis.get_major_formatter()
    assert [written(v, 0) for v in (1e6, 1.5e6, 2e7, 5e8)] == ["1 M", "1.5 M", "20 M", "500 M"]
    assert ax.get_xscale() == "log" and ax.get_ylabel() == "top-1 accuracy (%)"


def test_the_excess_of_every_band_is_a_bar(assessment) -> None:
    ax = excess_figure(assessment).axes[0]
    assert [p.get_height() for p in ax.patches] == [b["excess_loss"]["value"] for b in assessment["bands"]]


@pytest.mark.parametrize("n", [0, 3, MOST_PARTS + 5])
def test_parts_are_in_the_order_of_the_network(assessment, n: int) -> None:
    result = copy.deepcopy(assessment)
    cosine = {"value": -0.2, "low": -0.4, "high": 0.0, "n": 8}
    result["conflict"]["parts"] = [
        {"part": f"block.{i}", "common_weights": 100 + i, "cosine": cosine} for i in range(n)
    ]
    figure = conflict_figure(result)
    if not n:
        assert "share no weights" in texts(figure)
        return
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == [f"block.{i}" for i in range(n)][-MOST_PARTS:]


def test_probes_are_over_the_line_where_training_alone_was_better(assessment) -> None:
    ax = probes_figure(assessment).axes[0]
    shown = ax.lines[1]
    probes = [r for r in assessment["subnets"] if r["standalone"] is not None]
    np.testing.assert_allclose(shown.get_xdata(), [r["score"] for r in probes])
    np.testing.assert_allclose(shown.get_ydata(), [r["standalone"] for r in probes])
    assert "Kendall's τ 0.60" in texts(probes_figure(assessment))
