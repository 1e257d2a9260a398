"""The page on search tactics: its code runs, and every tactic is described."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hwsearch import searchers
from hwsearch.spaces import Architecture
from hwsearch.testing.toy_spaces import flat_space

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "tactics.md").read_text(encoding="utf-8")


def test_the_code_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = flat_space(4, 4)
    pd.DataFrame([arch.to_dict() for arch in space.enumerate()]).to_csv("candidates.csv", index=False)

    def measure(arch: Architecture) -> tuple[float | None, float]:
        size = sum(float(v) for v in arch.values())
        return (None if size == 5 else 60 + 3 * size**0.9), 1 + size**1.2

    names: dict[str, Any] = {"measure": measure}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        exec(block, names)
        if "searcher = searchers.create(" in block:
            assert len(block.splitlines()) <= 10
            values = names["searcher"].front().values
            assert len(values) > 3 and (values[:, 1] <= 12).all()
    assert np.isnan(names["again"].values).any(axis=1).sum() <= 20 == len(names["again"].values)
    assert (tmp_path / "optuna.db").stat().st_size > 0


def test_every_tactic_is_in_the_table_with_its_class() -> None:
    lines = re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert [name for name, _, _ in lines] == sorted(set(searchers.tactics()) - {"default"})
    for name, path, options in lines:
        cls = searchers.find(name)
        assert path == f"{cls.__module__}.{cls.__name__}"
        shown = [f"`{row.name}={row.default}`".replace("'", '"') for row in searchers.describe_options(name)]
        assert options == ", ".join(shown), name


def test_every_option_is_described_for_users() -> None:
    for name in searchers.tactics():
        for row in searchers.describe_options(name):
            assert row.description.endswith(".") and row.type and row.default, (name, row)


def test_every_tactic_is_described() -> None:
    prose = PAGE[PAGE.index("## Which tactic") : PAGE.index("## Classes and options")]
    described = set(re.findall(r"`([\w-]+)`", prose))
    assert set(searchers.tactics()) - {"plumb"} <= described
