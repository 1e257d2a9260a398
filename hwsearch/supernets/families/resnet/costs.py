"""Costs of ResNet-50-D subnets, vectorised over architectures."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.base import with_logs
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.layers.naming import make_divisible_array


def network_costs(config: ResNetConfig, space: SearchSpace, rows: IntArray) -> dict[str, FloatArray]:
    """Compute costs of many subnets at once.

    Parameters
    ----------
    config : ResNetConfig
        Shape of the supernet.
    space : SearchSpace
        Its search space.
    rows : ndarray
        Architectures, of shape (n, genes), as in `SearchSpace.to_array`.

    Returns
    -------
    dict
        ``macs``, ``params``, ``activations`` and ``blocks``, MACs and activations by stage, and logarithms of the
        first three; (n,) each.
    """
    c = config
    rows = space.canonical(rows)
    column = {n: rows[:, i] for i, n in enumerate(space.names)}
    of = lambda p: np.array([float(c.channels(p, m)) for m in c.multipliers_of(p)])[column[f"w[{p}]"]]  # noqa: E731
    expansion = np.array(c.expansions)
    half = lambda n: -(-n // 2)  # noqa: E731
    size = half(np.array(c.resolutions)[column["r"]])
    stem, wide, kept = of(0), of(1), column["d[0]"] > 0
    macs = (27 * stem + np.where(kept, 9 * stem**2, 0) + 9 * stem * wide) * size**2
    params = 27 * stem + np.where(kept, 9 * stem**2 + 2 * stem, 0) + 9 * stem * wide + 2 * (stem + wide)
    acts = (stem * (1 + kept) + wide) * size**2
    size = half(size)
    stages: dict[str, list[FloatArray]] = {k: [np.zeros(len(rows)) for _ in c.widths] for k in ("macs", "activations")}
    inputs, blocks = wide, np.zeros(len(rows))
    for i, s, j in c.positions():
        gene = column[f"e[{i}]"]
        on, outputs = gene >= 0, of(s + 2)
        middle = make_divisible_array(np.rint(outputs * expansion[gene]))
        before = size
        if j == 0 and c.strides[s] > 1:
            size = -(-size // c.strides[s])
        block_macs = inputs * middle * before**2 + (9 * middle**2 + middle * outputs) * size**2
        block_params = inputs * middle + 9 * middle**2 + middle * outputs + 2 * (2 * middle + outputs)
        if j == 0:
            block_macs = block_macs + inputs * outputs * size**2
            block_params = block_params + inputs * outputs + 2 * outputs
        stages["macs"][s] += np.where(on, block_macs, 0)
        stages["activations"][s] += np.where(on, middle * (before**2 + size**2) + outputs * size**2, 0)
        params = params + np.where(on, block_params, 0)
        blocks += on
        inputs = outputs
    out = {f"{k}_stage{s}": v for k, values in stages.items() for s, v in enumerate(values)}
    macs = macs + sum(stages["macs"]) + inputs * c.classes
    acts = acts + sum(stages["activations"])
    params = params + (inputs + 1) * c.classes
    return with_logs({"macs": macs, "params": params, "activations": acts, "blocks": blocks, **out})
