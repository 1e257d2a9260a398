"""Costs of AttentiveNAS subnets, vectorised over architectures."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.base import with_logs
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig
from hwsearch.supernets.layers.naming import make_divisible_array


def _column(config: AttentiveNASConfig, space: SearchSpace, rows: IntArray, name: str) -> FloatArray:
    """Return the values (n,) of a choice, gene or fixed."""
    values = np.array(config.options()[name], dtype=np.float64)
    if len(values) == 1:
        return np.full(len(rows), values[0])
    return values[rows[:, space.names.index(name)]]


def network_costs(config: AttentiveNASConfig, space: SearchSpace, rows: IntArray) -> dict[str, FloatArray]:
    """Compute costs of many subnets at once.

    Parameters
    ----------
    config : AttentiveNASConfig
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
    of = lambda name: _column(config, space, rows, name)  # noqa: E731
    half = lambda n: -(-n // 2)  # noqa: E731
    size, inputs = half(of("r")), of("w[0]")
    macs, params, acts = 27 * inputs * size**2, 29 * inputs, inputs * size**2
    blocks = np.zeros(len(rows))
    stages = {k: [np.zeros(len(rows)) for _ in c.stages] for k in ("macs", "activations")}
    for _, s, j in c.positions():
        stage = c.stages[s]
        on, outputs, k2 = of(f"d[{s}]") > j, of(f"w[{s + 1}]"), of(f"ks[{s}]") ** 2
        middle = make_divisible_array(inputs * of(f"e[{s}]"))
        before = size
        if j == 0:
            size = -(-size // stage.stride)
        block_macs = middle * (k2 + outputs) * size**2
        block_params = middle * (k2 + outputs) + 2 * (middle + outputs)
        if max(stage.expansions) > 1:
            block_macs = block_macs + inputs * middle * before**2
            block_params = block_params + (inputs + 2) * middle
        if stage.se:
            squeeze = make_divisible_array(middle // 4)
            block_macs = block_macs + 2 * middle * squeeze
            block_params = block_params + 2 * middle * squeeze + middle + squeeze
        shortcut = np.where(inputs != outputs, inputs * outputs, 0)
        stages["macs"][s] += np.where(on, block_macs + shortcut * size**2, 0)
        stages["activations"][s] += np.where(on, middle * (before**2 + size**2) + outputs * size**2, 0)
        params = params + np.where(on, block_params + shortcut, 0)
        blocks += on
        inputs = np.where(on, outputs, inputs)
    wide, mix = inputs * c.head_expansion, of(f"w[{len(c.stages) + 1}]")
    macs = macs + sum(stages["macs"]) + inputs * wide * size**2 + wide * mix + mix * c.classes
    params = params + inputs * wide + 2 * wide + wide * mix + (mix + 1) * c.classes
    acts = acts + sum(stages["activations"]) + wide * size**2 + mix
    out = {f"{k}_stage{s}": v for k, values in stages.items() for s, v in enumerate(values)}
    return with_logs({"macs": macs, "params": params, "activations": acts, "blocks": blocks, **out})
