"""Order of channels by importance, worked by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsearch.supernets.layers.ordering import sort_by_importance


def test_the_reader_decides_the_order_and_all_that_share_the_channels_follow() -> None:
    """Channels are read with weights 1, 3, 2; those that make them have 30, 10, 20, which would say the opposite."""
    maker = torch.tensor([[30.0], [10.0], [20.0]])
    bias = torch.tensor([0.0, 1.0, 2.0])
    reader = torch.tensor([[1.0, -3.0, 2.0]])
    order = sort_by_importance([(maker, 0), (bias, 0), (reader, 1)], [(reader, 1)])
    assert order.tolist() == [1, 2, 0]
    assert maker.flatten().tolist() == [10, 20, 30] and bias.tolist() == [1, 2, 0]
    assert reader.tolist() == [[-3, 2, 1]]


def test_importance_is_summed_over_all_readers_and_ties_keep_their_order() -> None:
    """1 + 0, 0 + 2, 1 + 0: the second channel is first, the others stay in their order."""
    a, b = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    order = sort_by_importance([(a, 1), (b, 1)], [(a, 1), (b, 1)])
    assert order.tolist() == [1, 0, 2]


def test_neighbours_of_a_block_stay_together() -> None:
    """Blocks of two with importance 1 + 4 and 2 + 2: the first stays first although 2 > 1."""
    reader: Tensor = torch.tensor([[1.0, 4.0, 2.0, 2.0]])
    assert sort_by_importance([(reader, 1)], [(reader, 1)], block=2).tolist() == [0, 1, 2, 3]
    reader = torch.tensor([[1.0, 2.0, 4.0, 0.0]])
    assert sort_by_importance([(reader, 1)], [(reader, 1)], block=2).tolist() == [2, 3, 0, 1]
