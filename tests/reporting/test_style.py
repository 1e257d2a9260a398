"""The style: set inside, gone outside; files that repeat byte for byte."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from hwsearch.reporting.inline import inline_svg
from hwsearch.reporting.style import RC, new_figure, note, save, style, styled


def test_settings_hold_inside_and_are_restored_even_after_an_error() -> None:
    with mpl.rc_context({"font.size": 23.0}):
        with style():
            assert mpl.rcParams["font.size"] == RC["font.size"] != 23.0
        assert mpl.rcParams["font.size"] == 23.0
        with pytest.raises(ZeroDivisionError), style():
            1 / 0  # noqa: B018
        assert mpl.rcParams["font.size"] == 23.0


def test_a_styled_function_keeps_its_name_and_arguments() -> None:
    @styled
    def drawn(width: float, *, height: float):
        """Say so."""
        assert mpl.rcParams["font.size"] == RC["font.size"]
        return new_figure(width, height)

    assert drawn.__name__ == "drawn" and drawn.__doc__ == "Say so."
    assert drawn(2.0, height=1.0).get_size_inches().tolist() == [2.0, 1.0]


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    def files(folder: str) -> list[Path]:
        with style():
            figure = new_figure(2.0, 1.0)
            note(figure.subplots(), "costs $5")
        return save(figure, tmp_path / folder, "plot")

    first, second = files("a/b"), files("c")
    assert [p.name for p in first] == ["plot.svg", "plot.png"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert "costs $5" in first[0].read_text()


def test_a_figure_is_laid_out_once_and_drawn_once_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for cls, name in ((ConstrainedLayoutEngine, "execute"), (Figure, "draw")):
        real = getattr(cls, name)
        monkeypatch.setattr(cls, name, lambda *args, real=real, name=name: done.append(name) or real(*args))
    with style():
        figure = new_figure(2.0, 1.0)
        figure.subplots()
    save(figure, tmp_path, "plot")
    inline_svg(figure, "key", "words")
    assert sorted(done) == ["draw"] * 3 + ["execute"]
