"""Grow a trained supernet into a wider one."""

from __future__ import annotations

from pathlib import Path

import torch

from hwsearch._files import check_no_input, check_place, overwriting
from hwsearch._json import JsonObject
from hwsearch.errors import OutputError
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import WEIGHTS, digest, save_weights
from hwsearch.supernets.growing import GrowthError, Method, check_same_channels, grow_weights
from hwsearch.training.ranges import SEED


def grow(
    supernet: str,
    into: str,
    output: Path | str,
    *,
    checkpoint: Path | str | None = None,
    second: Path | str | None = None,
    method: Method = "wider",
    seed: int = 0,
    force: bool = False,
) -> JsonObject:
    """Grow a trained supernet into a wider one: its largest subnet becomes part of the largest subnet of a bigger space.

    Parameters
    ----------
    supernet : str
        The trained supernet: a name of the catalogue, or ``file.py:ENTRY``, whose code is run.
    into : str
        The wider one, with the same layers: likewise.
    output : Path or str
        The weight file that is written, with the ending ``.safetensors``; ``hwsearch train --supernet INTO --checkpoint OUTPUT`` trains on from it.
    checkpoint : Path or str, optional
        The trained weights; the shipped ones by default.
    second : Path or str, optional
        Weights of a second training of the same supernet, which become the other half of the channels.
    method : {"wider", "zero", "orthogonal", "random"}
        Where new blocks come from: repeated channels that keep the function (Net2Net), nothing, orthogonal combinations of
        learned templates (MixtureGrowth), or noise. `second` needs one of the last three.
    seed : int
        Seed of the noise.
    force : bool
        Replace a file that hwsearch did not write; links are never written through.

    Returns
    -------
    dict of str to object
        ``file``, ``digest``, ``method``, numbers of parameters ``params_before`` and ``params_after``, how many tensors ``grown``,
        and the difference of the ``function`` of networks with repeated channels.

    Raises
    ------
    GrowthError
        If the second supernet is not a wider version of the first one, or `seed` is none.
    CheckpointError
        If weights are missing or do not fit.
    OutputError
        If the file is not to be written.
    """
    place = Path(output)
    if place.suffix != ".safetensors":
        raise OutputError(f"{str(place)!r} has not the ending .safetensors.", hint="Give a weight file.")
    if not SEED.holds(seed):
        raise GrowthError(f"seed = {repr(seed)[:40]} is not valid: give {SEED}.")
    with overwriting(force):
        check_place(place, WEIGHTS)
        check_no_input(place, checkpoint, second)
    small = catalogue.load_supernet(supernet, None if checkpoint is None else str(checkpoint))
    other = None if second is None else catalogue.load_supernet(supernet, str(second))
    entry = catalogue.entry(into)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        large = entry.build().eval()
    same = check_same_channels(small.net, large)
    grown = grow_weights(small.net, large, method, second=None if other is None else other.net, seed=seed)
    large.after_loading()
    about = {"supernet": entry.name, "digest": digest(large), "grown_from": small.digest, "method": method}
    with overwriting(force):
        save_weights(large, place, about)
    return {
        "file": str(place),
        "digest": about["digest"],
        "supernet": into,
        "method": method,
        "grown": len(grown),
        "params_before": sum(p.numel() for p in small.net.parameters()),
        "params_after": sum(p.numel() for p in large.parameters()),
        "function": same,
    }
