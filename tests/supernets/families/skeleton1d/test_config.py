"""The space and the sizes of skeleton-1d."""

from __future__ import annotations

import pytest
import torch

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.supernets.families.skeleton1d import Skeleton1D, Skeleton1DConfig
from hwsearch.supernets.families.skeleton1d.config import BRANCHES, subsets

SMALL = Skeleton1DConfig(classes=5, frames=16, width=32, blocks=(1, 2), kernels=(3, 5, 7, 9))


def test_the_space_counts_what_can_be_chosen() -> None:
    # (a branch is off or one of 2 x 4 x 4), not all off, and a fusion of two kinds where two or more are on
    one = 2 * 4 * 4
    assert Skeleton1D(SMALL).space.cardinality == 2 * ((1 + one) ** 4 - 1) - 4 * one
    assert len(subsets()) == len(set(subsets())) == 15


def test_sizes_of_another_file_are_read_from_it() -> None:
    config = Skeleton1DConfig().fitting(7, 24, 32)
    assert Skeleton1DConfig.of(Skeleton1D(config).state_dict()) == config and config.name == "skeleton-1d-t24-w32"
    published = Skeleton1DConfig()
    assert published.fitting(published.classes, published.frames) == published


def test_channels_are_shares_in_eights() -> None:
    assert [Skeleton1DConfig().channels(s) for s in (0.25, 0.5, 0.75, 1.0)] == [16, 32, 48, 64]


def test_the_order_of_the_sets_is_that_of_their_costs() -> None:
    """Sets of one branch, by MACs of the largest network of each; the cheapest is the smallest architecture's."""
    net = Skeleton1D(SMALL)
    macs = []
    for view in subsets()[:4]:
        i = BRANCHES.index(view)
        macs.append(net.macs(net.space.architecture({"branches": view, f"d[{i}]": 2, f"w[{i}]": 1.0, f"ks[{i}]": 9})))
    assert macs == sorted(macs) and net.space.smallest()["branches"] == "difference"


def test_wrong_weights_and_settings_are_refused() -> None:
    with pytest.raises(CheckpointError, match="lack"):
        Skeleton1DConfig.of({"x": torch.zeros(1)})
    for wrong in (
        {"kernels": (3, 4)},
        {"width": 12},
        {"width": 8},
        {"blocks": ()},
        {"frames": 1},
        {"widths": (0.5, 0.75)},
    ):
        with pytest.raises(SupernetError, match="is not valid"):
            Skeleton1DConfig(**wrong)
    state = Skeleton1D(SMALL).state_dict()
    state["two-stream.nets.1.stem.conv.weight"] = torch.zeros(32, 47, 9)
    with pytest.raises(CheckpointError, match="is not one of skeleton-1d"):
        Skeleton1DConfig.of(state)
