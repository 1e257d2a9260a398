"""Find the warp of a target, the weights of a kernel's parts, and the noise, for a predictor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from predictors._typing import FloatArray, IntArray
from predictors.kernel import Kernel
from predictors.posterior import StructuredGaussianProcess
from predictors.rows import evenly
from predictors.schema import Blocks
from predictors.warp import Warp

#: rows that weights and warp are found from, at most
LEARNT = 200
#: rows that warps are judged by, at most
JUDGED = 100
#: by how much a warp with a pole must predict better than one without, in log density: it is chosen among six
HANDICAP = 4.0


def find_weights(
    kernel: Kernel,
    blocks: Blocks,
    y: FloatArray,
    given: FloatArray,
    candidates: Sequence[Warp],
    centre: FloatArray,
    nugget: bool,
) -> tuple[StructuredGaussianProcess, FloatArray, IntArray]:
    """Find warp, weights and noise; the warp from fewer rows, since there are several.

    Parameters
    ----------
    kernel : Kernel
        Its parts.
    blocks : dict
        Blocks of the n rows, as `Schema.split` returns them.
    y, given : ndarray (n,)
        Values and their known standard deviations, 0 where unknown.
    candidates : sequence of Warp
        From which one is chosen.
    centre : ndarray (parts + 1,)
        Centre of the prior of the log weights and the log noise.
    nugget : bool
        Whether noise is learnt beside the known one.

    Returns
    -------
    process : StructuredGaussianProcess
        With warp, weights and noise; not conditioned.
    stack : ndarray (parts, k, k)
        Scaled kernels on the rows that weights were found from.
    some : ndarray of int (k,)
        Positions of these.
    """
    process = StructuredGaussianProcess(kernel)
    sets = [evenly(y, JUDGED), evenly(y, LEARNT)]
    for some in sets if len(sets[0]) < len(y) and len(candidates) > 1 else sets[1:]:
        features = kernel.features({name: block[some] for name, block in blocks.items()})
        stack = kernel.stack(features, features)
        judged, unit = np.ones(len(some), dtype=bool), float(abs(y[0])) or 1.0
        process.learn(stack, y, given, some, candidates, judged, centre, unit, nugget, HANDICAP)
        candidates = [process.warp]
    return process, stack, some
