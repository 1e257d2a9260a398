"""Kernel of a Gaussian process as a sum of parts that the schema of the features suggests: genes, places, counts, slots, facts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from itertools import combinations
from typing import Self

import numpy as np

from predictors._typing import BoolArray, FloatArray, IntArray
from predictors.kernel_parts import Curved, Features, Linear, inverse, membership, root, rows_of
from predictors.schema import BLOCKS, DEVICE, FACT, FIDELITY, GENE, OPERATOR, Blocks, Schema

#: effects of genes of one kind that are this many places apart are correlated by 1/e
REACH = 2.0
#: scales of the kernels that decay with the share of genes that differ
SCALES = {"near": 0.5, "far": 2.0}
#: pairs of values that slots may have together; with more there are no parts of slots, whose maps are square matrices of them
MOST_SLOTS = 5000
#: settings of a device between which effects vary
MOST_SETTINGS = 8


class Kernel:
    """The features of a schema's blocks and the parts of a kernel on them.

    Genes named ``ks[0]``, ``ks[1]``, … are of one kind, at places 0, 1, …; others of one kind have the same values.
    Genes of two kinds at one place make a slot. Each block of other columns has a linear part and a curved one, and so have each
    column of fidelities and each kind of columns of operators. With columns of the device's
    settings, effects of facts and values of genes have parts that vary with these.

    Parameters
    ----------
    schema : Schema
        What the columns say.
    sample : dict
        Blocks of n rows, by which features are centred and parts brought to unit variance.

    Attributes
    ----------
    schema : Schema
        As given.
    linear : list of Linear
        Parts that vary over the sample.
    curved : list of Curved
        Parts that vary over the sample.
    scale : dict
        Part name to the factor that brings the part to unit variance over the sample.

    Examples
    --------
    >>> schema = Schema.from_names([f"w[{i}]={v}" for i in range(3) for v in (1, 2)])
    >>> X = np.array([[1, 0, 1, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 1, 0, 1, 1, 0]])
    >>> Kernel(schema, schema.split(X)).names[:3]
    ['values', 'trends', 'counts']
    """

    def __init__(self, schema: Schema, sample: Blocks) -> None:
        self.schema = schema
        self._facts: dict[str, tuple[str, slice | IntArray]] = {}
        for block in BLOCKS:
            if block == FIDELITY and block in sample:  # each has a weight of its own, since one may be worthless
                names = [column.name for column in schema.columns if column.block == block]
                titles = [name if name.startswith(f"{block} ") else f"{block} {name}" for name in names]
                self._facts |= {title: (block, slice(k, k + 1)) for k, title in enumerate(titles)}
            elif (
                block == OPERATOR and block in sample
            ):  # the sum explains most and has a weight apart from those of classes
                kinds = [column.kind for column in schema.columns if column.block == block]
                for kind in dict.fromkeys(kinds):
                    at = np.flatnonzero([k == kind for k in kinds])
                    self._facts[f"{block} {kind}".strip()] = (block, at)
            elif block != GENE and block in sample:
                self._facts[block] = (block, slice(None))
        self._genes = len(schema.genes)
        self.linear: list[Linear] = []
        self.curved: list[Curved] = []
        self._slots = np.empty((2, 0), dtype=np.int64)
        self._counts = np.empty((0, 0))
        if self._genes:
            self._index()
            self.linear = self._gene_parts() + self._slot_parts()
            self.curved = [
                Curved("genes near", "genes", "rbf", SCALES["near"]),
                Curved("genes far", "genes", "rbf", SCALES["far"]),
                Curved("genes rough", "genes", "rough"),
                Curved("pairs", "genes", "pairs"),
            ]
            if self._counts.shape[1] < self._counts.shape[0]:
                self.curved.append(Curved("counts curved", "counts", "rbf", 0.1))
        raw = self._raw(sample)
        self._centre = {name: block.mean(axis=0) for name, block in raw.items()}
        self._spread = {}
        for name in self._facts:
            spread = raw[name].std(axis=0)
            self._spread[name] = np.where(spread > 1e-9 * (1 + np.abs(self._centre[name])), spread, np.inf)
            self.linear.append(Linear(name, name, np.eye(raw[name].shape[1])))
            self.curved.append(Curved(f"{name} curved", name, "rbf", 2.0))
        self._settings = np.empty((0, 0))
        if DEVICE in raw:
            self._cross(raw[DEVICE])
        self.scale: dict[str, float] = {}
        self._normalise(self.features(sample))

    # ------------------------------------------------------------------ construction
    def _index(self) -> None:
        genes = self.schema.genes
        self._sizes = np.array([len(columns) for columns in genes], dtype=np.int64)
        self._gene = np.repeat(np.arange(len(genes)), self._sizes)
        self._value = np.concatenate([np.arange(size) for size in self._sizes])
        self._gene_kind = [columns[0].kind for columns in genes]
        self._gene_place = np.array([columns[0].place for columns in genes])
        pairs = zip(self._gene.tolist(), self._value.tolist(), strict=True)
        self._counts = membership([(self._gene_kind[g], v) for g, v in pairs])

    def _gene_parts(self) -> list[Linear]:
        """List the effects of each value of each gene: free, alike at near places, the same at all; and of being switched on."""
        gene, value, sizes = self._gene, self._value, self._sizes
        columns, genes = len(gene), len(sizes)
        parts = [Linear("values", "values", np.eye(columns))]
        on = np.zeros((columns, genes))
        on[np.arange(columns), gene] = 1.0
        if any(columns[0].optional for columns in self.schema.genes):
            parts.append(Linear("switched on", "values", on))
        trend = on * ((value + 1) / sizes[gene])[:, None]
        trend[:, [not columns[0].ordinal for columns in self.schema.genes]] = 0.0
        if trend.any():
            parts.append(Linear("trends", "values", trend))
        if self._counts.shape[1] < columns:
            parts.append(Linear("counts", "values", self._counts))
            distance = np.abs(self._gene_place[:, None] - self._gene_place)
            if distance.any():
                kinds = np.array(self._gene_kind)
                near = root((kinds[:, None] == kinds) * np.exp(-distance / REACH))
                alike = (self._counts @ self._counts.T) * np.exp(-distance[np.ix_(gene, gene)] / REACH)
                parts.append(Linear("values alike", "values", root(alike)))
                if trend.any():
                    parts.append(Linear("trends alike", "values", trend @ near))
        return parts

    def _slot_parts(self) -> list[Linear]:
        """List the effects of the pairs of values of two genes in one slot: free, alike at near places, the same at all."""
        by_kind: dict[str, dict[int, int]] = {}
        for g, (kind, place) in enumerate(zip(self._gene_kind, self._gene_place.tolist(), strict=True)):
            by_kind.setdefault(kind, {})[place] = g
        slots: list[tuple[str, int, int, int, int, int]] = []
        for one, two in combinations(by_kind, 2):
            a, b = by_kind[one], by_kind[two]
            if len(a) > 1 and set(a) == set(b):
                slots += [
                    (f"{one} {two}", place, a[place], b[place], i, j)
                    for place in sorted(a)
                    for i in range(self._sizes[a[place]])
                    for j in range(self._sizes[b[place]])
                ]
        if len(slots) > MOST_SLOTS:
            slots = []
        # the two columns of the one-hot encoding
        genes, values = np.array([slot[2:] for slot in slots], dtype=np.int64).reshape(-1, 2, 2).transpose(1, 2, 0)
        self._slots = np.concatenate([[0], np.cumsum(self._sizes)])[genes] + values
        if not slots:
            return []
        counts = membership([(slot[0], slot[4], slot[5]) for slot in slots])
        place = np.array([slot[1] for slot in slots])
        alike = (counts @ counts.T) * np.exp(-np.abs(place[:, None] - place) / REACH)
        return [
            Linear("slots", "slots", np.eye(len(slots))),
            Linear("slots alike", "slots", root(alike)),
            Linear("slot counts", "slots", counts),
        ]

    def _cross(self, device: FloatArray) -> None:
        """Let effects of facts and of values of genes vary with the device's settings, alike at near ones: a product of kernels."""
        scaled = (device - self._centre[DEVICE]) / self._spread[DEVICE]
        self._settings = np.unique(scaled, axis=0)[:MOST_SETTINGS]
        count = len(self._settings)
        if FACT in self._facts:
            facts = len(self._centre[FACT])
            self.linear.append(Linear("device fact", "device fact", np.eye(facts * count)))
        if self._genes:
            self.linear.append(Linear("device values", "device values", np.eye(len(self._gene) * count)))
            if self._counts.shape[1] < self._counts.shape[0]:
                both: FloatArray = np.kron(self._counts, np.eye(count)).astype(np.float64)
                self.linear.append(Linear("device counts", "device values", both))

    def _normalise(self, features: Features) -> None:
        """Scale each part so that its functions vary by 1 over the sample; drop parts that do not vary."""
        for part in self.linear:
            z = features[part.block] @ part.map
            self.scale[part.name] = inverse(float((z**2).sum(axis=1).mean() - (z.mean(axis=0) ** 2).sum()))
        for curved, matrix in zip(self.curved, self.curves(features, features), strict=True):
            self.scale[curved.name] = inverse(float(np.trace(matrix) / len(matrix) - matrix.mean()))
        self.linear = [part for part in self.linear if self.scale[part.name]]
        self.curved = [part for part in self.curved if self.scale[part.name]]

    @property
    def names(self) -> list[str]:
        """Names of the parts, linear ones first."""
        return [part.name for part in self.linear] + [part.name for part in self.curved]

    # ------------------------------------------------------------------ features
    def _raw(self, blocks: Blocks, precision: type[np.floating] = np.float64) -> Features:
        out: Features = {}
        if self._genes:
            onehot = np.asarray(blocks[GENE], dtype=np.bool_)
            out["values"] = onehot.astype(precision)
            if self._slots.size:
                one, two = self._slots
                out["slots"] = (onehot[:, one] & onehot[:, two]).astype(precision)
        for name, (block, columns) in self._facts.items():
            out[name] = np.asarray(blocks[block][:, columns], dtype=np.float64)
        return out

    def features(self, blocks: Blocks, precision: type[np.floating] = np.float64) -> Features:
        """Compute the features of rows.

        Parameters
        ----------
        blocks : dict
            Blocks of n rows, as `Schema.split` returns them.
        precision : type
            Floating-point type of the features.

        Returns
        -------
        dict
            Block name to features (n, columns): centred ``values``, ``slots``, ``fact``, ``source``, …; ``genes`` and
            ``counts``.
        """
        out = self._raw(blocks, precision)
        if self._genes:
            genes = math.sqrt(self._genes)
            out["genes"] = out["values"] * precision(1.0 / genes)
            out["counts"] = out["values"] @ (self._counts / genes**2).astype(precision)
            out["values"] = out["values"] - self._centre["values"].astype(precision)
            if "slots" in out:
                out["slots"] -= self._centre["slots"].astype(precision)
        for name in self._facts:
            scaled = (out[name] - self._centre[name]) / self._spread[name] / math.sqrt(out[name].shape[1])
            out[name] = scaled.astype(precision)
        if len(self._settings):
            device = out[DEVICE] * math.sqrt(out[DEVICE].shape[1])
            for name in (FACT, "values"):
                if name in out:
                    both = out[name][:, :, None] * self._near(device)[:, None, :]
                    out[f"device {name}"] = both.reshape(len(both), -1)
        return out

    def _near(self, device: FloatArray) -> FloatArray:
        """Compute (n, settings) whose inner products are an rbf kernel of settings: exact at those of the sample (Nyström)."""
        known = self._settings.astype(device.dtype)
        values, vectors = np.linalg.eigh(np.exp(-0.5 * ((known[:, None] - known) ** 2).sum(axis=2)))
        kernel = np.exp(-0.5 * ((device[:, None] - known) ** 2).sum(axis=2))
        return np.asarray(kernel @ (vectors / np.sqrt(np.maximum(values, 1e-6))))

    # ------------------------------------------------------------------ kernels
    @staticmethod
    def _products(a: Features, b: Features, block: str) -> tuple[FloatArray, FloatArray]:
        """Compute (inner products, squared distances), (n, k) each, of a block of two sets of features."""
        x, y = a[block], b[block]
        inner = x @ y.T
        square = inner * inner.dtype.type(-2.0)
        square += (x**2).sum(axis=1)[:, None]
        square += (y**2).sum(axis=1)
        return inner, np.maximum(square, 0.0, out=square)

    @staticmethod
    def _curve(part: Curved, inner: FloatArray, square: FloatArray, out: FloatArray) -> None:
        """Compute a curved part's kernel (n, k), not scaled."""
        if part.kind == "pairs":
            np.multiply(inner, inner, out=out)
            return
        exponent = np.sqrt(square, out=out) if part.kind == "rough" else square
        np.multiply(exponent, out.dtype.type(-1.0 / part.scale), out=out)
        np.exp(out, out=out)

    def curves(self, a: Features, b: Features) -> FloatArray:
        """Compute the curved kernels.

        Parameters
        ----------
        a, b : dict
            Features of n and of k rows.

        Returns
        -------
        ndarray (curved parts, n, k)
            Not scaled.
        """
        shared = {block: self._products(a, b, block) for block in {part.block for part in self.curved}}
        out = np.empty((len(self.curved), rows_of(a), rows_of(b)), dtype=next(iter(a.values())).dtype)
        for part, kernel in zip(self.curved, out, strict=True):
            self._curve(part, *shared[part.block], kernel)
        return out

    def stack(self, a: Features, b: Features) -> FloatArray:
        """Compute the scaled kernels of all parts.

        Parameters
        ----------
        a, b : dict
            Features of n and of k rows.

        Returns
        -------
        ndarray (parts, n, k)
            In the order of `names`.
        """
        return np.array(list(self._kernels(a, b))).reshape(-1, rows_of(a), rows_of(b))

    def average(self, features: Features) -> FloatArray:
        """Average the parts' scaled kernels.

        Parameters
        ----------
        features : dict
            Features of n rows.

        Returns
        -------
        ndarray (n, n)
        """
        total = np.zeros((rows_of(features),) * 2)
        for kernel in self._kernels(features, features):
            total += kernel
        return total / len(self.names)

    def weighted(self, weights: FloatArray, a: Features, b: Features) -> FloatArray:
        """Sum the parts' scaled kernels with weights, without holding all of them at a time.

        Parameters
        ----------
        weights : ndarray (parts,)
            In the order of `names`.
        a, b : dict
            Features of n and of k rows.

        Returns
        -------
        ndarray (n, k)
        """
        total = np.zeros((rows_of(a), rows_of(b)))
        for weight, kernel in zip(weights, self._kernels(a, b), strict=True):
            total += weight * kernel
        return total

    def select(self, kept: BoolArray) -> Self:
        """Leave out parts.

        Parameters
        ----------
        kept : ndarray of bool (parts,)
            Which to keep, in the order of `names`.

        Returns
        -------
        Kernel
            With these parts, whose features lack blocks that none of them needs.
        """
        out = copy(self)
        out.linear = [part for part, keep in zip(self.linear, kept, strict=False) if keep]
        out.curved = [part for part, keep in zip(self.curved, kept[len(self.linear) :], strict=True) if keep]
        if not any(part.block == "slots" for part in out.linear):
            out._slots = np.empty((2, 0), dtype=np.int64)
        return out

    def with_curved(self, places: Sequence[int]) -> Self:
        """Keep some of the curved parts alone.

        Parameters
        ----------
        places : sequence of int
            Their places among `curved`.

        Returns
        -------
        Kernel
            For `curves` and `shared_curves`.
        """
        out = copy(self)
        out.curved = [self.curved[k] for k in places]
        return out

    def shared_curves(self, genes: int) -> FloatArray:
        """Compute the curved kernels on one-hot genes by how many genes two rows share, and by how many they do not.

        Parameters
        ----------
        genes : int
            All genes.

        Returns
        -------
        ndarray (curved parts, genes + 1, 2 genes + 1)
            Not scaled.
        """
        inner, square = np.meshgrid(np.arange(genes + 1) / genes, np.arange(2 * genes + 1) / genes, indexing="ij")
        out = np.empty((len(self.curved), *inner.shape))
        for part, kernel in zip(self.curved, out, strict=True):
            self._curve(part, inner, square, kernel)
        return out

    def _kernels(self, a: Features, b: Features) -> Iterator[FloatArray]:
        for part in self.linear:
            yield self.scale[part.name] * (a[part.block] @ part.map) @ (b[part.block] @ part.map).T
        for curved, curve in zip(self.curved, self.curves(a, b), strict=True):
            yield self.scale[curved.name] * curve

    def own(self, features: Features) -> FloatArray:
        """Compute the scaled kernels of each row with itself.

        Parameters
        ----------
        features : dict
            Features of n rows.

        Returns
        -------
        ndarray (parts, n)
            In the order of `names`: the diagonals of `stack`.
        """
        linear = [self.scale[p.name] * ((features[p.block] @ p.map) ** 2).sum(axis=1) for p in self.linear]
        curved = [self.scale[p.name] * own for p, own in zip(self.curved, self.own_curves(features), strict=True)]
        return np.array([*linear, *curved])

    def own_curves(self, features: Features) -> FloatArray:
        """Compute the curved kernels of each row with itself.

        Parameters
        ----------
        features : dict
            Features of n rows.

        Returns
        -------
        ndarray (curved parts, n)
            Not scaled.
        """
        out = np.empty((len(self.curved), rows_of(features)), dtype=next(iter(features.values())).dtype)
        for own, part in zip(out, self.curved, strict=True):
            own[:] = (features[part.block] ** 2).sum(axis=1) ** 2 if part.kind == "pairs" else 1.0
        return out
