"""A recipe and its parts."""

from __future__ import annotations

from hwsearch.training.strategies.ofa import ProgressiveShrinking


def test_a_recipe_lists_its_parts(start) -> None:
    names = [name for name, _ in start(ProgressiveShrinking()).recipe.parts()]
    assert names == ["schedule", "data", "sampler", "loss", "reducer", "view", "teacher", "event-0"]
