"""Costs of MobileNetV3 subnets, vectorised over architectures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config
from hwsearch.supernets.layers.naming import make_divisible


def middle_widths(inputs: int, expansions: Sequence[float]) -> FloatArray:
    """Compute the channels after the expansion.

    Parameters
    ----------
    inputs : int
        Input channels of the block.
    expansions : sequence of float
        Expansion factors.

    Returns
    -------
    ndarray
        Channels, of shape (expansions,).
    """
    return np.array([make_divisible(round(inputs * float(e)), 8) for e in expansions], dtype=np.float64)


def squeeze_widths(inputs: int, expansions: Sequence[float]) -> FloatArray:
    """Compute the channels inside the squeeze-and-excitation.

    Parameters
    ----------
    inputs : int
        Input channels of the block.
    expansions : sequence of float
        Expansion factors.

    Returns
    -------
    ndarray
        Channels, of shape (expansions,).
    """
    return np.array([make_divisible(int(m) // 4) for m in middle_widths(inputs, expansions)], dtype=np.float64)


def block_costs(config: MobileNetV3Config) -> dict[str, FloatArray]:
    """Tabulate the costs of every block at every resolution, kernel and expansion.

    Parameters
    ----------
    config : MobileNetV3Config
        Shape of the supernet.

    Returns
    -------
    dict
        ``macs``, ``params`` and ``activations``, each of shape (blocks, resolutions * kernels * expansions), with the
        blocks in the order of `MobileNetV3Config.positions`.
    """
    c = config
    side, kernel, expand = (
        grid.ravel() for grid in np.meshgrid(c.resolutions, c.kernels, range(len(c.expansions)), indexing="ij")
    )
    size = -(-side // c.stem_stride)
    k2, inputs = kernel**2, c.first_outputs
    out: dict[str, list[FloatArray]] = {"macs": [], "params": [], "activations": []}
    for s, stage in enumerate(c.stages):
        before = size
        size = -(-size // stage.stride)
        for j in range(max(c.stage_depths(s))):
            mid = middle_widths(inputs, c.expansions)[expand]
            grid_in = (before if j == 0 else size) ** 2
            macs = mid * inputs * grid_in + mid * k2 * size**2 + mid * stage.width * size**2
            weights = mid * inputs + mid * k2 + mid * stage.width + 2 * (2 * mid + stage.width)
            if stage.se:
                squeeze = squeeze_widths(inputs, c.expansions)[expand]
                macs = macs + 2 * mid * squeeze
                weights = weights + 2 * mid * squeeze + mid + squeeze
            out["macs"].append(macs)
            out["params"].append(weights)
            out["activations"].append(mid * (grid_in + size**2) + stage.width * size**2)
            inputs = stage.width
    return {name: np.array(columns) for name, columns in out.items()}


def network_costs(
    config: MobileNetV3Config, space: SearchSpace, table: dict[str, FloatArray], rows: IntArray
) -> dict[str, FloatArray]:
    """Compute costs of many subnets at once.

    Parameters
    ----------
    config : MobileNetV3Config
        Shape of the supernet.
    space : SearchSpace
        Its search space.
    table : dict
        Result of `block_costs`.
    rows : ndarray
        Architectures, of shape (n, genes), as in `SearchSpace.to_array`.

    Returns
    -------
    dict
        ``macs``, ``params``, ``activations`` and ``blocks``, and MACs and activations by stage; (n,) each.
    """
    c = config
    rows = space.canonical(rows)
    position = {n: i for i, n in enumerate(space.names)}
    places = [(s, s * c.max_depth + j) for s, j in c.positions()]
    kernel, expand = (rows[:, [position[f"{kind}[{i}]"] for _, i in places]] for kind in ("ks", "e"))
    resolution = rows[:, position["r"]]
    on = kernel >= 0
    entry = (resolution[:, None] * len(c.kernels) + kernel) * len(c.expansions) + expand
    entry = np.where(on, entry, 0) + np.arange(len(places)) * table["macs"].shape[1]
    stages = np.array([s for s, _ in places])[:, None] == np.arange(len(c.stages))
    by_stage = {name: np.where(on, part.ravel()[entry], 0.0) @ stages for name, part in table.items()}

    side = np.array(c.resolutions)[resolution]
    size = -(-side // c.stem_stride)
    stem, first = c.stem_width, c.first_outputs
    macs = ((27.0 + 9) * stem + stem * first) * size**2 + by_stage["macs"].sum(axis=1)
    params = (27.0 + 9 + 2 * 2) * stem + (stem + 2) * first + by_stage["params"].sum(axis=1)
    acts = (2.0 * stem + first) * size**2 + by_stage["activations"].sum(axis=1)
    for stage in c.stages:
        size = -(-size // stage.stride)
    inputs = c.stages[-1].width
    if c.final_width is None:
        macs = macs + inputs * c.mix_width * size**2
        params = params + (inputs + 2) * c.mix_width
        acts = acts + c.mix_width * size**2
    else:
        macs = macs + inputs * c.final_width * size**2 + c.final_width * c.mix_width
        params = params + (inputs + 2) * c.final_width + c.final_width * c.mix_width
        acts = acts + c.final_width * size**2 + c.mix_width
    macs = macs + c.mix_width * c.classes
    params = params + (c.mix_width + 1) * c.classes
    out = {"macs": macs, "params": params, "activations": acts, "blocks": on.sum(axis=1).astype(np.float64)}
    for s in range(len(c.stages)):
        out[f"macs_stage{s}"], out[f"activations_stage{s}"] = (by_stage[name][:, s] for name in ("macs", "activations"))
    return out
