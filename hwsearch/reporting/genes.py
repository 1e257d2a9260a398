"""Write genes for readers: grouped by prefix, and by stage where depth genes tell the stages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from hwsearch.spaces.choice import Value

_INDEXED = re.compile(r"^(?P<prefix>.+)\[(?P<index>\d+)\]$")
#: names and units of the prefixes that the shipped spaces use; others keep their own name
TITLES = {
    "r": "input side (px)",
    "d": "depth (blocks)",
    "ks": "kernel (px)",
    "e": "expansion (×)",
    "w": "width",
    "width": "width",
    "depth": "depth (blocks)",
    "kernel": "kernel (px)",
    "layers": "layers",
    "heads": "attention heads",
    "ffn": "feed-forward units",
    "encoder.embed": "encoder width",
    "decoder.embed": "decoder width",
    "decoder.layers": "decoder layers",
    "encoder.ffn": "encoder feed-forward units",
    "encoder.heads": "encoder heads",
    "decoder.ffn": "decoder feed-forward units",
    "decoder.heads": "decoder heads",
    "decoder.cross_heads": "encoder–decoder heads",
    "decoder.memory": "encoder layers attended",
}
DEPTH = "d"


@lru_cache(maxsize=4096)
def split(name: str) -> tuple[str, int | None]:
    """Split the name of a gene: ``ks[3]`` into ``ks`` and 3, ``r`` into ``r`` and None.

    Parameters
    ----------
    name : str
        Name of the gene.

    Returns
    -------
    (str, int or None)
        Prefix and index.
    """
    match = _INDEXED.match(name)
    return (match["prefix"], int(match["index"])) if match else (name, None)


@dataclass(frozen=True)
class Layout:
    """Layout of the genes of a set of architectures.

    Attributes
    ----------
    scalars : tuple of str
        Genes without an index.
    groups : dict of str to int
        Number of indices of each prefix.
    stages : int
        Number of stages; 0: unknown.
    per_stage : dict of str to int
        Genes a stage of each prefix: 1 for depths, 0 where they are not by stage.
    """

    scalars: tuple[str, ...]
    groups: dict[str, int]
    stages: int = 0
    per_stage: dict[str, int] = field(default_factory=dict)

    def where(self, prefix: str, index: int) -> tuple[int, int]:
        """Find the stage of an indexed gene.

        Parameters
        ----------
        prefix : str
            Prefix of the gene.
        index : int
            Its index.

        Returns
        -------
        (int, int)
            Stage, and place in the stage.
        """
        return divmod(index, self.per_stage.get(prefix, 1))


def layout(architectures: Sequence[Mapping[str, Value]]) -> Layout:
    """Find the layout of the genes of some architectures.

    A group of as many indices as there are stages, or fewer, has one a stage. One of m times as many, with m the depth
    of the deepest stage, holds blocks: stage s has the indices s·m … s·m + m - 1 (of the last one some may be missing).
    Any other group, such as widths that count the stem in, is not by stage.

    Parameters
    ----------
    architectures : sequence of mapping
        Genes and values of each.

    Returns
    -------
    Layout
        The layout; stages are known when numeric depths exist and another group fits them.
    """
    scalars: dict[str, None] = {}
    groups: dict[str, int] = {}
    for genes in architectures:
        for name in genes:
            prefix, index = split(name)
            if index is None:
                scalars[name] = None
            else:
                groups[prefix] = max(groups.get(prefix, 0), index + 1)
    stages = groups.get(DEPTH, 0)
    depths = [v for g in architectures for k, v in g.items() if split(k)[0] == DEPTH]
    numbers = [v for v in depths if isinstance(v, int)]
    if not stages or len(numbers) < len(depths):
        return Layout(tuple(scalars), groups)
    deepest = max(numbers)
    per_stage = {}
    for prefix, count in groups.items():
        blocks = (stages - 1) * deepest < count <= stages * deepest
        per_stage[prefix] = 1 if count <= stages else deepest if blocks else 0
    fits = [per_stage[prefix] > 0 for prefix in groups if prefix != DEPTH]
    if fits and not any(fits):
        return Layout(tuple(scalars), groups)
    return Layout(tuple(scalars), groups, stages, per_stage)


def describe(genes: Mapping[str, Value], plan: Layout | None = None) -> str:
    """Write genes in one line; stages are parted by a slash, absent genes left out.

    Parameters
    ----------
    genes : mapping
        Genes and values.
    plan : Layout, optional
        The layout; that of `genes` by default.

    Returns
    -------
    str
        For example ``r 28 · d 1 2 3 · ks 3 / 3 5 / 3 5 5``.

    Examples
    --------
    >>> from hwsearch.reporting.genes import describe
    >>> describe({"r": 28, "ks[0]": 3, "ks[1]": 5})
    'r 28 · ks 3 5'
    """
    plan = plan or layout([genes])
    parts = [f"{name} {short(genes[name])}" for name in plan.scalars if name in genes]
    for prefix, count in plan.groups.items():
        present = [(i, genes[f"{prefix}[{i}]"]) for i in range(count) if f"{prefix}[{i}]" in genes]
        text, last = "", None
        for i, value in present:
            stage = plan.where(prefix, i)[0] if plan.per_stage.get(prefix, 1) > 1 else 0
            text += (" / " if last is not None and stage != last else " ") + short(value)
            last = stage
        if text:
            parts.append(prefix + text)
    return " · ".join(parts)


def legend(plan: Layout) -> str:
    """Explain the names and the marks in what `describe` writes.

    Parameters
    ----------
    plan : Layout
        The layout.

    Returns
    -------
    str
        One sentence; empty where there are no genes.

    Examples
    --------
    >>> from hwsearch.reporting.genes import layout, legend
    >>> legend(layout([{"r": 28, "d[0]": 1, "d[1]": 2, "ks[0]": 3, "ks[2]": 5}]))
    'Genes: r input side (px); d depth (blocks), a number a stage; ks kernel (px), a number a block, / parts the stages.'
    """
    parts = [f"{name} {TITLES[name]}" if name in TITLES else name for name in plan.scalars]
    for prefix in plan.groups:
        text = f"{prefix} {TITLES[prefix]}" if TITLES.get(prefix, prefix) != prefix else prefix
        blocks = plan.per_stage.get(prefix, 1)
        if plan.stages and blocks == 1:
            text += ", a number a stage"
        elif plan.stages and blocks > 1:
            text += ", a number a block, / parts the stages"
        parts.append(text)
    return f"Genes: {'; '.join(parts)}." if parts else ""


def short(value: Value) -> str:
    """Write a gene's value without needless digits.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
        The text.
    """
    return f"{value:g}" if isinstance(value, float) else str(value)
