"""Encoder and decoder of HAT subnets: positions, padding, memory."""

from __future__ import annotations

import pytest
import torch

from hwsearch.supernets.families.hat.plan import HatLayerPlan, HatPlan
from hwsearch.supernets.families.hat.positions import padding_mask, position_indices, sinusoids
from hwsearch.supernets.families.hat.stacks import HatDecoder, HatEncoder
from hwsearch.tasks.translation.vocabulary import PAD

PLAN = HatPlan(
    12, 6, 4, 4, 10, (HatLayerPlan(8, 2), HatLayerPlan(8, 2)), (HatLayerPlan(8, 2, 2, 1), HatLayerPlan(8, 2, 1, 2))
)


@pytest.fixture
def stacks() -> tuple[HatEncoder, HatDecoder]:
    generator = torch.Generator().manual_seed(0)
    both = HatEncoder(PLAN), HatDecoder(PLAN)
    for net in both:
        for p in net.parameters():
            p.data = torch.randn(p.shape, generator=generator)
        net.positions.copy_(sinusoids(*net.positions.shape))
        net.eval()
    return both


def test_tokens_are_counted_behind_the_padding() -> None:
    tokens = torch.tensor([[PAD, PAD, 7, 8], [5, 6, 7, 8]])
    assert position_indices(tokens).tolist() == [[PAD, PAD, PAD + 1, PAD + 2], [PAD + i for i in (1, 2, 3, 4)]]
    assert padding_mask(tokens)[:, 0, 0].tolist() == [[True, True, False, False], [False] * 4]


def test_the_position_of_padding_is_zero_and_the_first_row_has_sine_zero_cosine_one() -> None:
    table = sinusoids(5, 4)
    assert table[PAD].tolist() == [0, 0, 0, 0] and table[0].tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(table[2, 0], torch.sin(torch.tensor(2.0)))
    torch.testing.assert_close(table[2, 3], torch.cos(torch.tensor(2e-4)))


@torch.no_grad()
def test_padding_on_the_left_does_not_change_what_stands_behind_it(stacks: tuple[HatEncoder, HatDecoder]) -> None:
    encoder, _ = stacks
    alone = encoder(torch.tensor([[7, 8, 9]]))[0]
    padded = encoder(torch.tensor([[PAD, PAD, 7, 8, 9]]))[0]
    torch.testing.assert_close(padded[:, 2:], alone, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_layer_attends_to_as_many_encoder_outputs_as_its_gene_says(stacks: tuple[HatEncoder, HatDecoder]) -> None:
    """Of 3 source tokens, the first layer sees one output (3 keys), the second two (6 keys)."""
    encoder, decoder = stacks
    outputs = encoder(torch.tensor([[7, 8, 9]]))
    assert len(outputs) == 2
    k0, v0, k1, v1 = decoder.memory(outputs)
    assert k0.shape == v0.shape == (1, 2, 3, 2) and k1.shape == v1.shape == (1, 1, 6, 4)
    only_last = decoder.memory([outputs[0], torch.zeros_like(outputs[1])])
    assert torch.equal(only_last[0], k0) and not torch.equal(only_last[2], k1)


@torch.no_grad()
def test_the_embedding_is_scaled_by_the_root_of_its_width(stacks: tuple[HatEncoder, HatDecoder]) -> None:
    _, decoder = stacks
    torch.testing.assert_close(decoder.embedded(torch.tensor([[3]]))[0, 0], decoder.embed[:, 3] * 2)
