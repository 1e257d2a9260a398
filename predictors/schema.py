"""Schema of a feature matrix: what each column says, so that a kernel can be made of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from predictors._typing import FloatArray
from predictors.errors import PredictorError

Value = int | float | str
#: a feature matrix, cut into arrays (n, columns) by block; those of genes are boolean
Blocks = dict[str, NDArray[np.generic]]

#: blocks of columns: the one-hot genes; what is known without measuring; times of operators; predictions of other devices or
#: campaigns; cheaper measurements of the same quantity; what describes the device
GENE, FACT, OPERATOR, SOURCE, FIDELITY, DEVICE = BLOCKS = (
    "gene", "fact", "operator", "source", "fidelity", "device",
)  # fmt: skip
#: columns of a schema, at most
MOST_COLUMNS = 100_000
_NUMBERED = re.compile(r"(.*)\[(\d+)\]")
_FIELDS = ("name", "block", "kind", "place", "value", "ordinal", "optional")


@dataclass(frozen=True)
class Column:
    """One column of a feature matrix.

    Attributes
    ----------
    name : str
        Such as ``ks[3]=5`` for a value of a gene, ``macs`` for a fact.
    block : str
        One of `BLOCKS`.
    kind : str
        Genes of one kind have values that mean the same: ``ks`` of ``ks[3]=5``. Operators of one kind have parts of a kernel of their own:
        their sum, and the shares of classes. Empty in other blocks.
    place : int
        Of the gene among those of its kind: 3 of ``ks[3]=5``.
    value : int, float, str or None
        Of the gene; None in other blocks.
    ordinal : bool
        Whether the order of the gene's values means size.
    optional : bool
        Whether the gene may be off, all its columns zero.
    """

    name: str
    block: str = FACT
    kind: str = ""
    place: int = 0
    value: Value | None = None
    ordinal: bool = False
    optional: bool = False

    @property
    def gene(self) -> str:
        """Name of the gene: ``ks[3]`` of ``ks[3]=5``; of other blocks that of the column."""
        return self.name.removesuffix(f"={self.value}") if self.block == GENE else self.name


@dataclass(frozen=True, repr=False)
class Schema:
    """Columns of a feature matrix and their meaning, in their order.

    Attributes
    ----------
    columns : tuple of Column
        The values of a gene stand side by side; otherwise blocks may be mixed.

    Raises
    ------
    PredictorError
        For a schema without columns, names that occur twice, unknown blocks, and values of a gene that are apart.

    Examples
    --------
    >>> schema = Schema.from_names(["ks[0]=3", "ks[0]=5", "ks[1]=3", "ks[1]=5", "macs"])
    >>> schema
    Schema(4 gene, 1 fact)
    >>> schema.columns[3].kind, schema.columns[3].place, schema.columns[3].value
    ('ks', 1, 5)
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.columns) <= MOST_COLUMNS:
            raise PredictorError(f"a schema has 1 to {MOST_COLUMNS} columns, not {len(self.columns)}.")
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PredictorError(f"column {twice!r} stands twice in the schema.", hint="Give each its own name.")
        for column in self.columns:
            if column.block not in BLOCKS:
                raise PredictorError(
                    f"column {column.name!r} is of the block {column.block!r}.", hint=f"Use one of {', '.join(BLOCKS)}."
                )
        genes = [column.gene for column in self.columns if column.block == GENE]
        starts = [gene for gene, before in zip(genes, [None, *genes], strict=False) if gene != before]
        if len(set(starts)) != len(starts):
            apart = next(gene for gene in starts if starts.count(gene) > 1)
            raise PredictorError(f"the values of gene {apart!r} do not stand side by side.", hint="Sort the columns.")

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        counts = {block: sum(c.block == block for c in self.columns) for block in BLOCKS}
        return f"Schema({', '.join(f'{n} {block}' for block, n in counts.items() if n)})"

    # ------------------------------------------------------------------ made of names, facts, JSON
    @classmethod
    def of_facts(cls, count: int, names: Iterable[str] | None = None) -> Schema:
        """Make a schema in which every column is a fact.

        Parameters
        ----------
        count : int
            How many columns.
        names : iterable of str, optional
            Theirs; default: x0, x1, …

        Returns
        -------
        Schema
            The schema.
        """
        return cls(tuple(Column(name) for name in (names or (f"x{i}" for i in range(count)))))

    @classmethod
    def from_names(cls, names: Sequence[str]) -> Schema:
        """Read a schema from the names of columns: ``ks[3]=5`` is a value of a gene, what has no ``=`` is a fact.

        Genes whose values are all numbers are ordinal. Whether a gene may be off is not known from names, so each may.

        Parameters
        ----------
        names : sequence of str
            As `hwsearch.supernets.Supernet.features_array` returns them.

        Returns
        -------
        Schema
            The schema.

        Raises
        ------
        PredictorError
            As of `Schema`.
        """
        values: dict[str, list[Value]] = {}
        for name in names:
            gene, sign, text = str(name).partition("=")
            if sign:
                values.setdefault(gene, []).append(_value(text))
        columns = []
        for name in map(str, names):
            gene, sign, text = name.partition("=")
            if not sign:
                columns.append(Column(name))
                continue
            kind, place = kind_and_place(gene, tuple(values[gene]))
            ordinal = all(not isinstance(v, str) for v in values[gene])
            columns.append(Column(name, GENE, kind, place, _value(text), ordinal, optional=True))
        return cls(tuple(columns))

    @classmethod
    def from_dict(cls, data: object) -> Schema:
        """Read a schema that `to_dict` wrote.

        Parameters
        ----------
        data : object
            What was read; checked.

        Returns
        -------
        Schema
            The schema.

        Raises
        ------
        PredictorError
            If it is not as `to_dict` writes it.
        """
        rows = data.get("columns") if isinstance(data, Mapping) else None
        if not isinstance(rows, list) or len(rows) > MOST_COLUMNS:
            raise PredictorError("a schema is an object with a list of 'columns'.", hint="Make it with Schema.to_json.")
        return cls(tuple(_column(row) for row in rows))

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Read a schema from JSON.

        Parameters
        ----------
        text : str
            As `to_json` writes it.

        Returns
        -------
        Schema
            The schema.

        Raises
        ------
        PredictorError
            If it is something else.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise PredictorError(f"the schema is not JSON: {error}.") from error
        return cls.from_dict(data)

    def to_dict(self) -> dict[str, list[dict[str, object]]]:
        """Describe the schema by values that JSON knows.

        Returns
        -------
        dict
            ``columns``, each with those of its attributes that are not the default.
        """
        default = asdict(Column(""))
        return {"columns": [{k: v for k, v in asdict(c).items() if v != default[k]} for c in self.columns]}

    def to_json(self) -> str:
        """Describe the schema as JSON text, always the same for equal schemas.

        Returns
        -------
        str
            The text.
        """
        return json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of `to_json`, in hexadecimal: equal for equal columns in equal order."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    # ------------------------------------------------------------------ what stands where
    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]

    @cached_property
    def genes(self) -> list[tuple[Column, ...]]:
        """The columns of each gene, in order."""
        found: dict[str, list[Column]] = {}
        for column in self.columns:
            if column.block == GENE:
                found.setdefault(column.gene, []).append(column)
        return [tuple(columns) for columns in found.values()]

    @cached_property
    def _places(self) -> dict[str, NDArray[np.int64] | slice]:
        """Where the columns of each block that occurs stand; a slice where they stand side by side."""
        found: dict[str, NDArray[np.int64] | slice] = {}
        for block in BLOCKS:
            at = np.flatnonzero([column.block == block for column in self.columns])
            if len(at):
                together = at[-1] - at[0] + 1 == len(at)
                found[block] = slice(int(at[0]), int(at[-1]) + 1) if together else at
        return found

    def split(self, X: FloatArray) -> Blocks:
        """Cut a feature matrix into blocks.

        Parameters
        ----------
        X : ndarray (n, columns)
            Features.

        Returns
        -------
        dict
            Block name to its columns (n, k), for blocks that occur; genes as booleans.

        Raises
        ------
        PredictorError
            For another number of columns, and values of genes that are neither 0 nor 1.
        """
        if X.ndim != 2 or X.shape[1] != len(self.columns):
            raise PredictorError(
                f"the schema has {len(self.columns)} columns, but X has shape {X.shape}.",
                hint="Give the columns that the schema names, in its order.",
            )
        blocks: Blocks = {block: X[:, at] for block, at in self._places.items()}
        if GENE in blocks:
            genes = blocks[GENE]
            hot = genes != 0
            wrong = np.argwhere(genes != hot)
            if len(wrong):
                row, column = wrong[0]
                name = [c.name for c in self.columns if c.block == GENE][int(column)]
                raise PredictorError(
                    f"column {name!r} is a value of a gene and must be 0 or 1, but row {row} has {genes[row, column]:g}.",
                    hint="Encode genes one-hot, or give a schema in which the column is a fact.",
                )
            blocks[GENE] = hot
        return blocks


