"""The marks of the page's chart, in pixels, for the template to draw."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mark:
    """One subnet of the chart.

    Attributes
    ----------
    x, y : float
        Its place.
    left, right, top, bottom : float
        The ends of its error bars; its place where unknown.
    words : tuple of str
        What is shown for it, the name first.
    picked : bool
        Whether a pick chose it.
    """

    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    words: tuple[str, ...]
    picked: bool = False


@dataclass(frozen=True)
class Name:
    """The ring of a picked point and its lines of text.

    Attributes
    ----------
    ring : (float, float)
        Place of the point.
    lines : tuple of (float, float, str, str)
        Place, letter and label of each line.
    anchor : {"start", "end"}
        Which end of the text is at its place.
    leader : (float, float) or None
        The end of the line from the ring to the text.
    """

    ring: tuple[float, float]
    lines: tuple[tuple[float, float, str, str], ...]
    anchor: str
    leader: tuple[float, float] | None


@dataclass
class Chart:
    """One drawing of a front; all places are in pixels of its view box.

    Attributes
    ----------
    width, height : int
        Of the view box.
    left, right, top, bottom : float
        Of the area that the axes enclose.
    narrow : bool
        Whether it is for a phone.
    x_title, y_title : str
        Titles of the axes.
    x_ticks, y_ticks : list of (float, str)
        Place and label of each tick.
    stairs : str
        SVG path of the front.
    cloud, validated, random, front : list of Mark
        What the search measured, what was validated and is not on the front, random subnets, the front.
    names : list of Name
        The picks.
    limits : list of (str, float, str)
        Axis, place and text of each limit.
    """

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    narrow: bool
    x_title: str
    y_title: str
    x_ticks: list[tuple[float, str]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)
    stairs: str = ""
    cloud: list[Mark] = field(default_factory=list)
    validated: list[Mark] = field(default_factory=list)
    random: list[Mark] = field(default_factory=list)
    front: list[Mark] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    limits: list[tuple[str, float, str]] = field(default_factory=list)
