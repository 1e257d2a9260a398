"""Masks over a plain network: bits as numpy packs them, networks that are cut, what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.supernets.supermasks import MaskedNetwork, MaskedTask, signed_constants
from tests.training.masked import Plain, network


def some_task(given: MaskedNetwork, seed: int = 0, density: float = 0.3) -> MaskedTask:
    generator = torch.Generator().manual_seed(seed)
    masks = {n: torch.rand(given.weight(n).shape, generator=generator) < density for n in given.names}
    statistics = {n: torch.rand(given.net.get_buffer(n).shape, generator=generator) + 0.5 for n in given.statistics}
    task = MaskedTask("some", ("x", "y"), masks, statistics)
    return dataclasses.replace(task, digest=given.digest(task))


def test_bits_are_those_of_numpy_and_come_back() -> None:
    given = network()
    task = some_task(given)
    packed = given.pack(task.masks)
    flat = np.concatenate([task.masks[n].numpy().ravel() for n in ("body.0.weight", "body.3.weight", "head.weight")])
    assert packed.numpy().tobytes() == np.packbits(flat).tobytes()
    assert packed.numel() == -(-(16 * 27 + 16 * 144 + 32) // 8)
    again = given.unpack(packed, "some")
    assert all(torch.equal(again[n], task.masks[n]) for n in given.names)
    with pytest.raises(CheckpointError, match=r"task 'some' are not of this backbone.*bytes are no bit for each"):
        given.unpack(packed[:-1], "some")


def test_a_cut_network_is_the_masked_one() -> None:
    given = network()
    task = some_task(given)
    reference = Plain()
    reference.load_state_dict(given.net.state_dict())
    with torch.no_grad():
        for name, mask in task.masks.items():
            reference.get_parameter(name).mul_(mask)
        for name, value in task.statistics.items():
            reference.get_buffer(name).copy_(value)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(given.cut(task)(x), reference.eval()(x))


def test_signs_of_weights_outside_a_mask_do_not_count_and_weights_inside_do() -> None:
    given = network()
    task = some_task(given)
    weight, mask = given.weight("body.0.weight"), task.masks["body.0.weight"]
    weight[~mask] *= -3
    given.check(task)
    where = tuple(mask.nonzero()[0])
    weight[where] = float(np.nextafter(np.float32(weight[where]), np.float32(9)))
    with pytest.raises(CheckpointError, match="not of this backbone, or damaged: its network has digest"):
        given.check(task)


def test_shapes_of_another_network_are_refused() -> None:
    given = network()
    task = some_task(given)
    wrong = dataclasses.replace(task, masks={**task.masks, "body.0.weight": torch.ones(2, dtype=torch.bool)})
    with pytest.raises(CheckpointError, match=r"'body\.0\.weight' has another shape"):
        given.cut(wrong)
    wrong = dataclasses.replace(task, statistics={})
    with pytest.raises(CheckpointError, match=r"'body\.1\.running_mean' has another shape"):
        given.cut(wrong)
    wrong = dataclasses.replace(task, head={"weight": torch.zeros(3, 16)})
    for head in ({"bias": torch.zeros(2)}, {"weight": torch.zeros(32)}, {"weight": torch.zeros(2, 16), "bias": torch.zeros(3)},
                 {"weight": torch.zeros(2, 16), "other": torch.zeros(2)}):  # fmt: skip
        with pytest.raises(CheckpointError, match="its head has another shape"):
            given.cut(dataclasses.replace(task, head=head))
    with pytest.raises(CheckpointError, match="its head has another shape"):
        given.cut(wrong)


def test_masks_are_united() -> None:
    given = network()
    tasks = [some_task(given, seed) for seed in (0, 1)]
    taken = given.taken(tasks)
    for name in given.names:
        assert torch.equal(taken[name], tasks[0].masks[name] | tasks[1].masks[name])
    assert not any(bool(m.any()) for m in given.taken([]).values())


def test_a_network_without_a_linear_classifier_is_refused() -> None:
    with pytest.raises(SupernetError, match="no linear layer of 2 outputs"):
        MaskedNetwork(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()), 2)


def test_fresh_weights_have_one_magnitude_a_layer() -> None:
    net = Plain()
    before = net.body[0].weight.detach().clone()
    signed_constants(net)
    after = net.body[0].weight.detach()
    torch.testing.assert_close(after.abs(), torch.full_like(after, (2 / 27) ** 0.5))
    assert torch.equal(after > 0, before > 0) and not bool(net.body[3].bias.any())


def test_a_network_with_weights_that_no_mask_covers_is_refused() -> None:
    net = nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(SupernetError, match="has convolutions over one or three axes, such as '0'"):
        MaskedNetwork(net, 2)
