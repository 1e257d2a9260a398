"""What a network's own code does beside calling its layers is not in a trace: such networks are refused, not wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hwsearch.errors import SpaceError, SupernetError, UnknownArchitectureGene
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint.writing import digest
from hwsearch.supernets.declared.declaration import Depth, Width
from hwsearch.supernets.declared.elastic import elastic

SHAPE = (3, 16, 16)
CUT = {"c1": Width((0.5, 1.0), divisor=4)}


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 16, 3, 1, 1)
        self.c2 = nn.Conv2d(16, 16, 3, 1, 1)
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.c2(torch.relu(self.c1(x))).mean((2, 3)))


class ReadsSizes(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.c2(self.c1(x) * self.c1.out_channels**-0.5).mean((2, 3)))


class ReadsWeights(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / self.c1.weight.norm()


class Hooked(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.c1.register_forward_hook(lambda layer, inputs, output: output * 2)


class OtherForward(Plain):
    def __init__(self) -> None:
        super().__init__()
        inner = self.c1.forward
        self.c1.forward = lambda x: 3 * inner(x)  # type: ignore[method-assign]


class OtherInTraining(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.c1(x))
        if self.training:
            x = x * torch.ones(1, 16, 1, 1)
        return self.fc(self.c2(x).mean((2, 3)))


class ByList(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.stage = nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1))
        self.stages = [self.stage]

    def forward(self, x: Tensor) -> Tensor:
        x = self.c1(x)
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.mean((2, 3)))


def test_a_plain_network_passes_and_stays_what_it_is() -> None:
    model = Plain()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    net = elastic(model, CUT, input_shape=SHAPE)
    assert all(torch.equal(v, model.state_dict()[k]) and torch.equal(v, net.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize("kind", [ReadsSizes, ReadsWeights, Hooked, OtherForward])
def test_networks_that_a_trace_does_not_show_are_refused(kind: type[nn.Module]) -> None:
    with pytest.raises(SupernetError, match="differ by"):
        elastic(kind(), CUT, input_shape=SHAPE)


def test_a_container_that_is_reached_by_another_way_is_refused() -> None:
    with pytest.raises(SupernetError, match=r"differ by|does not"):
        elastic(ByList(), {"stage": Depth((1, 3))}, input_shape=SHAPE)


def test_a_network_that_differs_in_training_is_refused() -> None:
    with pytest.raises(SupernetError, match="does not run in training mode"):
        elastic(OtherInTraining(), CUT, input_shape=SHAPE)


def test_half_precision_is_refused() -> None:
    with pytest.raises(SupernetError, match=r"weights of type float16\. Give it in float32"):
        elastic(Plain().half(), CUT, input_shape=SHAPE)


def test_an_architecture_of_another_declaration_is_refused() -> None:
    one, other = (elastic(Plain(), {k: Width((0.5, 1.0))}, input_shape=SHAPE) for k in ("c1", "c2"))
    with pytest.raises(UnknownArchitectureGene, match="c2"):
        one.activate(other.space.largest())
    with pytest.raises(SpaceError, match=r"belongs to space 'other', not to '.+'"):
        one.activate(Architecture("other", other.space.largest()))


def test_another_program_is_another_supernet() -> None:
    """The same weights, names and choices in another program do not find the measurements of the first."""

    class Negative(Plain):
        def forward(self, x: Tensor) -> Tensor:
            return -super().forward(x)

    nets = [elastic(kind(), CUT, input_shape=SHAPE, name="x") for kind in (Plain, Negative, Plain)]
    for net in nets[1:]:
        net.load_state_dict(nets[0].state_dict())
    assert len({digest(n) for n in nets}) == 1
    first, negative, again = (digest(n, n.structure()) for n in nets)
    assert first == again != negative


def test_what_a_build_draws_beside_weights_is_kept(tmp_path: Path) -> None:
    """Weights that are about to be loaded are not drawn; a table that is no part of the file is."""

    class WithTable(Plain):
        def __init__(self) -> None:
            super().__init__()
            table = torch.empty(1, 3, 1, 1).normal_(generator=torch.Generator().manual_seed(5))
            self.register_buffer("table", table, persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + self.table)

    entry = catalogue.SupernetEntry("x", "x", lambda: elastic(WithTable(), CUT, input_shape=SHAPE))
    built = entry.build()
    torch.save(built.state_dict(), tmp_path / "x.pth")
    loaded = entry.load(tmp_path / "x.pth").net
    one, two = (next(b for n, b in net.named_buffers() if n.endswith("table")) for net in (built, loaded))
    assert torch.equal(one, two)
