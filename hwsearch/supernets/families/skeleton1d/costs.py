"""Costs of skeleton-1d subnets, vectorised over architectures."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.base import with_logs
from hwsearch.supernets.families.skeleton1d.config import BRANCHES, Skeleton1DConfig, subsets
from hwsearch.supernets.layers.naming import make_divisible


def network_costs(config: Skeleton1DConfig, space: SearchSpace, rows: IntArray) -> dict[str, FloatArray]:
    """Compute costs of many subnets at once.

    Parameters
    ----------
    config : Skeleton1DConfig
        Shape of the supernet.
    space : SearchSpace
        Its search space.
    rows : ndarray
        Architectures, of shape (n, genes), as in `SearchSpace.to_array`.

    Returns
    -------
    dict
        ``macs``, ``params`` and ``activations`` with their logarithms, number of ``branches_on`` and of 1-D ``convolutions``, and MACs
        of each branch; (n,) each.
    """
    c = config
    rows = space.canonical(rows)
    column = {n: rows[:, i] for i, n in enumerate(space.names)}
    on = np.array([[view in s.split("+") for view in BRANCHES] for s in subsets()])[column["branches"]]
    channels = [c.channels(share) for share in c.widths]
    zeros = np.zeros(len(rows))
    out = {"macs": zeros, "params": zeros, "activations": zeros, "convolutions": zeros}
    parts: dict[str, FloatArray] = {}
    for i, view in enumerate(BRANCHES):
        blocks, kernel = np.array(c.blocks)[column[f"d[{i}]"]], np.array(c.kernels)[column[f"ks[{i}]"]]
        w = np.array(channels, np.float64)[column[f"w[{i}]"]]
        middle = np.array([make_divisible(n // 4) for n in channels], np.float64)[column[f"w[{i}]"]]
        nets = c.nets(view)
        macs, params, acts = len(nets) * w * c.classes, (len(nets) * w + 1) * c.classes, zeros
        for inputs, length in nets:
            weights = (inputs * w + 2 * blocks * w**2) * kernel
            macs, params = macs + weights * length, params + weights + 2 * w * (1 + 2 * blocks)
            acts = acts + w * (1 + 2 * blocks) * length
            if view == "attention":
                macs = macs + 2 * blocks * w * middle + w * length
                params = params + blocks * (2 * w * middle + w + middle) + w + 1
        parts[f"macs_{view}"] = np.where(on[:, i], macs, 0.0)
        found = {"macs": macs, "params": params, "activations": acts, "convolutions": len(nets) * (1 + 2 * blocks)}
        out = {name: value + np.where(on[:, i], found[name], 0.0) for name, value in out.items()}
    return with_logs({**out, "branches_on": on.sum(1).astype(np.float64), **parts})
