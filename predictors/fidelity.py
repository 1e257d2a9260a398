"""Predict a quantity from few measurements of it and more of cheaper ones that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from predictors._typing import FloatArray
from predictors.base import register
from predictors.errors import PredictorError
from predictors.gp import GaussianProcessPredictor
from predictors.rows import evenly, known_noise
from predictors.schema import FIDELITY, Blocks, Column, Schema

#: a cheaper quantity: architectures (n, columns), its values (n,), and their known deviations (n,) or None
Fidelity = Sequence[ArrayLike | None]
#: rows of a fidelity that its process is fitted on
LEARNT = 500
#: fewest measurements of a fidelity
LEAST = 4


@register
class FidelityPredictor(GaussianProcessPredictor):
    """Gaussian process with cheaper measurements of the same architectures, or of others, as columns.

    A cheaper quantity is the accuracy on few images or after few epochs, or that on other data. Each has a process of its own, which
    knows the cheaper ones before it. Its column is what was measured of an architecture, else the posterior mean; the posterior's
    variance is noise of the input, which widens the noise of a row of the fit, and intervals, by as much as predictions vary with
    it. Each fidelity has parts of its own in the kernel: the weight of one that is worthless goes to zero, see ``fidelities_``.

    Parameters
    ----------
    schema : Schema, optional
        What the columns of X say; default: each is a fact.
    fidelities : mapping of str to (X, y) or (X, y, noise)
        Cheaper quantities by name, the cheapest first; 4 measurements or more each.
    warp, noise, prior, interval_folds, seed
        As of `GaussianProcessPredictor`.

    Attributes
    ----------
    fidelities_ : dict of str to float
        Share of the variance that each fidelity explains.
    cheap_ : list of GaussianProcessPredictor
        The process of each.

    References
    ----------
    Kennedy and O'Hagan 2000, "Predicting the output from a complex computer code when fast approximations are available".
    Le Gratiet and Garnier 2014, "Recursive co-kriging model for design of computer experiments with multiple levels of fidelity".
    McHutchon and Rasmussen 2011, "Gaussian process training with input noise".

    Examples
    --------
    >>> X = np.linspace(0.0, 1.0, 40)[:, None]
    >>> y = np.sin(9.0 * X[:, 0])
    >>> model = FidelityPredictor(fidelities={"draft": (X, 2.0 * y + 1.0)}).fit(X[::8], y[::8])
    >>> bool(abs(model.predict(X) - y).mean() < 0.05)
    True
    """

    _learned: ClassVar[tuple[str, ...]] = (*GaussianProcessPredictor._learned, "cheap_", "own_noise_")

    cheap_: list[GaussianProcessPredictor]
    own_noise_: FloatArray

    def __init__(
        self,
        schema: Schema | None = None,
        fidelities: Mapping[str, Fidelity] | None = None,
        warp: Literal["auto", "plain", "log"] = "auto",
        noise: Literal["learned", "scaled", "given"] = "learned",
        prior: Mapping[str, float] | None = None,
        interval_folds: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__(schema, warp, noise, prior, interval_folds, seed)
        self.fidelities = fidelities

    @property
    def fidelities_(self) -> dict[str, float]:
        """Share of the variance that each fidelity explains."""
        parts = self.parts_
        names = {name: f"{FIDELITY} {name}" for name in self._given()}
        return {k: parts.get(part, 0.0) + parts.get(f"{part} curved", 0.0) for k, part in names.items()}

    def _learn(self, X: FloatArray, y: FloatArray, given: FloatArray) -> None:
        self._tables = self._checked_fidelities(X.shape[1])
        self.cheap_ = []
        for k, (rows, values, noise) in enumerate(self._tables.values()):
            some = evenly(values, LEARNT)
            columns, _ = self._columns(rows[some], k)
            model = GaussianProcessPredictor(self._extended(k), interval_folds=0, seed=self.seed)
            self.cheap_.append(model.fit(np.column_stack([rows[some], columns]), values[some], noise[some]))
        self.own_noise_ = given
        super()._learn(X, y, given)
        if self.cheap_:
            slope = np.exp(self._process.warp.log_slope(y)) / self.scale_
            uncertain = np.sqrt(self._input_variance(X)) / slope
            if uncertain.max() > 0:
                self.own_noise_ = self.noise_scale_ * given
                super()._learn(X, y, np.hypot(self.own_noise_, uncertain))
        self.notes_ += self._worthless()

    def _worthless(self) -> list[str]:
        return [
            f"Fidelity {name!r} explains nothing: it is left out." for name, s in self.fidelities_.items() if s < 0.01
        ]

    def _given(self) -> Mapping[str, Fidelity]:
        """Return the cheaper quantities by name."""
        return self.fidelities or {}

    def _added(self, name: str) -> Column:
        """Return the column of a cheaper quantity."""
        return Column(f"{FIDELITY} {name}", FIDELITY)

    def _restore(self) -> None:
        self._tables = self._checked_fidelities(self.n_features_in_)
        super()._restore()
        slope = np.exp(self._process.warp.log_slope(self.target_)) / self.scale_
        self._new = self.noise_ + float(np.median((self.noise_scale_ * self.own_noise_ * slope) ** 2))

    def _checked_fidelities(self, columns: int) -> dict[str, tuple[FloatArray, FloatArray, FloatArray]]:
        tables = {}
        for name, given in self._given().items():
            if not isinstance(given, list | tuple) or len(given) not in (2, 3):
                raise PredictorError(f"fidelity {name!r} is not (X, y) or (X, y, noise).")
            rows, y = (np.asarray(a, dtype=np.float64) for a in given[:2])
            if rows.ndim != 2 or rows.shape[1] != columns or y.shape != (len(rows),) or len(y) < LEAST:
                raise PredictorError(
                    f"fidelity {name!r} has shapes {rows.shape} and {y.shape}, but X has {columns} columns.",
                    hint=f"Give at least {LEAST} rows of the same columns, and a value for each.",
                )
            if not (np.isfinite(rows).all() and np.isfinite(y).all()):
                raise PredictorError(f"fidelity {name!r} has values that are not finite.", hint="Drop those rows.")
            noise = known_noise(cast("ArrayLike | None", given[2] if len(given) == 3 else None), len(y))
            tables[str(name)] = (rows, y, noise)
        return tables

    def _columns(self, X: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
        """Values (n, count) of the first fidelities, and their variances, 0 where they were measured."""
        values, variances = np.empty((len(X), count)), np.zeros((len(X), count))
        for k, (table, model) in enumerate(zip(list(self._tables.values())[:count], self.cheap_, strict=False)):
            known = {row.tobytes(): value for row, value in zip(table[0] + 0.0, table[1].tolist(), strict=True)}
            found = [known.get(row.tobytes()) for row in X + 0.0]
            new = np.array([v is None for v in found])
            values[:, k] = [0.0 if v is None else v for v in found]
            if new.any():
                mean, spread = model.predict(np.column_stack([X[new], values[new, :k]]), return_std=True)
                values[new, k], variances[new, k] = mean, spread**2
            values[:, k], variances[:, k] = self._shown(k, values[:, k], variances[:, k])
        return values, variances

    def _shown(self, k: int, values: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bring the values (n,) of a quantity and their variances to the scale of its column."""
        return values, variances

    def _extended(self, count: int) -> Schema:
        names = list(self._given())[:count]
        base = Schema.of_facts(self.n_features_in_) if self.schema is None else self.schema
        return Schema((*base.columns, *(self._added(name) for name in names)))

    def _schema(self) -> Schema:
        return self._extended(len(self._given()))

    def _blocks(self, X: FloatArray) -> Blocks:
        return self._schema().split(np.column_stack([X, self._columns(X, len(self.cheap_))[0]]))

    def _spread(self, X: FloatArray) -> FloatArray:
        return np.sqrt(super()._spread(X) ** 2 + self._input_variance(X))

    def _input_variance(self, X: FloatArray) -> FloatArray:
        """Standardised variance (m,) of predictions by that of the columns: half of what a deviation up and down changes, squared."""
        values, variances = self._columns(X, len(self.cheap_))
        out = np.zeros(len(X))
        schema, process = self._schema(), self._process
        for k in range(values.shape[1]):
            at = np.flatnonzero(variances[:, k] > 0)
            if not len(at):
                continue
            ends = []
            for sign in (1.0, -1.0):
                moved = values[at].copy()
                moved[:, k] += sign * np.sqrt(variances[at, k])
                features = process.kernel.features(schema.split(np.column_stack([X[at], moved])))
                ends.append(process.mean(features, process.kernel.curves(features, self._measured)))
            out[at] += ((ends[0] - ends[1]) / 2) ** 2
        return out
