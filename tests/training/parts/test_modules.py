"""Modules of a supernet: cuts by brute force and by hand, what a module's training changes, and what it leaves alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet, tensors_of
from hwsearch.supernets.declared import Depth, Width, elastic
from hwsearch.supernets.kernels import EAGER, choose, using
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Run, Trainer, TrainingConfig
from hwsearch.training.parts import modules
from hwsearch.training.parts.modules import cut_into_modules
from hwsearch.training.strategies.assemble import Assemble


def convs(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU())


def two_layers() -> Supernet:
    """By hand: 0 and 1 share a width (it cuts the output of 0 and the input of 1), so do 2 and 3; 1 to 2 is fixed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            convs(3, 8, 2),
            convs(8, 4),
            convs(4, 8),
            convs(8, 4),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
        widths = {"0.0": Width((0.5, 1.0), divisor=2), "2.0": Width((0.25, 1.0), divisor=2)}
        return elastic(net, widths, input_shape=(3, 16, 16), name="two").train()


def run_of(net: Supernet, data: ImageData, steps: int = 4) -> Run:
    return Run(net, ImageTask(data.preprocess), data, TrainingConfig(steps=steps, batch=32, padding=0))


def test_a_network_of_two_widths_is_cut_between_them(toy: ImageData) -> None:
    cut = cut_into_modules(run_of(two_layers(), toy), 2)
    assert cut.genes == (("width[0.0]",), ("width[2.0]",)) and cut.held == ()
    assert cut.parameters[0] == tuple(
        f"model.{k}.{n}" for k in ("0", "1") for n in ("0.weight", "0.bias", "1.weight", "1.bias")
    )
    assert cut.parameters[1][0] == "model.2.0.weight" and cut.parameters[1][-1] == "model.6.bias"
    assert cut.meta == cut.space.smallest()
    rows = np.array([[1, 1], [0, 1]])
    assert cut.hybrid(1, rows).tolist() == [[1, 0], [0, 0]] and cut.hybrid(2, rows).tolist() == [[0, 1], [0, 1]]
    with pytest.raises(TrainingError, match=r"modules=3: this supernet can be cut into 2 modules .*Set modules to 2"):
        cut_into_modules(run_of(two_layers(), toy), 3)