def kind_and_place(gene: str, values: tuple[Value, ...]) -> tuple[str, int]:
    """Tell the kind of a gene and its place among those of the kind.

    Parameters
    ----------
    gene : str
        Its name: ``ks[3]`` is of the kind ``ks`` at place 3.
    values : tuple
        Its values: genes without a number are of one kind where they have the same values.

    Returns
    -------
    kind : str
        The kind.
    place : int
        0 for genes without a number.

    Examples
    --------
    >>> kind_and_place("ks[3]", (3, 5)), kind_and_place("depth", (1, 2))
    (('ks', 3), ('(1, 2)', 0))
    """
    match = _NUMBERED.fullmatch(gene)
    return (match[1], int(match[2])) if match else (repr(values), 0)


def _value(text: str) -> Value:
    """Read a value of a gene: a whole number, a finite number, or text."""
    for convert in (int, float):
        try:
            value = convert(text)
        except ValueError:
            continue
        if str(value) == text:  # so that the name can be made of it again
            return value
    return text


def _column(row: object) -> Column:
    types: dict[str, type | tuple[type, ...]] = {"name": str, "block": str, "kind": str, "place": int}
    types |= {"value": (int, float, str, type(None)), "ordinal": bool, "optional": bool}
    if not isinstance(row, Mapping) or "name" not in row or not set(row) <= set(_FIELDS):
        raise PredictorError(f"{str(row)[:80]} is no column of a schema.", hint=f"A column has {', '.join(_FIELDS)}.")
    for name, value in row.items():
        wrong = isinstance(value, bool) and types[name] is not bool
        if wrong or not isinstance(value, types[name]):
            raise PredictorError(f"{name!r} of column {str(row['name'])[:60]!r} is {str(value)[:60]!r}.")
    return Column(**row)
