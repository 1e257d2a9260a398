"""The columns of a table: genes, their values, and when each is there. One TOML file a space, in ``spaces/``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_tables import toml
from latency_tables.errors import Fault, TableError, nearest
from latency_tables.toml import Document

SHIPPED = Path(__file__).parent / "spaces"
Value = int | float | str


@dataclass(frozen=True)
class Gene:
    """One column of a table.

    Attributes
    ----------
    name : str
        Of the column.
    values : tuple
        That it may hold, empty for any finite number.
    labels : tuple of str
        What the values mean.
    when : (str, tuple) or None
        An earlier gene and its values that switch this one on; None for always.
    facts : mapping of str to tuple of float
        What is known of each value without measuring: ``macs``, ``params`` and ``activations`` of the block that it stands for.
    stage : str
        Of the network, to which the gene belongs; facts are summed by stage, too.
    """

    name: str
    values: tuple[Value, ...] = ()
    labels: tuple[str, ...] = ()
    when: tuple[str, tuple[Value, ...]] | None = None
    facts: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)
    stage: str = ""

    @property
    def dtype(self) -> str:
        """The pandas type of the column: ``string``, ``Int64`` or ``Float64``."""
        if any(isinstance(v, str) for v in self.values):
            return "string"
        return "Int64" if self.values and all(isinstance(v, int) for v in self.values) else "Float64"


@dataclass(frozen=True)
class TableSpace:
    """The genes of a table.

    Attributes
    ----------
    name : str
        Of the space.
    genes : tuple of Gene
        A gene's condition names an earlier one.
    about, source : str
        For people.
    identifies : bool
        Whether equal genes mean the same network (not so for averages over layers).
    """

    name: str
    genes: tuple[Gene, ...]
    about: str = ""
    source: str = ""
    identifies: bool = True

    @property
    def names(self) -> list[str]:
        """Names of the genes, in order."""
        return [g.name for g in self.genes]

    def to_dict(self) -> Document:
        """Write the space as a document.

        Returns
        -------
        dict
            From which `parse_space` makes an equal space.
        """
        head = {"name": self.name, "about": self.about, "source": self.source, "identifies": self.identifies}
        genes = []
        for g in self.genes:
            when = {"gene": g.when[0], "values": list(g.when[1])} if g.when else None
            row = {"name": g.name, "values": list(g.values), "labels": list(g.labels) or None, "when": when}
            facts = {name: list(values) for name, values in g.facts.items()}
            genes.append(row | ({"stage": g.stage} if g.stage else {}) | ({"facts": facts} if facts else {}))
        return {**head, "gene": genes}

    # ------------------------------------------------------------------ frames
    def typed(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Fault]]:
        """Bring the gene columns of a frame to their types.

        Parameters
        ----------
        frame : pandas.DataFrame
            With a column a gene.

        Returns
        -------
        frame : pandas.DataFrame
            Typed gene columns; cells that have no such type are empty.
        faults : list of Fault
            Those cells, and missing columns.
        """
        faults, columns = [], {}
        for gene in self.genes:
            if gene.name not in frame.columns:
                faults.append(Fault(f"missing. {nearest(gene.name, map(str, frame.columns))}", column=gene.name))
                continue
            column = frame[gene.name]
            if gene.dtype != "string":
                numbers = pd.to_numeric(column, errors="coerce").astype("Float64")
                wrong = (numbers.isna() & column.notna()).to_numpy(dtype=bool)
                if gene.dtype == "Int64":
                    wrong = wrong | (numbers.notna() & (numbers.round() != numbers)).fillna(False).to_numpy(dtype=bool)
                faults += [
                    Fault(f"{_cell(column.iloc[i])!r} is not a number of this gene", int(i), gene.name)
                    for i in _at(wrong)
                ]
                column = numbers.mask(wrong)
            columns[gene.name] = column.astype(pd.api.types.pandas_dtype(gene.dtype))
        return pd.DataFrame(columns), faults

    def active(self, frame: pd.DataFrame) -> Iterator[tuple[Gene, NDArray[np.bool_]]]:
        """Tell in which rows each gene is there.

        Parameters
        ----------
        frame : pandas.DataFrame
            Typed.

        Yields
        ------
        gene : Gene
            In order.
        rows : numpy.ndarray of bool
            Shape (n,).
        """
        on: dict[str, NDArray[np.bool_]] = {}
        for gene in self.genes:
            mask = np.ones(len(frame), dtype=bool)
            if gene.when is not None:
                parent, values = gene.when
                mask = on[parent] & frame[parent].isin(list(values)).fillna(False).to_numpy(dtype=bool)
            on[gene.name] = mask
            yield gene, mask

    def canonical(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Empty the genes that are not there.

        Parameters
        ----------
        frame : pandas.DataFrame
            Typed; it is not changed.

        Returns
        -------
        pandas.DataFrame
            Equal rows mean equal networks, if the space identifies them.
        """
        frame = frame.copy()
        for gene, mask in self.active(frame):
            frame[gene.name] = frame[gene.name].mask(~mask)
        return frame

    def describe(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Compute what is known of architectures without measuring, for predictors.

        Parameters
        ----------
        frame : pandas.DataFrame
            With a column a gene, whose values the genes have.

        Returns
        -------
        pandas.DataFrame
            A row an architecture: each fact summed over all genes (``macs``) and over those of each stage (``macs[1]``), and
            how often each label stands (``count[skip]``). No columns where no gene has facts.

        Raises
        ------
        TableError
            For a value that a gene does not have.
        """
        out: dict[str, NDArray[np.float64]] = {}
        names = list(dict.fromkeys(name for g in self.genes for name in g.facts))
        told = [g for g in self.genes if g.facts]
        stages = list(dict.fromkeys(g.stage for g in told if g.stage))
        labels = list(dict.fromkeys(label for g in told for label in g.labels))
        for key in [*names, *(f"{n}[{s}]" for n in names for s in stages), *(f"count[{label}]" for label in labels)]:
            out[key] = np.zeros(len(frame))
        for gene in told:
            place = {value: k for k, value in enumerate(gene.values)}
            at = frame[gene.name].map(place)
            here = at.notna().to_numpy(dtype=bool)
            if (~here & frame[gene.name].notna().to_numpy(dtype=bool)).any():
                raise TableError(f"column {gene.name!r} of space {self.name!r} has values that its gene does not have.")
            chosen = at.to_numpy(dtype=np.float64, na_value=0.0).astype(np.int64)
            for name, values in gene.facts.items():
                amount = np.where(here, np.array(values, dtype=np.float64)[chosen], 0.0)
                out[name] += amount
                if gene.stage:
                    out[f"{name}[{gene.stage}]"] += amount
            for k, label in enumerate(gene.labels):
                out[f"count[{label}]"] += here & (chosen == k)
        return pd.DataFrame(out, index=frame.index)

    def faults(self, frame: pd.DataFrame) -> list[Fault]:
        """Find what is wrong with a typed frame.

        Parameters
        ----------
        frame : pandas.DataFrame
            Typed.

        Returns
        -------
        list of Fault
            Values that a gene does not have, empty ones, genes that should not be there.
        """
        found = []
        for gene, mask in self.active(frame):
            column = frame[gene.name]
            empty = column.isna().to_numpy(dtype=bool)
            ok = column.isin(list(gene.values)) if gene.values else column.abs() < math.inf
            wrong = ~empty & ~ok.fillna(False).to_numpy(dtype=bool)
            found += [
                Fault(f"{_cell(column.iloc[i])!r} is not one of {_shown(gene.values)}", int(i), gene.name)
                for i in _at(wrong)
            ]
            found += [Fault("empty", int(i), gene.name) for i in _at(empty & mask)]
            if gene.when is not None:
                where = f"{gene.when[0]} is not one of {_shown(gene.when[1])}"
                found += [Fault(f"not empty, though {where}", int(i), gene.name) for i in _at(~empty & ~mask)]
        return found

    def genes_of(self, genes: Mapping[str, Value]) -> tuple[Value | None, ...]:
        """Write one architecture as a row.

        Parameters
        ----------
        genes : mapping of str to value
            The architecture.

        Returns
        -------
        tuple
            In the order of the genes; None for those that are not there.

        Raises
        ------
        TableError
            When its genes are not those of this space.
        """
        unknown = [n for n in genes if n not in self.names]
        if unknown:
            raise TableError(f"space {self.name!r} has no gene {unknown[0]!r}. {nearest(unknown[0], self.names)}")
        row: dict[str, Value | None] = {}
        for gene in self.genes:
            value = genes.get(gene.name)
            if gene.when is not None and row[gene.when[0]] not in gene.when[1]:
                value = None
            elif value is None:
                raise TableError(f"space {self.name!r} needs gene {gene.name!r}, which this architecture has not.")
            elif gene.values and value not in gene.values:
                raise TableError(f"'{gene.name}={value}' is not one of {_shown(gene.values)} in space {self.name!r}.")
            row[gene.name] = value
        return tuple(row.values())


def space_names(folder: Path | None = None) -> list[str]:
    """List the spaces that a folder of tables declares, and the shipped ones.

    Parameters
    ----------
    folder : Path, optional
        Of tables.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return sorted({p.stem for place in _places(folder) for p in place.glob("*.toml")})


def load_space(name: str, folder: Path | None = None) -> TableSpace:
    """Load a space by name.

    Parameters
    ----------
    name : str
        Of the space.
    folder : Path, optional
        A folder of tables, which may declare it; then the shipped ones.

    Returns
    -------
    TableSpace
        The space.

    Raises
    ------
    TableError
        If there is none of that name.
    """
    for place in _places(folder):
        if len(name) < 200 and (place / f"{name}.toml").is_file():
            return parse_space(toml.read(place / f"{name}.toml"), str(place / f"{name}.toml"))
    raise TableError(f"there is no table space {name[:200]!r}. {nearest(name, space_names(folder))}")


def parse_space(data: Document, source: str) -> TableSpace:
    """Read the space that a document declares.

    Parameters
    ----------
    data : mapping
        As `TableSpace.to_dict` writes it.
    source : str
        Named in errors.

    Returns
    -------
    TableSpace
        The space.

    Raises
    ------
    TableError
        If something is missing, or a gene waits for a later one.
    """
    try:
        genes = tuple(
            Gene(
                g["name"],
                tuple(g.get("values", ())),
                tuple(g.get("labels", ())),
                (g["when"]["gene"], tuple(g["when"]["values"])) if "when" in g else None,
                {name: tuple(values) for name, values in g.get("facts", {}).items()},
                g.get("stage", ""),
            )
            for g in data["gene"]
        )
        space = TableSpace(
            data["name"], genes, data.get("about", ""), data.get("source", ""), data.get("identifies", True)
        )
        _check_types(space)
    except (AttributeError, KeyError, TypeError) as error:
        raise TableError(f"{source}: a space needs 'name' and genes with 'name' and 'values' ({error}).") from None
    seen: set[str] = set()
    for gene in genes:
        for name, facts in gene.facts.items():
            right = len(facts) == len(gene.values) and all(type(v) in (int, float) and math.isfinite(v) for v in facts)
            if not right:
                raise TableError(f"{source}: {name!r} of gene {gene.name!r} must be one finite number a value.")
        if gene.name in seen or (gene.when is not None and gene.when[0] not in seen):
            raise TableError(f"{source}: gene {gene.name!r} is named twice, or waits for a gene that is not before it.")
        seen.add(gene.name)
    return space


def _check_types(space: TableSpace) -> None:
    """Raise TypeError where a document has other types than a space."""
    texts = [space.name, space.about, space.source]
    values: list[object] = []
    for gene in space.genes:
        texts += [gene.name, gene.stage, *gene.facts, *gene.labels, *([gene.when[0]] if gene.when else [])]
        values += [*gene.values, *(gene.when[1] if gene.when else ())]
    wrong = [t for t in texts if not isinstance(t, str)] + [v for v in values if not isinstance(v, int | float | str)]
    if wrong or not isinstance(space.identifies, bool):
        raise TypeError(f"{str(wrong[0] if wrong else space.identifies)[:60]!r} is of another type")
    if not all(math.isfinite(v) for v in values if isinstance(v, float)):
        raise TypeError("a value is not finite")


def _places(folder: Path | None) -> list[Path]:
    return [SHIPPED] if folder is None else [folder / "spaces", SHIPPED]


def _at(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    return np.flatnonzero(mask)


def _cell(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _shown(values: tuple[Value, ...]) -> str:
    return f"({', '.join(map(repr, values[:9]))}{', …' if len(values) > 9 else ''})" if values else "finite numbers"
