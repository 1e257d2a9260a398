"""Random weights that can be made again anywhere from names and a seed: what golden numbers are computed with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def seeded_weights(own: Mapping[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Draw well-conditioned values in the place of every tensor of a state dict, each from `seed` and its name alone.

    Weights are normal with variance 1 over the fan-in, matrices of a kernel's side orthogonal up to noise, norms near 1
    with statistics near (0, 1), biases small: nothing keeps an initial value that would hide a wrong slice, and signals
    neither die nor explode. Integers and single numbers stay. Numbers are drawn as float64 by NumPy's PCG64, then rounded.

    Parameters
    ----------
    own : mapping of str to Tensor
        The state dict; it is not changed.
    seed : int
        Another seed gives other weights.

    Returns
    -------
    dict of str to Tensor
        New tensors of the same names, shapes and types.
    """
    state = {}
    for name, value in own.items():
        rng = np.random.default_rng([seed, *name.encode()])
        shape = tuple(value.shape)
        if not shape or not value.is_floating_point():
            state[name] = value.clone()
            continue
        if name.endswith("running_var"):
            drawn = rng.uniform(0.7, 1.4, shape)
        elif name.endswith("running_mean"):
            drawn = rng.normal(0.0, 0.1, shape)
        elif len(shape) > 1:
            drawn = rng.normal(0.0, 1.0, shape) / np.sqrt(np.prod(shape[1:]))
        elif name.endswith("weight"):
            drawn = rng.uniform(0.7, 1.4, shape)
        else:
            drawn = rng.normal(0.0, 0.1, shape)
        state[name] = torch.from_numpy(np.asarray(drawn)).to(value.dtype)
    return state
