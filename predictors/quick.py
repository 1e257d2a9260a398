"""Posterior means of very many rows: single precision, blocks that fit a cache, and no kernel that need not be computed."""

from __future__ import annotations

import numpy as np

from predictors._typing import FloatArray
from predictors.kernel_parts import Features
from predictors.posterior import CONSTANT, StructuredGaussianProcess

#: rows whose kernels are held at a time
ROWS = 256


class QuickMean:
    """Posterior mean of a process, for many rows; the same to some 1e-4 deviations.

    The part of pairs is a quadratic form, which needs no kernel. Squared distances are one matrix product, of which the distances of
    all parts on the same features follow; a kernel of a quarter of the scale is the fourth power of the other.

    Parameters
    ----------
    process : StructuredGaussianProcess
        In double precision.
    measured : dict
        Features of its rows, in single precision.
    """

    def __init__(self, process: StructuredGaussianProcess, measured: Features) -> None:
        self._constant = CONSTANT * float(process._alpha.sum())
        self._effects = {block: e.astype(np.float32) for block, e in process._effects.items()}
        self._blocks: dict[str, tuple[FloatArray, list[tuple[str, float, FloatArray]]]] = {}
        self._forms: list[tuple[str, FloatArray]] = []
        for weight, part in zip(process._curved, process.kernel.curved, strict=True):
            y, alpha = measured[part.block], (weight * process._alpha).astype(np.float32)
            if part.kind == "pairs":
                self._forms.append((part.block, np.asarray((y * alpha[:, None]).T @ y, dtype=np.float32)))
                continue
            norm = (y**2).sum(axis=1)[:, None]
            right: FloatArray = np.concatenate([-2.0 * y, np.ones_like(norm), norm], axis=1).T
            self._blocks.setdefault(part.block, (right, []))[1].append((part.kind, part.scale, alpha))
        for _, parts in self._blocks.values():
            parts.sort(key=lambda part: (part[0], -part[1]))

    def __call__(self, features: Features) -> FloatArray:
        """Compute the posterior mean.

        Parameters
        ----------
        features : dict
            Of k rows, in single precision.

        Returns
        -------
        ndarray (k,)
            Standardised, in double precision.
        """
        n = len(next(iter(features.values())))
        out = np.full(n, self._constant, dtype=np.float64)
        for block, effects in self._effects.items():
            out += features[block] @ effects
        for block, form in self._forms:
            out += np.einsum("ij,ij->i", features[block] @ form, features[block])
        for block, (right, parts) in self._blocks.items():
            x = features[block]
            left = np.concatenate([x, (x**2).sum(axis=1)[:, None], np.ones((n, 1), x.dtype)], axis=1)
            for start in range(0, n, ROWS):
                out[start : start + ROWS] += self._curved(left[start : start + ROWS] @ right, parts)
        return out

    @staticmethod
    def _curved(square: FloatArray, parts: list[tuple[str, float, FloatArray]]) -> FloatArray:
        """Sum the parts (k,) of squared distances (k, n)."""
        np.maximum(square, 0.0, out=square)
        total = np.zeros(len(square))
        last, kernel = 0.0, np.empty_like(square)
        for kind, scale, alpha in parts:  # rbf before rough, large scales before small ones
            if kind == "rbf" and last == 4.0 * scale:
                np.multiply(kernel, kernel, out=kernel)
                np.multiply(kernel, kernel, out=kernel)
            else:
                exponent = np.sqrt(square, out=kernel) if kind == "rough" else square
                np.multiply(exponent, kernel.dtype.type(-1.0 / scale), out=kernel)
                np.exp(kernel, out=kernel)
            last = scale if kind == "rbf" else 0.0
            total += kernel @ alpha
        return total
