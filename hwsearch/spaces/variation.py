"""Variation of architectures: mutation, crossover, neighbours, distance and projection."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import IntArray
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.encoding import EncodingMixin
from hwsearch.spaces.rows import distinct, smallest_integer


class VariationMixin(EncodingMixin):
    """Steps from architectures to others of the same space."""

    def mutate_array(self, rows: IntArray, rng: np.random.Generator, rate: float | None = None) -> IntArray:
        """Redraw each gene with a probability; at least one active gene changes.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Rows, canonical or not; the array is not changed.
        rng : numpy.random.Generator
            Source of randomness.
        rate : float, optional
            The probability of each gene; one over the number of genes by default.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Canonical rows. Genes that a mutation switches on get a uniform value.
        """
        return self._mutated(self.canonical(rows), rng, rate)

    def _mutated(self, rows: IntArray, rng: np.random.Generator, rate: float | None) -> IntArray:
        active, sizes = rows >= 0, self.sizes.astype(rows.dtype)
        changeable = active & (self.sizes > 1)
        chance = np.where(changeable, rng.random(rows.shape, dtype=np.float32), 2.0)
        flips = chance < (1.0 / rows.shape[1] if rate is None else rate)
        idle = np.flatnonzero(~flips.any(axis=1) & changeable.any(axis=1))
        flips[idle, np.argmin(chance[idle], axis=1)] = True
        # a new value of a gene that was off, or how far one that flips moves on
        drawn = _below(self.sizes - active, rng, rows.dtype)
        moved = rows + 1 + drawn
        moved = np.where(moved >= sizes, moved - sizes, moved)
        return self.conditions.canonical(np.where(active, np.where(flips, moved, rows), drawn))

    def mutate(self, arch: Architecture, rng: np.random.Generator, rate: float | None = None) -> Architecture:
        """Make an architecture that differs from another in at least one active gene.

        Parameters
        ----------
        arch : Architecture
            The architecture to start from.
        rng : numpy.random.Generator
            Source of randomness.
        rate : float, optional
            The probability with which each gene is redrawn; one over the number of genes by default.

        Returns
        -------
        Architecture
            The mutant; `arch` itself only if no active gene has a second value.
        """
        return self.from_array(self.mutate_array(self.to_array([arch]), rng, rate))[0]

    def crossover_array(self, a: IntArray, b: IntArray, rng: np.random.Generator) -> IntArray:
        """Cross rows uniformly: each gene comes from either parent with equal probability.

        A gene that is inactive in one parent is taken from the other.

        Parameters
        ----------
        a, b : ndarray of int, shape (n, genes)
            The parents, canonical or not; the arrays are not changed.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Canonical children. Genes inactive in both parents but active in the child get a uniform value.
        """
        return self._crossed(self.canonical(a), self.canonical(b), rng)

    def _crossed(self, a: IntArray, b: IntArray, rng: np.random.Generator) -> IntArray:
        child = np.where(rng.random(a.shape, dtype=np.float32) < 0.5, a, b)
        child = np.where(child < 0, np.maximum(a, b), child)
        drawn = _below(np.broadcast_to(self.sizes, a.shape), rng, child.dtype)
        return self.conditions.canonical(np.where(child < 0, drawn, child))

    def breed_array(
        self, a: IntArray, b: IntArray, rng: np.random.Generator, crossover: float = 1.0, rate: float | None = None
    ) -> IntArray:
        """Make a child of each pair of canonical rows: `crossover_array`, then `mutate_array`, in half of their time.

        Parameters
        ----------
        a, b : ndarray of int, shape (n, genes)
            The parents, canonical; the arrays are not changed.
        rng : numpy.random.Generator
            Source of randomness.
        crossover : float
            Probability that a child has two parents; otherwise it is a mutant of `a`.
        rate : float, optional
            The probability with which each gene is redrawn; one over the number of genes by default.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Canonical children.
        """
        small = smallest_integer(2 * int(self.sizes.max()))  # holds a sum of two indices
        a, b = a.astype(small), b.astype(small)
        crossed = self._crossed(a, b, rng)
        single = rng.random(len(a)) >= crossover
        crossed[single] = a[single]
        return self._mutated(crossed, rng, rate).astype(np.int64)

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """Cross two architectures uniformly; see `crossover_array`.

        Parameters
        ----------
        a, b : Architecture
            The parents.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        Architecture
            One child.
        """
        rows = self.to_array([a, b])
        return self.from_array(self.crossover_array(rows[:1], rows[1:], rng))[0]

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """List the architectures at distance 1: exactly one gene that is active in both differs.

        Where the change switches genes on, they take together their first, middle or last values.

        Parameters
        ----------
        arch : Architecture
            The architecture to start from.

        Returns
        -------
        list of Architecture
            The neighbours, each once.

        Examples
        --------
        >>> from hwsearch.spaces import Choice, SearchSpace
        >>> space = SearchSpace("toy", [Choice("depth", (1, 2)), Choice("width", (8, 16, 24))])
        >>> [dict(a) for a in space.neighbours(space.smallest())]
        [{'depth': 2, 'width': 8}, {'depth': 1, 'width': 16}, {'depth': 1, 'width': 24}]
        """
        return self.from_array(self.neighbours_array(self.to_array([arch])[0]))

    def neighbours_array(self, row: IntArray) -> IntArray:
        """List the rows at distance 1 from one row; see `neighbours`.

        Parameters
        ----------
        row : ndarray of int, shape (genes,)
            A canonical row.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Canonical rows, each once.
        """
        gene, value = self.columns
        real = (row[gene] >= 0) & (row[gene] != value)
        gene, value = gene[real], value[real]
        fills = np.stack([np.zeros_like(self.sizes), (self.sizes - 1) // 2, self.sizes - 1])
        new = np.tile(np.where(row < 0, fills, row), (len(gene), 1))
        new[np.arange(len(new)), np.repeat(gene, 3)] = np.repeat(value, 3)
        new = self.canonical(new)
        return distinct(new)

    def project(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """Find the rows of this space that are nearest to the given ones.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Rows of the product of all choices.
        rng : numpy.random.Generator
            Source of randomness for ties; unused unless only some combinations exist (see `TableSpace`).

        Returns
        -------
        ndarray of int, shape (n, genes)
            The canonical forms of the rows, since every combination of values exists here.
        """
        return self.canonical(rows)

    def distance(self, a: Architecture, b: Architecture) -> int:
        """Count the genes that are active in both architectures and differ.

        Parameters
        ----------
        a, b : Architecture
            Two architectures of this space.

        Returns
        -------
        int
            The number of genes; zero only for equal architectures.
        """
        x, y = self.to_array([a, b])
        return int(((x >= 0) & (y >= 0) & (x != y)).sum())


def _below(ends: IntArray, rng: np.random.Generator, dtype: np.dtype) -> IntArray:
    """Draw integers from 0 to ends - 1; 0 where an end is 0. Ends are below 2^22, so that none rounds up to its end."""
    return np.asarray((rng.random(ends.shape, dtype=np.float32) * ends.astype(np.float32)).astype(dtype))
