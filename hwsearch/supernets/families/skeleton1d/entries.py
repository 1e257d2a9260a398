"""Catalogue entry of skeleton-1d."""

from __future__ import annotations

from hwsearch.errors import DataError
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.skeleton1d.config import FRAMES, Skeleton1DConfig
from hwsearch.supernets.families.skeleton1d.supernet import Skeleton1D
from hwsearch.tasks.data import Data
from hwsearch.tasks.sequences.data import SequenceData
from hwsearch.tasks.sequences.task import SkeletonTask


def _for_data(data: Data) -> Skeleton1D:
    """Build the network of as many classes as the data, and frames as their longest sequence, at most 64, in eights."""
    if not isinstance(data, SequenceData):
        raise DataError(f"the data {data.name!r} are no skeleton sequences.")
    frames = min(FRAMES, -(-data.longest // 8) * 8)
    return Skeleton1D(Skeleton1DConfig().fitting(len(data.classes), frames))


ENTRY = SupernetEntry(
    name="skeleton-1d",
    summary="Ensemble of 1-D CNNs for skeleton sequences of 25 joints (NTU RGB+D), 1–4 branches",
    build=lambda: Skeleton1D(Skeleton1DConfig()),
    build_for=lambda state: Skeleton1D(Skeleton1DConfig.of(state)),
    build_for_data=_for_data,
    task=SkeletonTask(),
    card={
        "paper": "Xu et al., 2018, arXiv 1801.02475",
        "code_licence": "Apache-2.0",
        "weights_licence": "that of the file you bring",
        "get": "train one: hwsearch train --supernet skeleton-1d --data FOLDER",
    },
)
