"""One look for all figures: readable in grey, in print and by colour-blind people.

Colours are Okabe and Ito's (2008). Every kind of mark also has its own shape, so colour is never alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsearch._files import containing, write_file

P = ParamSpec("P")

PAPER = "#fffffe"  # one off pure white, so that it can be told from white in colour maps
INK = "#1b1f24"
MUTED = "#57606a"
FAINT = "#a3abb3"
GRID = "#e4e7ea"
BLUE = "#0072b2"
SKY = "#56b4e9"
ORANGE = "#c98a00"
GREEN = "#009e73"
RED = "#d55e00"
PURPLE = "#a8518a"

#: CSS variable of each colour on the page, and its value on dark paper
THEME: dict[str, tuple[str, str]] = {
    PAPER: ("paper", "#15181c"),
    INK: ("ink", "#e8eaed"),
    MUTED: ("muted", "#a5adb6"),
    FAINT: ("faint", "#6b747d"),
    GRID: ("grid", "#2b3036"),
    BLUE: ("blue", "#5cb8f0"),
    SKY: ("sky", "#2f7fb0"),
    ORANGE: ("orange", "#e9b13c"),
    GREEN: ("green", "#3cc79c"),
    RED: ("red", "#f08a4b"),
    PURPLE: ("purple", "#d98fbf"),
}

#: lines and shapes of successive devices
DEVICE_COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
DEVICE_MARKERS = ("o", "s", "^", "D", "v", "P")
DEVICE_LINES = ("-", (0, (5, 2)), (0, (1.2, 1.4)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (8, 2)))

RC: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.labelsize": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.6,
    "legend.borderaxespad": 0.0,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "savefig.facecolor": PAPER,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "hwsearch",
    "lines.linewidth": 1.6,
}


@contextmanager
def style() -> Iterator[None]:
    """Set the style for everything drawn or saved inside; the user's own settings come back after it.

    Yields
    ------
    None
        Nothing; the block draws.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw inside `style`.

    Parameters
    ----------
    function : callable
        Returns a figure.

    Returns
    -------
    callable
        The same function, with the style set.
    """

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            return function(*args, **kwargs)

    return inside


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, without pyplot and its global state.

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    return Figure(figsize=(width, height))


@contextmanager
def laid_out(figure: Figure) -> Iterator[None]:
    """Place what a figure holds, once, and set the style for writing it inside.

    Matplotlib would place it again, and draw it twice, for every file that is written.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        A finished figure; its layout engine is taken off.

    Yields
    ------
    None
        Nothing; the block writes the figure.
    """
    with style():
        engine = figure.get_layout_engine()
        if engine is not None and figure.axes:
            engine.execute(figure)
        with mpl.rc_context({"figure.constrained_layout.use": False, "figure.autolayout": False}):
            figure.set_layout_engine(None)  # which savefig sets again at its end: from these settings
            yield


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write a figure as SVG and PNG; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    folder : Path
        Where to write; made if missing.
    stem : str
        Name of the files without ending.

    Returns
    -------
    list of Path
        The two files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}.svg", folder / f"{stem}.png"]
    with laid_out(figure):
        for path in paths:
            stream = io.BytesIO()
            about = {"Date": None, "Creator": "hwsearch"} if path.suffix == ".svg" else {"Software": "hwsearch"}
            figure.savefig(stream, format=path.suffix[1:], metadata=about)
            write_file(path, stream.getvalue(), containing(b"hwsearch", b"Matplotlib"))
    return paths


def note(ax: Axes, text: str, *, x: float = 0.03, y: float = 0.97, lower_right: bool = False) -> None:
    """Write a quiet note in the corner of a panel.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    text : str
        The note.
    x, y : float
        Upper left corner, as shares of the panel.
    lower_right : bool
        Whether it stands in the lower right corner, as far from that as `x` and `y` are from the upper left.
    """
    place = (1 - x, 1 - y, "right", "bottom") if lower_right else (x, y, "left", "top")
    look = {"color": MUTED, "fontsize": 8.5, "linespacing": 1.35}
    ax.text(place[0], place[1], text, transform=ax.transAxes, ha=place[2], va=place[3], **look)
