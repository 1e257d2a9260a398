"""Latencies of a new device from ten measurements, with what other devices are known to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from predictors._typing import BoolArray, FloatArray, IntArray
from predictors.errors import PredictorError
from predictors.gp import GaussianProcessPredictor
from predictors.hypotheses import Fitted, Hypotheses, Hypothesis, general
from predictors.kernel import Kernel
from predictors.kernel_parts import Features
from predictors.plan import a_optimal
from predictors.posterior import StructuredGaussianProcess
from predictors.rows import evenly, known_noise
from predictors.schema import SOURCE, Column, Schema
from predictors.sources import Source, check_latencies, checked_source, shares_of, weights_of
from predictors.warp import Warp

#: rows that the kernel is scaled on
REFERENCE = 300
#: up to so many measurements hypotheses alone predict; up to so many their mean with a process whose weights are found from them
ALONE, TOGETHER = 7, 30
#: measurements before hypotheses are weighed for the choice of the next one
WEIGHED = 3
#: rows predicted at a time
BLOCK = 2048


class DeviceTransferPredictor:
    """Latency predictor of a new device that is measured on few architectures, from many measurements on others.

    Each source device gives a column, its predicted log latency, and ways in which latencies may depend on genes, facts and
    these columns: as on that device, with the other devices' columns or without. Together with general ones they are
    hypotheses, weighted by the evidence of the new measurements with the scale integrated out; none is ever dropped, so a device
    like none of the sources is predicted as if there were none. Up to 7 measurements the hypotheses predict, up to 30 their mean
    with a Gaussian process whose weights are found from the measurements, above that the process.

    Parameters
    ----------
    schema : Schema
        What the columns say, without those of sources.
    sources : mapping of str to Source
        By name of the device; may be empty.

    Attributes
    ----------
    names : list of str
        Names of the sources.
    hypotheses_ : Hypotheses
        Those that are weighted.
    shares_ : dict of str to float
        After `fit`: name of a hypothesis to its probability.
    explained_ : float
        After `fit`: share of the variance that the sources are believed to explain.

    Raises
    ------
    PredictorError
        For a source with too few rows, other columns, or latencies that are not positive numbers.

    References
    ----------
    Lee, Lee, Kim, Hwang 2021, "HELP: hardware-adaptive efficient latency prediction for NAS via meta-learning" (arXiv
    2106.08630), and Akhauri, Abdelfattah 2024, "On latency predictors for neural architecture search" (arXiv 2403.02446), of the
    problem and its device splits. The method is neither's.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1.0, 2.0, (60, 2))
    >>> model = DeviceTransferPredictor(Schema.of_facts(2), {"old": Source(X, X[:, 0] + X[:, 1])})
    >>> chosen = model.plan(X, 5)
    >>> model = model.fit(X[chosen], 3.0 * (X[chosen, 0] + X[chosen, 1]))
    >>> model.predict([[1.5, 1.5]]).round(1).tolist()
    [9.0]
    """

    hypotheses_: Hypotheses
    shares_: dict[str, float]
    explained_: float

    def __init__(self, schema: Schema, sources: Mapping[str, Source]) -> None:
        self.schema = schema
        self.names = list(sources)
        self._sources = {name: checked_source(name, source, len(schema)) for name, source in sources.items()}
        self._models = {
            name: GaussianProcessPredictor(schema, warp="log", interval_folds=0).fit(*source)
            for name, source in self._sources.items()
        }
        columns = (Column(f"source {name}", SOURCE) for name in self.names)
        self._whole = Schema((*schema.columns, *columns)) if self.names else schema
        self._fitted: Fitted | None = None
        self._process: StructuredGaussianProcess | None = None
        self._kernel: Kernel | None = None
        if self.names:
            first = self._sources[self.names[0]].X
            self._scale_on(self._extended(first[evenly(self._sources[self.names[0]].y, REFERENCE)]))

    # ------------------------------------------------------------------ sources
    def _extended(self, X: FloatArray, without: str | None = None) -> FloatArray:
        """Add the predicted log latencies on the sources as columns."""
        columns = [np.log(model.predict(X)) for name, model in self._models.items() if name != without]
        return np.column_stack([X, *columns])

    def _scale_on(self, reference: FloatArray) -> None:
        """Make the kernel, scaled on some rows (k, columns and sources), and the hypotheses about it."""
        self._reference = reference
        self._kernel = Kernel(self._whole, self._whole.split(reference))
        names = self._kernel.names
        each: list[Hypothesis] = []
        for name, source in self._sources.items():
            alone, quiet = shares_of(self._models[name].parts_, names)
            others = [n for n in self.names if n != name]
            each.append(Hypothesis(f"as {name}, by itself", alone, quiet, 0.0))
            if others:
                schema = Schema((*self.schema.columns, *(Column(f"source {n}", SOURCE) for n in others)))
                with_others, noise = weights_of(schema, self._extended(source.X, without=name), source.y, names)
                share = float(sum(w for n, w in zip(names, with_others, strict=True) if _of_source(n)))
                each.append(Hypothesis(f"as {name} from the others", with_others, noise, share))
                mixed = (with_others + alone) / 2
                each.append(Hypothesis(f"half as {name} from the others", mixed, (noise + quiet) / 2, share / 2))
        of_sources, rest = [n for n in names if _of_source(n)], [n for n in names if not _of_source(n)]
        groups = {"all parts": rest}
        facts = [n for n in rest if n.startswith("fact")]
        if facts and len(facts) < len(rest):
            groups |= {"facts": facts, "facts and counts": [n for n in rest if n in facts or "counts" in n]}
        each += general(names, groups, of_sources)
        spreads = [float(np.log(s.y).var()) for s in self._sources.values()]
        self.hypotheses_ = Hypotheses(each, max(float(np.mean(spreads)), 1e-6) if spreads else 0.1)

    def with_sources(self, X: ArrayLike) -> FloatArray:
        """Add the predicted log latencies on the sources as columns: what is dear about a pool that is asked for often.

        Parameters
        ----------
        X : array-like (n, columns)
            Encoded architectures.

        Returns
        -------
        ndarray (n, columns and sources)
            For the methods whose names end in ``with_sources``.

        Raises
        ------
        PredictorError
            For other columns, and values that are not finite numbers.
        """
        return self._extended(self._checked(X))

    # ------------------------------------------------------------------ before anything is measured
    def zero_shot(self, X: ArrayLike) -> FloatArray:
        """Score architectures before anything is measured: the order of the sources, no latencies.

        The rank correlation with a new device is anything between .37 and .89 on public tables.

        Parameters
        ----------
        X : array-like (n, columns)
            Encoded architectures.

        Returns
        -------
        ndarray (n,)
            Mean of the sources' log latencies, each standardised over these rows; larger is slower.

        Raises
        ------
        PredictorError
            If there is no source.
        """
        if not self.names:
            raise PredictorError("there is no source to rank by.", hint="Measure some architectures first.")
        logs = self.with_sources(X)[:, len(self.schema) :].T
        spread = logs.std(axis=1, keepdims=True)
        return np.asarray(((logs - logs.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)).mean(axis=0))

    def plan(self, X: ArrayLike, n: int, measured: Mapping[int, float] | None = None) -> IntArray:
        """Choose what to measure next.

        Parameters
        ----------
        X : array-like (k, columns)
            The pool, some hundred encoded architectures.
        n : int
            How many, all at once. One at a time, with what has been measured so far, tells more.
        measured : mapping of int to float, optional
            Latencies by position in the pool; from the third on hypotheses count by their evidence.

        Returns
        -------
        ndarray of int (n,)
            Positions that have not been measured, the most telling first; see `predictors.plan.a_optimal`.

        Raises
        ------
        PredictorError
            If fewer are left, or a latency is not a positive number.
        """
        return self.plan_with_sources(self.with_sources(X), n, measured)

    def plan_with_sources(
        self,
        whole: FloatArray,
        n: int,
        measured: Mapping[int, float] | None = None,
        allowed: BoolArray | None = None,
    ) -> IntArray:
        """Do as `plan` does, on what `with_sources` gave.

        Parameters
        ----------
        whole : ndarray (k, columns and sources)
            The pool.
        n, measured
            As of `plan`.
        allowed : ndarray of bool (k,), optional
            Which may be chosen; default: all that have not been measured.

        Returns
        -------
        ndarray of int (n,)
            As of `plan`.
        """
        if self._kernel is None:
            self._scale_on(whole)
        kernel, hypotheses = self._ready()
        features = kernel.features(self._whole.split(whole))
        stack = kernel.stack(features, features)
        at = np.array(list(measured or {}), dtype=np.int64)
        free = np.ones(len(whole), dtype=bool) if allowed is None else allowed.copy()
        free[at] = False
        if not len(at):
            return a_optimal(hypotheses.joint(None, stack, None), hypotheses.mean_noise(None), n, free)
        y = np.array(list((measured or {}).values()), dtype=np.float64)
        check_latencies(y, "measured")
        t = np.log(y)
        found = hypotheses.fit(stack[:, at[:, None], at], t - t.mean(), np.zeros(len(at)))
        if len(at) < WEIGHED:
            found = found._replace(log_evidence=np.zeros(len(hypotheses)))
        return a_optimal(hypotheses.joint(found, stack, stack[:, :, at]), hypotheses.mean_noise(found), n, free)

    # ------------------------------------------------------------------ fit and predict
    def fit(self, X: ArrayLike, y: ArrayLike, noise: ArrayLike | None = None) -> Self:
        """Fit on the measurements of the new device.

        Parameters
        ----------
        X : array-like (n, columns)
            Encoded architectures; one is enough.
        y : array-like (n,)
            Their latencies.
        noise : array-like (n,), optional
            Known standard deviations of these, in the unit of y; 0 or NaN where unknown.

        Returns
        -------
        DeviceTransferPredictor
            Itself.

        Raises
        ------
        PredictorError
            For other columns, and latencies that are not positive numbers.
        """
        return self.fit_with_sources(self.with_sources(X), y, noise)

    def fit_with_sources(self, whole: FloatArray, y: ArrayLike, noise: ArrayLike | None = None) -> Self:
        """Do as `fit` does, on what `with_sources` gave.

        Parameters
        ----------
        whole : ndarray (n, columns and sources)
            Encoded architectures.
        y, noise : array-like (n,)
            As of `fit`.

        Returns
        -------
        DeviceTransferPredictor
            Itself.
        """
        features, latencies = whole, np.asarray(y, dtype=np.float64)
        if latencies.shape != (len(features),) or not len(features):
            raise PredictorError(
                f"y has shape {latencies.shape}, but X has {len(features)} rows.", hint="Give a latency a row."
            )
        check_latencies(latencies, "y")
        given = known_noise(noise, len(latencies)) / latencies
        if self._kernel is None:
            self._scale_on(features)
        kernel, hypotheses = self._ready()
        self._measured = kernel.features(self._whole.split(features))
        t = np.log(latencies)
        self._level, stack = float(t.mean()), kernel.stack(self._measured, self._measured)
        self._fitted = hypotheses.fit(stack, t - self._level, given**2)
        self._new = float(np.median(given) ** 2)
        shares = self._fitted.weights
        self.shares_ = {}
        for hypothesis, share in zip(hypotheses.each, shares.tolist(), strict=True):
            self.shares_[hypothesis.name] = self.shares_.get(hypothesis.name, 0.0) + share
        self.explained_ = float(sum(s * h.sources for s, h in zip(shares.tolist(), hypotheses.each, strict=True)))
        self._n, self._process = len(t), None
        if self._n > ALONE:
            process = StructuredGaussianProcess(kernel)
            rows = np.arange(self._n)
            process.learn(
                stack, latencies, given * latencies, rows, [Warp("log")], np.ones(self._n, dtype=bool), unit=1.0
            )
            matrix = process._matrix(stack, process.theta, process.known)
            process.condition(self._measured, matrix)
            self._process = process
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Predict latencies of the new device.

        Parameters
        ----------
        X : array-like (k, columns)
            Encoded architectures.

        Returns
        -------
        ndarray (k,)
            Medians, in the unit of the measurements.

        Raises
        ------
        PredictorError
            Before `fit`: sources rank (`zero_shot`), they do not tell latencies.
        """
        return self.predict_with_sources(self.with_sources(X))

    def predict_with_sources(self, whole: FloatArray) -> FloatArray:
        """Do as `predict` does, on what `with_sources` gave.

        Parameters
        ----------
        whole : ndarray (k, columns and sources)
            Encoded architectures.

        Returns
        -------
        ndarray (k,)
            As of `predict`.
        """
        return np.asarray(np.exp(self._posterior(whole)[0]))

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Predict intervals meant to hold a new measurement with probability `coverage`.

        Parameters
        ----------
        X : array-like (k, columns)
            Encoded architectures.
        coverage : float
            In (0, 1).

        Returns
        -------
        lower, upper : ndarray (k,)
            In the unit of the measurements.

        Raises
        ------
        PredictorError
            Before `fit`, and for a coverage that is not in (0, 1).
        """
        return self.predict_interval_with_sources(self.with_sources(X), coverage)

    def predict_interval_with_sources(self, whole: FloatArray, coverage: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Do as `predict_interval` does, on what `with_sources` gave.

        Parameters
        ----------
        whole : ndarray (k, columns and sources)
            Encoded architectures.
        coverage : float
            In (0, 1).

        Returns
        -------
        lower, upper : ndarray (k,)
            As of `predict_interval`.
        """
        if not 0.0 < coverage < 1.0:
            raise PredictorError(f"coverage must be in (0, 1), got {coverage!r}.", hint="Use a share such as 0.9.")
        mean, variance, freedom = self._posterior(whole)
        half = float(stats.t.ppf(0.5 + coverage / 2, freedom)) * np.sqrt(variance)
        return np.exp(mean - half), np.exp(mean + half)

    def explain(self) -> str:
        """Say what was trusted.

        Returns
        -------
        str
            A clause: which source the predictions are most like, and how much all sources explain.

        Raises
        ------
        PredictorError
            Before `fit`.
        """
        self._done()
        if not self.names:
            return f"no other device is known; {self._n} measurements speak for themselves"
        own, first = self.predict_with_sources(self._reference), len(self.schema)
        alike = {
            name: float(stats.spearmanr(own, self._reference[:, first + k])[0]) for k, name in enumerate(self.names)
        }
        best = max(alike, key=lambda name: -np.inf if np.isnan(alike[name]) else alike[name])
        return (
            f"most like {best} (rank correlation {alike[best]:.2f}); other devices explain "
            f"{100 * self.explained_:.0f} % of the variance"
        )

    # ------------------------------------------------------------------ inside
    def _posterior(self, X: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Mean and variance (k,), (k,) of the log of a new measurement, and degrees of freedom."""
        fitted = self._done()
        kernel, hypotheses = self._ready()
        means, variances = [], []
        for start in range(0, len(X), BLOCK):
            features = kernel.features(self._whole.split(X[start : start + BLOCK]))
            curves = kernel.curves(features, self._measured)
            mean, variance = self._mixed(hypotheses, fitted, kernel, features)
            if self._process is not None:
                t = self._process.mean(features, curves)
                own = self._process.center + self._process.scale * t
                spread = (self._process.variance(features, curves) + self._process.noise) * self._process.scale**2
                if self._n > TOGETHER:
                    mean, variance = own, spread
                else:
                    variance = (variance + spread) / 2 + (mean - own) ** 2 / 4
                    mean = (mean + own) / 2
            means.append(mean)
            variances.append(variance + self._new)
        return np.concatenate(means), np.concatenate(variances), fitted.freedom

    def _mixed(
        self, hypotheses: Hypotheses, fitted: Fitted, kernel: Kernel, features: Features
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the mixture of all hypotheses, noise included."""
        cross, own = kernel.stack(features, self._measured), kernel.own(features)
        mean, variance = hypotheses.predict(fitted, cross, own)
        variance = variance + (hypotheses.noise * fitted.scale)[:, None]
        shares = fitted.weights
        centre = shares @ mean
        return self._level + centre, shares @ (variance + (mean - centre) ** 2)

    def _ready(self) -> tuple[Kernel, Hypotheses]:
        assert self._kernel is not None
        return self._kernel, self.hypotheses_

    def _done(self) -> Fitted:
        if self._fitted is None:
            raise PredictorError(
                "nothing has been measured on the new device.",
                hint="Sources tell an order (zero_shot) but no latencies: measure what plan names, then fit.",
            )
        return self._fitted

    def _checked(self, X: ArrayLike) -> FloatArray:
        features = np.asarray(X, dtype=np.float64)
        if features.ndim != 2 or features.shape[1] != len(self.schema):
            raise PredictorError(
                f"X has shape {features.shape}; the schema has {len(self.schema)} columns.",
                hint="Give the columns that the schema names, in its order.",
            )
        if not np.isfinite(features).all():
            raise PredictorError("X has values that are not finite numbers.", hint="Drop these rows.")
        return features


def _of_source(part: str) -> bool:
    return part.startswith("source")
