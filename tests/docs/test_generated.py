"""The generated pages are what `docs/generate.py` writes, and it sees every key."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel, Field

from hwsearch.campaigns.config import CampaignConfig

from .pages import DOCS


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pages_are_the_generated_ones(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"run 'python docs/generate.py': {path.name} is stale"


def test_every_key_is_on_the_page(generate: ModuleType) -> None:
    text = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    for name, field in CampaignConfig.model_fields.items():
        model, repeated = generate._model(field.annotation)
        key = field.alias or name
        if model is None:
            assert f"| `{key}` |" in text
            continue
        section = text.partition(f"## `[[{key}]]`\n" if repeated else f"## `[{key}]`\n")[2].partition("\n## ")[0]
        for inner, f in model.model_fields.items():
            assert f"| `{f.alias or inner}` |" in section


class Example(BaseModel):
    """Show both forms.

    Attributes
    ----------
    one : int
        What it is,
        on two lines.
    low, high : float
        Ends of the range.
    """

    one: int = 1
    low: float = Field(0.0, ge=0, lt=1)
    high: float | None = Field(None, gt=0, description="The upper end.")


def test_meanings_come_from_descriptions_and_docstrings(generate: ModuleType) -> None:
    assert generate.meanings(Example) == {
        "one": "What it is, on two lines.",
        "low": "Ends of the range.",
        "high": "The upper end.",
    }
    row = generate._row("example", "low", Example.model_fields["low"], "Ends of the range.")
    assert row == "| `low` | number | `0` |  | ≥ 0, < 1 | Ends of the range. |"


def test_check_tells_a_stale_page(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check"]) == 0
    stale = tmp_path / "configuration.md"
    stale.write_text("old")
    monkeypatch.setattr(generate, "pages", lambda: {stale: "new"})
    assert generate.main(["--check"]) == 1
    assert "configuration.md is stale" in capsys.readouterr().err
    assert generate.main([]) == 0 and stale.read_text() == "new"
