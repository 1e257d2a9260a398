"""Posterior of several objectives: one structured Gaussian process each, on shared features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy

import numpy as np

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective, signs
from hwsearch.searchers.bayesian.fidelity import Beliefs
from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.searchers.evolutionary.evolution import leading
from hwsearch.searchers.options import RowFunction
from predictors.curved import CurvedSums
from predictors.kernel_parts import Features, covariance_root
from predictors.posterior import StructuredGaussianProcess

#: curved parts with a smaller share of the variance are left out where many are predicted
SHARE = 1e-3
#: the quantile of the deviations of rows that counts as the largest one
WIDE = 0.9


class EncodedRows:
    """Architectures with their features and their curved kernels with what was measured, computed once.

    Parameters
    ----------
    posterior : MultiObjectivePosterior
        Whose kernel, precision and measured rows are used.
    rows : ndarray (k, genes)
        Canonical rows.
    features : dict, optional
        Their features, where these have been computed.

    Attributes
    ----------
    rows : ndarray (k, genes)
        The architectures.
    features : dict
        Block name to features (k, columns).
    curves : ndarray (curved parts, k, measured)
        Curved kernels with all measured rows, not scaled; of a view for predictions of many, sums of them (k, measured), one
        an objective, None of an exact one.
    """

    curves: FloatArray | list[FloatArray | None]

    def __init__(self, posterior: MultiObjectivePosterior, rows: IntArray, features: Features | None = None) -> None:
        self.rows = rows
        self.features = posterior.kernel.row_features(rows, posterior.precision) if features is None else features
        if posterior.sums is not None:
            self.curves = posterior.sums(self.features)
        else:
            self.curves = posterior.kernel.curves(self.features, posterior.measured)

    def some(self, at: IntArray) -> EncodedRows:
        """Select some of the rows, without computing anything anew.

        Parameters
        ----------
        at : ndarray of int (n,)
            Their positions.

        Returns
        -------
        EncodedRows
        """
        out = copy(self)
        out.rows = self.rows[at]
        if isinstance(self.curves, list):
            out.curves = [None if sums is None else sums[at] for sums in self.curves]
        else:
            out.curves = self.curves[:, at]
        out.features = {name: block[at] for name, block in self.features.items()}
        return out

    def with_measured(self, objective: int, there: IntArray) -> FloatArray:
        """Select the curved kernels with some of the measured rows.

        Parameters
        ----------
        objective : int
            Whose process they are for.
        there : ndarray of int (n,)
            Positions of measured rows, ascending.

        Returns
        -------
        ndarray (curved parts, k, n) or (k, n)
            As `StructuredGaussianProcess.mean` takes them.
        """
        if isinstance(self.curves, list):
            sums = self.curves[objective]
            assert sums is not None
            return sums if len(there) == sums.shape[1] else sums[:, there]
        return self.curves if len(there) == self.curves.shape[2] else self.curves[:, :, there]


class MultiObjectivePosterior:
    """One Gaussian-process posterior an objective, as costs (smaller is better), over shared features.

    Where more than `most` measurements are complete, the best are learnt from: by non-domination rank, then crowding.
    Up to twice as many incomplete ones, the last told, condition the posterior as well; weights of the kernel are never
    found from more than `most` rows.

    Parameters
    ----------
    kernel : SpaceKernel
        Features and kernel parts.
    objectives : sequence of Objective
        The m objectives.
    exact : mapping of str to callable
        Objective name to a function of rows; these are computed and have no deviation.
    most : int
        Complete measurements that are learnt from, at most.

    Attributes
    ----------
    precision : type
        Floating-point type of the features.
    measured : dict
        Features of the rows learnt from.
    sums : CurvedSums or None
        Of a view for predictions of many.

    Raises
    ------
    SearchError
        If `exact` names what is not an objective.
    """

    def __init__(
        self, kernel: SpaceKernel, objectives: Sequence[Objective], exact: Mapping[str, RowFunction], most: int
    ) -> None:
        names = [o.name for o in objectives]
        for name in exact:
            if name not in names:
                raise SearchError(f"'exact' names {name!r}, which is not an objective.", hint=nearest(name, names))
        self.kernel = kernel
        self.precision: type[np.floating] = np.float64
        self.measured: Features = {}
        self.sums: CurvedSums | None = None
        self._sign = signs(objectives)
        self._exact = [exact.get(o.name) for o in objectives]
        self._most = most
        self._models: list[tuple[StructuredGaussianProcess, IntArray] | None] = []
        self._widest: list[float] = []

    def fit(
        self,
        rows: IntArray,
        values: FloatArray,
        noise: FloatArray,
        violation: FloatArray,
        starts: Sequence[Mapping[str, FloatArray]] | None = None,
    ) -> None:
        """Fit a process to each objective that is not exact.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Measured architectures.
        values : ndarray (n, m)
            In natural units; NaN where a measurement failed.
        noise : ndarray (n, m)
            Standard deviations of the values; NaN where unknown.
        violation : ndarray (n,)
            Violations of the limits, for choosing the best of many.
        starts : sequence of mapping, optional
            `found` of an earlier fit, from which the kernels' weights are sought.
        """
        costs = values * self._sign
        lacking = np.asarray(np.isnan(costs).any(axis=1))
        kept, parts = np.flatnonzero(~lacking), np.flatnonzero(lacking & ~np.isnan(costs).all(axis=1))
        if len(kept) > self._most:
            kept = kept[leading(costs[kept], violation[kept], self._most)]
        kept = np.sort(np.concatenate([kept, parts[-2 * self._most :]]))
        self.measured = self.kernel.row_features(rows[kept])
        stack = self.kernel.stack(self.measured, self.measured)
        self._models = []
        for j, exact in enumerate(self._exact):
            if exact is not None:
                self._models.append(None)
                continue
            there = np.flatnonzero(~np.isnan(costs[kept, j]))
            process = StructuredGaussianProcess(self.kernel)
            features = {name: block[there] for name, block in self.measured.items()}
            known = np.nan_to_num(noise[kept[there], j])
            process.fit(
                features,
                stack[np.ix_(np.arange(len(stack)), there, there)],
                costs[kept[there], j],
                known,
                self._learnt(lacking[kept[there]]),
                starts[j] if starts else None,
            )
            self._models.append((process, there))
        self.sums = CurvedSums(self.kernel, self.measured, self._curved_weights())

    def _curved_weights(self) -> list[FloatArray | None]:
        """Return the weights of each process's curved parts, not scaled."""
        return [None if model is None else model[0].curved_weights for model in self._models]

    @property
    def found(self) -> list[dict[str, FloatArray]]:
        """Log weights that the last fit found, a mapping an objective; empty ones of exact objectives."""
        return [{} if model is None else model[0].found for model in self._models]

    def _learnt(self, lacking: BoolArray) -> IntArray | None:
        """Choose the positions of at most `most` rows to find weights from: the complete ones, and of the others evenly; None: all."""
        if len(lacking) <= self._most:
            return None
        whole, parts = np.flatnonzero(~lacking), np.flatnonzero(lacking)
        room = self._most - len(whole)
        return np.sort(np.concatenate([whole, parts[np.linspace(0, len(parts) - 1, room).astype(np.int64)]]))

    def single_precision(self) -> MultiObjectivePosterior:
        """Make a view for predictions of many: single precision, and without curved parts of no account.

        Returns
        -------
        MultiObjectivePosterior
            Nearly the same posterior; it cannot be fitted. Curved parts that have less than `SHARE` of the variance of
            every objective are left out, and the measurements conditioned on anew.
        """
        kept = np.zeros(len(self.kernel.names), dtype=bool)
        kept[: len(self.kernel.linear)] = True
        for process, _ in filter(None, self._models):
            kept |= process.weights >= SHARE * (process.weights.sum() + process.noise)
        out = copy(self)
        out.precision = np.float32
        out.kernel = self.kernel.select(kept)
        out._models = [
            None if model is None else (model[0].without(out.kernel, kept, self.measured, model[1]), model[1])
            for model in self._models
        ]
        out.measured = {name: block.astype(np.float32) for name, block in self.measured.items()}
        out.sums = CurvedSums(out.kernel, out.measured, out._curved_weights())
        out._widest = [0.0] * len(self._models)
        return out

    def _columns(
        self, rows: IntArray, fill: Callable[[int, StructuredGaussianProcess, IntArray], FloatArray]
    ) -> FloatArray:
        """Collect costs (k, m), or (draws, k, m): exact ones computed, others by `fill` of its number, process and measured rows."""
        columns = []
        for j, (exact, model) in enumerate(zip(self._exact, self._models, strict=True)):
            if model is None:
                assert exact is not None
                columns.append(np.asarray(exact(rows), dtype=np.float64) * self._sign[j])
            else:
                columns.append(fill(j, *model))
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    # ------------------------------------------------------------------ predictions
    def mean(self, rows: EncodedRows) -> FloatArray:
        """Predict costs by the posterior mean of the warped quantity, warped back (a median).

        Parameters
        ----------
        rows : EncodedRows
            The k architectures.

        Returns
        -------
        ndarray (k, m)
            Costs, smaller is better.
        """
        return self._columns(
            rows.rows, lambda j, p, there: p.natural(p.mean(rows.features, rows.with_measured(j, there)))
        )

    def bound(self, rows: EncodedRows, deviations: float | FloatArray) -> FloatArray:
        """Predict costs that lie some posterior deviations above the mean.

        Parameters
        ----------
        rows : EncodedRows
            The k architectures.
        deviations : float or ndarray (m,)
            How many; negative ones give optimistic (lower) bounds.

        Returns
        -------
        ndarray (k, m)
            Costs, smaller is better.
        """
        steps = dict(enumerate(np.broadcast_to(deviations, len(self._models)).tolist()))
        return self._columns(
            rows.rows, lambda j, p, there: p.natural(p.bound(rows.features, rows.with_measured(j, there), steps[j]))
        )

    def bound_where(
        self, rows: EncodedRows, deviations: float, promising: Callable[[FloatArray], BoolArray]
    ) -> FloatArray:
        """Predict costs as `bound` does, but only of rows that might come to something.

        A deviation costs several times as much as a mean. That of a row is computed only where its mean, moved by a
        large deviation, is promising; the others have their mean. Large is what 90 % of the rows of any call had at most.

        Parameters
        ----------
        rows : EncodedRows
            The k architectures.
        deviations : float
            How many; negative ones give optimistic (lower) bounds.
        promising : callable
            Costs (k, m) that rows have at best to which of them (k,) are worth a look.

        Returns
        -------
        ndarray (k, m)
            Costs, smaller is better.
        """
        means: list[FloatArray] = []

        def at_best(j: int, p: StructuredGaussianProcess, there: IntArray) -> FloatArray:
            means.append(p.mean(rows.features, rows.with_measured(j, there)))
            return p.natural(means[-1] + deviations * self._widest[j])

        known = all(w > 0.0 for w, model in zip(self._widest, self._models, strict=True) if model is not None)
        at = np.flatnonzero(promising(self._columns(rows.rows, at_best))) if known else np.arange(len(rows.rows))
        some = rows if len(at) == len(rows.rows) else rows.some(at)
        left = iter(means)

        def fill(j: int, p: StructuredGaussianProcess, there: IntArray) -> FloatArray:
            mean = next(left, None)
            if mean is None:
                mean = p.mean(rows.features, rows.with_measured(j, there))
            if len(at):
                deviation = np.sqrt(p.variance(some.features, some.with_measured(j, there)))
                self._widest[j] = max(self._widest[j], float(np.quantile(deviation, WIDE)))
                mean[at] += deviations * deviation
            return p.natural(mean)

        return self._columns(rows.rows, fill)

    def samples(self, rows: IntArray, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw joint posterior samples.

        Parameters
        ----------
        rows : ndarray (k, genes)
            Canonical rows.
        count : int
            How many samples.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray (count, k, m)
            Costs of the noiseless function, joint over rows, independent over objectives.
        """
        every = EncodedRows(self, rows)
        own = self._own(every)

        def fill(j: int, p: StructuredGaussianProcess, there: IntArray) -> FloatArray:
            mean, covariance = p.joint(every.features, every.with_measured(j, there), own[j])
            return p.natural(mean + rng.standard_normal((count, len(rows))) @ covariance_root(covariance).T)

        return self._columns(rows, fill)

    def _own(self, rows: EncodedRows) -> list[FloatArray | None]:
        """Sum the curved kernels of rows with each other, (k, k) a process."""
        return CurvedSums(self.kernel, rows.features, self._curved_weights())(rows.features)

    def beliefs(self, rows: EncodedRows) -> Beliefs:
        """Compute the joint posterior, standardised.

        Parameters
        ----------
        rows : EncodedRows
            The k architectures.

        Returns
        -------
        Beliefs
            Of the noiseless function; the mean of an objective that is computed is its cost.
        """
        models, own = self._models, self._own(rows)
        parts = [
            None if m is None else m[0].joint(rows.features, rows.with_measured(j, m[1]), own[j])
            for j, m in enumerate(models)
        ]
        mean = self._columns(rows.rows, lambda j, p, there: parts[j][0])  # type: ignore[index]

        def natural(t: FloatArray) -> FloatArray:
            columns = [t[..., j] if m is None else m[0].natural(t[..., j]) for j, m in enumerate(models)]
            return np.stack(columns, axis=-1)

        nugget = np.array([0.0 if m is None else m[0].noise for m in models])
        return Beliefs(mean, [None if p is None else p[1] for p in parts], nugget, natural)
