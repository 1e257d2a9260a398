"""The columns of a table: genes, their values, and when each is there. One TOML file a space, in ``spaces/``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_tables import toml
from latency_tables.errors import Fault, TableError, nearest

SHIPPED = Path(__file__).parent / "spaces"
Value = int | float | str


@dataclass(frozen=True)
class Gene:
    """One column. values : that it may hold, empty for any finite number; labels : what they mean.

    when : (an earlier gene, its values that switch this one on), None for always
    """

    name: str
    values: tuple[Value, ...] = ()
    labels: tuple[str, ...] = ()
    when: tuple[str, tuple[Value, ...]] | None = None

    @property
    def dtype(self) -> str:
        if any(isinstance(v, str) for v in self.values):
            return "string"
        return "Int64" if self.values and all(isinstance(v, int) for v in self.values) else "Float64"


@dataclass(frozen=True)
class TableSpace:
    """The genes of a table. identifies : whether equal genes mean the same network (not so for averages over layers)."""

    name: str
    genes: tuple[Gene, ...]
    about: str = ""
    source: str = ""
    identifies: bool = True

    @property
    def names(self) -> list[str]:
        return [g.name for g in self.genes]

    def to_dict(self) -> dict[str, Any]:
        head = {"name": self.name, "about": self.about, "source": self.source, "identifies": self.identifies}
        genes = []
        for g in self.genes:
            when = {"gene": g.when[0], "values": list(g.when[1])} if g.when else None
            genes.append({"name": g.name, "values": list(g.values), "labels": list(g.labels) or None, "when": when})
        return {**head, "gene": genes}

    # ------------------------------------------------------------------ frames
    def typed(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Fault]]:
        """The gene columns of `frame` in their types, and the cells that have no such type, which become empty."""
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
        """Each gene with the rows (n,) in which it is there."""
        on: dict[str, NDArray[np.bool_]] = {}
        for gene in self.genes:
            mask = np.ones(len(frame), dtype=bool)
            if gene.when is not None:
                parent, values = gene.when
                mask = on[parent] & frame[parent].isin(list(values)).fillna(False).to_numpy(dtype=bool)
            on[gene.name] = mask
            yield gene, mask

    def canonical(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A typed frame with the genes that are not there emptied."""
        frame = frame.copy()
        for gene, mask in self.active(frame):
            frame[gene.name] = frame[gene.name].mask(~mask)
        return frame

    def faults(self, frame: pd.DataFrame) -> list[Fault]:
        """What is wrong with a typed frame: values a gene does not have, empty ones, genes that should not be there."""
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
        """One architecture as a row. Raises `TableError` when its genes are not those of this space."""
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
    """Names of the spaces a folder of tables declares, and of the shipped ones."""
    return sorted({p.stem for place in _places(folder) for p in place.glob("*.toml")})


def load_space(name: str, folder: Path | None = None) -> TableSpace:
    """The space of that name, declared by a folder of tables or shipped. Raises `TableError`."""
    for place in _places(folder):
        if (place / f"{name}.toml").is_file():
            return parse_space(toml.read(place / f"{name}.toml"), str(place / f"{name}.toml"))
    raise TableError(f"there is no table space {name!r}. {nearest(name, space_names(folder))}")


def parse_space(data: Mapping[str, Any], source: str) -> TableSpace:
    """The space a document declares; `source` is named in errors."""
    try:
        genes = tuple(
            Gene(
                g["name"],
                tuple(g.get("values", ())),
                tuple(g.get("labels", ())),
                (g["when"]["gene"], tuple(g["when"]["values"])) if "when" in g else None,
            )
            for g in data["gene"]
        )
        space = TableSpace(
            data["name"], genes, data.get("about", ""), data.get("source", ""), data.get("identifies", True)
        )
    except (KeyError, TypeError) as error:
        raise TableError(f"{source}: a space needs 'name' and genes with 'name' and 'values' ({error}).") from None
    seen: set[str] = set()
    for gene in genes:
        if gene.name in seen or (gene.when is not None and gene.when[0] not in seen):
            raise TableError(f"{source}: gene {gene.name!r} is named twice, or waits for a gene that is not before it.")
        seen.add(gene.name)
    return space


def _places(folder: Path | None) -> list[Path]:
    return [SHIPPED] if folder is None else [folder / "spaces", SHIPPED]


def _at(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    return np.flatnonzero(mask)


def _cell(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _shown(values: tuple[Value, ...]) -> str:
    return f"({', '.join(map(repr, values[:9]))}{', …' if len(values) > 9 else ''})" if values else "finite numbers"
