"""The cells of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326) as a space of 15,625 architectures."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError, nearest
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice
from hwsearch.spaces.space import SearchSpace

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CONVOLUTIONS, POOLING = (2, 3), 4
#: operations that change what they pass on
WORKING = (*CONVOLUTIONS, POOLING)
#: (to, from): the order in which the published strings name the edges
EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
_CELL = re.compile(r"\|([^|~+]+)~0\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|([^|~+]+)~2\|")


#: the edges of each path from the cell's input to its output
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))


class CellSpace(SearchSpace):
    """The space of cells, which knows the paths through a cell and the edges that reach its output."""

    def describe_array(self, rows: IntArray) -> FloatArray:  # type: ignore[override]
        """Describe cells by facts that are known without measuring: as a bundle of paths from input to output.

        Cells that are the same network but for the order of their paths, or for edges that reach nothing, are close.

        Parameters
        ----------
        rows : ndarray of int, shape (n, 6)
            Operation indices of the six edges.

        Returns
        -------
        ndarray of float, shape (n, 20)
            Edges of each operation but ``none`` that lie on an open path (4 columns); which of the four paths are open (4);
            the most convolutions on a path, and their sum over all paths; for 1x1 convolutions, 3x3 convolutions and pooling
            each, how many the open paths have in all (3), and how many one path has at most (3); how many paths are open, how
            many of these are skips alone, and how many have no pooling; the fewest convolutions on an open path.

        References
        ----------
        Veit, Wilber, Belongie 2016, "Residual networks behave like ensembles of relatively shallow networks",
        arXiv 1605.06431.
        """
        carries = rows > 0
        open_ = np.stack([carries[:, path].all(axis=1) for path in PATHS], axis=1)
        live = np.zeros(rows.shape, dtype=bool)
        on_path = np.zeros((*open_.shape, len(WORKING)))
        for k, path in enumerate(PATHS):
            live[:, path] |= open_[:, k : k + 1]
            for j, operation in enumerate(WORKING):
                on_path[:, k, j] = open_[:, k] * (rows[:, path] == operation).sum(axis=1)
        edges = [(live & (rows == operation)).sum(axis=1) for operation in range(1, len(OPERATIONS))]
        convolutions = on_path[:, :, [WORKING.index(k) for k in CONVOLUTIONS]].sum(axis=2)
        paths = open_.sum(axis=1)
        fewest = np.where(paths > 0, np.where(open_, convolutions, np.inf).min(axis=1), 0.0)
        columns = [
            *edges,
            open_,
            convolutions.max(axis=1),
            convolutions.sum(axis=1),
            on_path.sum(axis=1),
            on_path.max(axis=1),
            paths,
            (open_ & (on_path.sum(axis=2) == 0)).sum(axis=1),
            (open_ & (on_path[:, :, WORKING.index(POOLING)] == 0)).sum(axis=1),
            fewest,
        ]
        return np.column_stack(columns).astype(np.float64)


def nas_bench_201() -> CellSpace:
    """Make the space of cells: six edges with five operations each.

    Returns
    -------
    CellSpace
        The space; gene ``3<-1`` is the operation on the edge from node 1 to node 3.

    References
    ----------
    Dong and Yang, "NAS-Bench-201: Extending the scope of reproducible neural architecture search", 2020,
    arXiv 2001.00326.
    """
    return CellSpace("nas-bench-201", [Choice(f"{to}<-{start}", OPERATIONS, ordinal=False) for to, start in EDGES])


def cell_text(arch: Architecture) -> str:
    """Write a cell in the published form.

    Parameters
    ----------
    arch : Architecture
        A cell of the space.

    Returns
    -------
    str
        For example ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|``.
    """
    nodes = []
    for node in (1, 2, 3):
        nodes.append("|" + "|".join(f"{arch[f'{to}<-{start}']}~{start}" for to, start in EDGES if to == node) + "|")
    return "+".join(nodes)


def cell_rows(texts: Iterable[str]) -> IntArray:
    """Read cells in the published form.

    Parameters
    ----------
    texts : iterable of str
        Published forms, see `cell_text`.

    Returns
    -------
    ndarray of int, shape (n, 6)
        Operation indices, one row a cell.

    Raises
    ------
    SpaceError
        If a text is not a cell, or names an operation that is not one of the five.
    """
    place = {name: k for k, name in enumerate(OPERATIONS)}
    rows = []
    for text in texts:
        match = _CELL.fullmatch(text.strip())
        if match is None:
            raise SpaceError(
                f"{text!r} is not a cell of NAS-Bench-201.", hint="Write |op~0|+|op~0|op~1|+|op~0|op~1|op~2|."
            )
        for operation in match.groups():
            if operation not in place:
                raise SpaceError(
                    f"{operation!r} in {text!r} is not an operation of NAS-Bench-201.", hint=nearest(operation, place)
                )
        rows.append([place[operation] for operation in match.groups()])
    return np.array(rows, dtype=np.int64).reshape(-1, len(EDGES))


def cell(text: str) -> Architecture:
    """Read one cell in the published form.

    Parameters
    ----------
    text : str
        A published form, see `cell_text`.

    Returns
    -------
    Architecture
        The cell.

    Raises
    ------
    SpaceError
        If the text is not a cell.

    Examples
    --------
    >>> from hwsearch.spaces.nasbench201 import cell
    >>> cell("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")["3<-2"]
    'avg_pool_3x3'
    """
    return nas_bench_201().from_array(cell_rows([text]))[0]
