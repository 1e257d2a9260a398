"""A training strategy: which subnets one step trains, on what, and how their gradients combine."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor

from hwsearch.supernets.base import Supernet


class Strategy(Protocol):
    """One step of supernet training; leaves the summed gradients in the parameters."""

    def step(
        self, supernet: Supernet, x_NCHW: Tensor, y_N: Tensor, progress: float, rng: np.random.Generator
    ) -> dict[str, float]:
        """Forward and backward for one batch.

        x_NCHW : float32, normalised, at the largest resolution; y_N : int64 labels
        progress : share of all steps already done, 0 … 1
        Returns named losses for the log.
        """
        ...
