"""The Python of concept and how-to pages runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .pages import DOCS, blocks

CONCEPTS = [p for p in sorted((DOCS / "concepts").glob("*.md")) if any(b.language == "python" for b in blocks(p))]


@pytest.mark.parametrize(
    "page",
    [*CONCEPTS, DOCS / "how-to" / "tables.md", DOCS / "how-to" / "predictor.md", DOCS / "how-to" / "certified.md"],
    ids=lambda p: p.stem,
)
def test_the_python_of_a_page_runs(page: Path, run_page: Callable[..., dict[str, Any]]) -> None:
    names = run_page(page)
    assert len(names) > 1
