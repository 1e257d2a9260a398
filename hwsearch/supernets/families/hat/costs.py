"""Costs of HAT subnets, vectorised over architectures."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.families.hat.config import HatConfig, memory_outputs


def attention_params(width: FloatArray, memory_width: FloatArray, qkv: int) -> FloatArray:
    """Count the parameters of an attention.

    Parameters
    ----------
    width : ndarray
        Width of the attending tokens, of shape (n,).
    memory_width : ndarray
        Width of the tokens attended to, of shape (n,).
    qkv : int
        Width of queries, of keys and of values.

    Returns
    -------
    ndarray
        Number of parameters, of shape (n,).
    """
    return 2 * width * qkv + 2 * memory_width * qkv + 3 * qkv + width


def ffn_params(width: FloatArray, ffn: FloatArray) -> FloatArray:
    """Count the parameters of a feed-forward network.

    Parameters
    ----------
    width : ndarray
        Width of a token, of shape (n,).
    ffn : ndarray
        Units, of shape (n,).

    Returns
    -------
    ndarray
        Number of parameters, of shape (n,).
    """
    return 2 * width * ffn + ffn + width


def network_costs(config: HatConfig, space: SearchSpace, rows: IntArray) -> dict[str, FloatArray]:
    """Compute costs of many subnets at once, for one sentence pair.

    Parameters
    ----------
    config : HatConfig
        Shape of the supernet, and lengths of the sentence pair.
    space : SearchSpace
        Its search space.
    rows : ndarray
        Architectures, of shape (n, genes), as in `SearchSpace.to_array`.

    Returns
    -------
    dict
        ``macs``, ``params``, ``activations`` and ``layers``, and MACs and activations by side; (n,) each.
    """
    c = config
    rows = space.canonical(rows)
    s, t, q, v = c.source_tokens, c.target_tokens, c.qkv, c.vocabulary

    def gene(name: str) -> FloatArray:
        i = space.names.index(name)
        return np.array(space.choices[i].values, dtype=np.float64)[rows[:, i]]

    e, d = gene("encoder.embed"), gene("decoder.embed")
    zero = np.zeros(len(rows))
    macs = {"encoder": zero, "decoder": zero, "cross": zero, "output": t * d * v}
    acts = {"encoder": zero, "decoder": zero, "output": np.full(len(rows), float(t * v))}
    params = v * (e + d)
    for i in range(c.encoder_layers):
        f, h = gene(f"encoder.ffn[{i}]"), gene(f"encoder.heads[{i}]")
        macs["encoder"] = macs["encoder"] + s * (4 * e * q + 2 * e * f) + 2 * s**2 * q
        acts["encoder"] = acts["encoder"] + s * (4 * q + 2 * e + f) + h * s**2
        params = params + attention_params(e, e, q) + ffn_params(e, f) + 4 * e
    for i in range(max(c.decoder_layers)):
        on = rows[:, space.names.index(f"decoder.ffn[{i}]")] >= 0
        f, h, x = (gene(f"decoder.{kind}[{i}]") for kind in ("ffn", "heads", "cross_heads"))
        m = s * np.array([memory_outputs(int(g)) for g in gene(f"decoder.memory[{i}]")], dtype=np.float64)
        cross = 2 * m * e * q + 2 * t * m * q + 2 * t * d * q
        own = t * (4 * d * q + 2 * d * f) + 2 * t**2 * q
        written = t * (6 * q + 3 * d + f) + h * t**2 + x * t * m + 2 * m * q
        weights = attention_params(d, d, q) + attention_params(d, e, q) + ffn_params(d, f) + 6 * d
        macs["cross"] = macs["cross"] + np.where(on, cross, 0)
        macs["decoder"] = macs["decoder"] + np.where(on, cross + own, 0)
        acts["decoder"] = acts["decoder"] + np.where(on, written, 0)
        params = params + np.where(on, weights, 0)
    return {
        "macs": macs["encoder"] + macs["decoder"] + macs["output"],
        "params": params,
        "activations": acts["encoder"] + acts["decoder"] + acts["output"],
        "layers": gene("decoder.layers"),
        **{f"macs_{k}": value for k, value in macs.items()},
        **{f"activations_{k}": value for k, value in acts.items()},
    }