def test_a_gene_of_two_modules_and_a_resolution_are_held_at_their_largest(toy: ImageData) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = [convs(3, 8, 2), convs(8, 8), convs(8, 8), convs(8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        net = elastic(
            nn.Sequential(*body, nn.Linear(8, 3)),
            {
                "0.0": Width((0.5, 1.0), divisor=2),
                "1.0": Width((0.25, 1.0), divisor=2),
                "2.0": Width((0.5, 1.0), divisor=2),
            },
            input_shape=(3, 16, 16),
            resolutions=(12, 16),
            name="chain",
        )  # 1.0 cuts what 0.0 and 2.0 cut as well: it lies across the border
    cut = cut_into_modules(run_of(net, toy), 2)
    assert cut.genes == (("width[0.0]",), ("width[2.0]",))
    assert set(cut.held) == {"width[1.0]"} | {n for n in net.space.names if n.startswith(("r", "res"))}
    assert cut.meta["width[1.0]"] == max(next(c for c in net.space.choices if c.name == "width[1.0]").values)
    assert net.input_size(cut.meta) == 16


def test_cuts_are_the_best_of_all_that_there_are() -> None:
    """Against every way to choose the borders, for random spans."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, k = int(rng.integers(4, 9)), int(rng.integers(1, 4))
        spans = [tuple(sorted(rng.integers(0, n, 2).tolist())) for _ in range(int(rng.integers(1, 6)))]
        sizes = rng.integers(1, 50, n).tolist()

        def cost(bounds: tuple[int, ...], spans=spans, sizes=sizes) -> tuple[int, int, int] | None:
            free = [sum(a <= lo and hi < b for lo, hi in spans) for a, b in itertools.pairwise(bounds)]
            weights = [sum(sizes[a:b]) for a, b in itertools.pairwise(bounds)]
            return None if 0 in free else (-sum(free), sum(f * f for f in free), sum(w * w for w in weights))

        lows = sorted({lo for lo, _ in spans if lo})
        costs = [c for inner in itertools.combinations(lows, k - 1) if (c := cost((0, *inner, n))) is not None]
        found = modules._bounds(spans, sizes, k)
        assert (found is None) == (not costs) == (k > modules._most(spans))
        assert found is None or cost(tuple(found)) == min(costs)


def test_the_cut_does_not_depend_on_what_was_learnt(toy: ImageData) -> None:
    plain, zeroed = two_layers(), two_layers()
    with torch.no_grad():
        for p in zeroed.parameters():
            p.zero_()
    state = torch.get_rng_state()
    assert cut_into_modules(run_of(plain, toy), 2) == cut_into_modules(run_of(zeroed, toy), 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(not p.any() for p in zeroed.parameters()) and all(p.grad is None for p in zeroed.parameters())


@pytest.mark.parametrize("module", [1, 2])
def test_only_the_module_is_trained_and_its_norms_move(make_net, toy: ImageData, tmp_path: Path, module: int) -> None:
    net = make_net()
    before = {name: value.clone() for name, value in tensors_of(net).items()}
    config = TrainingConfig(steps=3, batch=32, lr=0.1, padding=0)
    trainer = Trainer(net, Assemble(modules=2, module=module), ImageTask(toy.preprocess), toy, config, tmp_path)
    trainer.run()
    own = set(trainer.recipe.view.module_names(net))
    changed = {name for name, value in tensors_of(net).items() if not torch.equal(value, before[name])}
    assert changed <= own
    assert {name for name in own if name.endswith("conv.weight")} <= changed
    assert any("running_mean" in name for name in changed)
    others = {name for name, _ in net.named_parameters()} - own
    assert others and all(p.grad is None and p.requires_grad for name, p in net.named_parameters() if name in others)
    both = [set(t.recipe.view.module_names(net)) for t in (trainer, Trainer(
        net, Assemble(modules=2, module=3 - module), ImageTask(toy.preprocess), toy, config, tmp_path / "other"
    ))]  # fmt: skip
    assert both[0] | both[1] == set(tensors_of(net)) and not both[0] & both[1]


def test_a_modules_gradient_is_that_of_the_static_hybrid(toy: ImageData) -> None:
    """Against plain torch on the extracted network, whose norms outside of the module are in evaluation mode."""
    net = two_layers()
    run = run_of(net, toy)
    recipe = Assemble(modules=2, module=2).recipe(run)
    recipe.prepare(run)
    draw = recipe.sampler.sample(recipe.schedule.at(0), np.random.default_rng(0))[0]
    x, y = next(toy.batches(16, 32))
    recipe.view.bind(draw.arch)
    run.task.loss(recipe.view.forward(x), y).backward()
    plain = net.subnet(draw.arch).train()
    norms = [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms[:2]:
        norm.eval()
    nn.functional.cross_entropy(plain(x), y).backward()
    expected = [p.grad for p in plain.parameters()][8:]
    found = [p.grad for _, p in recipe.view.named_parameters()]
    assert len(expected) == len(found) == 10
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-6)


def test_hybrids_are_free_in_their_module_only(start) -> None:
    case = start(Assemble(modules=2, module=2, random=40))
    draws = case.recipe.sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))
    cut = cut_into_modules(case.run, 2)
    assert [d.name for d in draws[:2]] == ["largest", "smallest"] and draws[1].arch == cut.meta
    rows = case.run.space.to_array([d.arch for d in draws])
    for gene, column in zip(case.run.space.names, rows.T, strict=True):
        assert (len(set(column.tolist())) > 1) == (gene in cut.genes[1]), gene


def test_depths_belong_to_their_stage(toy: ImageData) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stages = [nn.Sequential(convs(8, 8), convs(8, 8)), nn.Sequential(convs(8, 8), convs(8, 8))]
        net = elastic(
            nn.Sequential(convs(3, 8, 2), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
            {"[12]": Depth((1, 2))},
            input_shape=(3, 16, 16),
            name="deep",
        )
    cut = cut_into_modules(run_of(net, toy), 2)
    assert cut.genes == (("depth[1]",), ("depth[2]",)) and cut.parameters[1][0] == "model.2.1.0.weight"


@pytest.mark.parametrize("module", [1, 2])
def test_compiled_kernels_let_norms_stand_still_as_well(start, module: int) -> None:
    chosen = choose("auto").kernels
    if not chosen.fused:
        pytest.skip("no compiler")
    found = []
    for kernels in (EAGER, chosen):
        case = start(Assemble(modules=2, module=module))
        x, y = next(case.run.data.batches(16, 32))
        draw = case.recipe.sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))[0]
        with using(kernels):
            case.recipe.view.bind(draw.arch)
            case.run.task.loss(case.recipe.view.forward(x), y).backward()
        gradients = {f"d{n}": p.grad for n, p in case.recipe.view.named_parameters() if p.grad is not None}
        found.append(gradients | dict(case.net.named_buffers()))
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-4, msg=name)
