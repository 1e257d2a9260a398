"""Schedules, samplers, losses, data and views, with cases worked by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hwsearch.errors import TrainingError
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Run, Strategy, TrainingConfig
from hwsearch.training.batches import prepare_batch
from hwsearch.training.matching import best_split, cosine, gradient_distances, split_score, subnet_gradient
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.data import Picked
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.feedback import Bus, Seen
from hwsearch.training.parts.loss import Labels, Outputs
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.partition import bands, gene_groups, pool
from hwsearch.training.parts.phases import OpenedSampler, Phases
from hwsearch.training.parts.schedule import ExponentialFloor, Schedule, WarmupCosine
from hwsearch.training.step import Stepped, run_step
from hwsearch.training.strategies.bands import BandShift, ShiftSampler
from hwsearch.training.strategies.deps import DelayedEpsilon
from hwsearch.training.strategies.mixture import MixtureOfSupernets
from hwsearch.training.strategies.ofa import ProgressiveShrinking
from hwsearch.training.strategies.pada import ExampleImportance, GeneImportance, PathAndDataSampling, governed, mixed
from hwsearch.training.strategies.sorted_net import SortedNet
from hwsearch.training.strategies.uniform import Uniform


@pytest.fixture
def start(make_net: Callable[..., ElasticMobileNetV3], randomise: Callable[..., None], toy: ImageData):
    """Prepares a strategy for the tiny supernet."""

    def start(strategy: Strategy, steps: int = 100, **config: Any) -> SimpleNamespace:
        net = make_net()
        randomise(net)
        run = Run(net.train(), ImageTask(toy.preprocess), toy, TrainingConfig(steps=steps, batch=32, **config))
        recipe = strategy.recipe(run)
        recipe.prepare(run)
        return SimpleNamespace(net=net, run=run, recipe=recipe)

    return start


def scheduled(schedule: Schedule, run: Run) -> Schedule:
    schedule.prepare(run)
    return schedule


def stepped(case: SimpleNamespace, step: int = 50, weight: np.ndarray | None = None) -> Stepped:
    case.net.zero_grad(set_to_none=True)
    x, y = next(case.run.data.batches(16, 32))
    tensor = None if weight is None else torch.tensor(weight, dtype=torch.float32)
    batch = Batch(x, y, np.arange(32), 16, tensor)
    return run_step(case.recipe, case.run, batch, case.recipe.schedule.at(step), np.random.default_rng(0))


# ---------------------------------------------------------------------- schedules
def test_the_effective_rate_of_epsilon_rises_linearly_to_that_of_the_ramps_end(start) -> None:
    """Half of 100 steps alone, a ramp of 10: epsilon · lr(now) is 1/10, 2/10, … of lr(60)."""
    case = start(Uniform(), lr=0.2)
    schedule = scheduled(DelayedEpsilon(start=0.5, ramp=0.1), case.run)
    moments = [schedule.at(step) for step in range(100)]
    assert [m.values["epsilon"] for m in moments[:50]] == [0.0] * 50
    effective = [m.values["epsilon"] * m.lr for m in moments[50:60]]
    assert np.allclose(effective, schedule.rate(60) * np.arange(1, 11) / 10)
    assert [m.values["epsilon"] for m in moments[60:]] == [1.0] * 40
    plain = scheduled(WarmupCosine(), case.run)
    assert [m.lr for m in moments] == [plain.rate(s) for s in range(100)]


def test_without_a_ramp_epsilon_jumps(start) -> None:
    schedule = scheduled(DelayedEpsilon(start=0.5, ramp=0.0), start(Uniform()).run)
    assert [schedule.at(s).values["epsilon"] for s in (49, 50)] == [0.0, 1.0]


def test_exponential_decay_ends_constant(start) -> None:
    """20 % of the peak is reached half-way: at a quarter of the decay it is the fourth root of it."""
    schedule = scheduled(ExponentialFloor(floor=0.2, reached=0.5), start(Uniform(), lr=1.0, warmup=0.1).run)
    assert schedule.rate(0) == pytest.approx(0.1) and schedule.rate(9) == pytest.approx(1.0)
    assert schedule.rate(10) == pytest.approx(1.0) and schedule.rate(20) == pytest.approx(0.2**0.25)
    assert [schedule.rate(s) for s in (50, 60, 99)] == pytest.approx([0.2] * 3)


def test_phases_begin_at_their_shares(start) -> None:
    schedule = scheduled(Phases(starts=((0.0, "largest"), (0.25, "kernel"), (0.5, "width"))), start(Uniform()).run)
    assert [schedule.at(s).phase for s in (0, 24, 25, 49, 50, 99)] == 2 * ["largest"] + 2 * ["kernel"] + 2 * ["width"]


# ---------------------------------------------------------------------- settings
def test_a_setting_out_of_range_is_explained() -> None:
    with pytest.raises(TrainingError, match=r"Uniform: draws=0 is not valid: .*greater than or equal to 1"):
        Uniform(draws=0)
    with pytest.raises(TrainingError, match=r"TrainingConfig has no setting 'lrr'\. Did you mean 'lr'"):
        TrainingConfig(lrr=1)  # type: ignore[call-arg]
    with pytest.raises(TrainingError, match="there is no feedback channel 'gradients'"):
        Bus().subscribe("gradients")  # type: ignore[arg-type]


# ---------------------------------------------------------------------- samplers
def test_shrinking_opens_kernels_then_depths_then_widths(start) -> None:
    case = start(Uniform())
    sampler = OpenedSampler(draws=50)
    sampler.prepare(case.run)
    space, rng = case.run.space, np.random.default_rng(0)
    varied = {}
    for phase in ("largest", "kernel", "depth", "width"):
        draws = sampler.sample(Moment(0, 100, 8, 0.1, phase), rng)
        rows = space.to_array([d.arch for d in draws])
        top = space.to_array([space.largest()])[0]
        varied[phase] = {
            n[0] for n, column, best in zip(space.names, rows.T, top, strict=True) if (column != best).any()
        }
    # genes r, d, ks, e; in the depth phase those of blocks that are left out are inactive
    assert varied["largest"] == set() and varied["kernel"] == {"r", "k"}
    assert {"r", "k", "d"} <= varied["depth"] and {"r", "k", "d", "e"} == varied["width"]
    depth = sampler.sample(Moment(0, 100, 8, 0.1, "depth"), rng)
    assert all(v == 2 for d in depth for n, v in d.arch.items() if n.startswith("e["))


def test_the_frozen_teacher_is_the_largest_as_it_was(start) -> None:
    case = start(ProgressiveShrinking(kernel=0.5), 8)
    teacher = case.recipe.teacher
    x, y = next(case.run.data.batches(16, 32))
    batch = Batch(x, y, np.arange(32), 16)
    teacher.advance(3)
    assert teacher.outputs(batch) is None
    teacher.advance(4)
    net = case.net.eval()
    net.activate(case.run.space.largest())
    with torch.no_grad():
        expected = net(x)
        next(net.parameters()).add_(1.0)
    assert torch.equal(teacher.outputs(batch).logits, expected)
    again = start(ProgressiveShrinking(kernel=0.5), 8).recipe.teacher
    again.load_state_dict(teacher.state_dict())
    assert torch.equal(again.outputs(batch).logits, expected)


def test_a_chain_is_drawn_from_its_members(start) -> None:
    case = start(SortedNet(length=4, draws=200))
    draws = case.recipe.sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))
    assert {d.arch for d in draws} == set(case.run.space.chain(4, case.net.macs_array))
    assert {d.name for d in draws} == {f"chain-{k}" for k in range(4)}


def test_probability_shifts_to_the_band_whose_loss_still_falls(start) -> None:
    """Losses 2 → 2 and 2 → 1: the running means are 2 and 1.5, so the progress is 0 and 1/4."""
    case = start(BandShift(bands=2, pace=0.5, floor=0.2, temperature=0.25))
    sampler: ShiftSampler = case.recipe.sampler
    assert sampler.probabilities.tolist() == [0.5, 0.5]

    def probed(*losses: float) -> list[Seen]:
        archs = sampler.probes()
        return [Seen(a, v, np.arange(1), probe=True) for a, v in zip(archs, np.repeat(losses, 2), strict=True)]

    sampler.update(probed(2.0, 2.0))
    assert sampler.probabilities.tolist() == [0.5, 0.5]
    sampler.update(probed(2.0, 1.0))
    share = math.e / (1 + math.e)
    goal = 0.8 * share + 0.2 / 2
    assert sampler.probabilities == pytest.approx([1 - (0.25 + goal / 2), 0.25 + goal / 2])
    again: ShiftSampler = start(BandShift(bands=2)).recipe.sampler
    again.load_state_dict(sampler.state_dict())
    assert again.probabilities.tolist() == sampler.probabilities.tolist()


def test_probes_leave_the_network_as_it_was(start) -> None:
    case = start(BandShift(bands=2, every=5))
    before = {k: v.clone() for k, v in case.net.named_buffers()}
    case.recipe.sampler.update([])
    assert not any(s.probe for s in stepped(case, 51).seen)
    found = [s for s in stepped(case, 50).seen if s.probe]
    assert len(found) == 4 and all(math.isfinite(s.loss) for s in found)
    assert before.keys() == dict(case.net.named_buffers()).keys()


def test_bands_cover_the_space_and_are_ordered(start) -> None:
    case = start(Uniform())
    whole = pool(case.net, np.random.default_rng(0))
    assert whole.smallest() == case.run.space.smallest() and whole.largest() == case.run.space.largest()
    for by in ("log-macs", "quantile"):
        found = bands(whole, 3, by)  # type: ignore[arg-type]
        assert sum(len(c.rows) for c in found) == len(whole.rows)
        assert all(a.macs.max() <= b.macs.min() for a, b in itertools.pairwise(found))
    sizes = [len(c.rows) for c in bands(whole, 3, "quantile")]
    assert max(sizes) - min(sizes) < 0.15 * len(whole.rows)


def test_groups_of_a_gene_are_a_partition(start) -> None:
    whole = pool(start(Uniform()).net, np.random.default_rng(0))
    low, high = gene_groups(whole, "d[0]", ((1,), (2,)))
    assert {a["d[0]"] for a in low.space.from_array(low.rows)} == {1}
    assert {a["d[0]"] for a in high.space.from_array(high.rows)} == {2}
    assert len(low.rows) + len(high.rows) == len(whole.rows)
    with pytest.raises(TrainingError, match="are not a partition"):
        gene_groups(whole, "d[0]", ((1,), (1, 2)))
    with pytest.raises(TrainingError, match="gene 'ks' cannot be split"):
        gene_groups(whole, "ks", ((1,),))


# ---------------------------------------------------------------------- PA&DA
def test_probabilities_mix_norms_and_uniform_ones() -> None:
    assert mixed(np.array([0.0, 1.0, 3.0]), 0.5).tolist() == pytest.approx([1 / 6, 1 / 6 + 1 / 8, 1 / 6 + 3 / 8])
    assert mixed(np.zeros(4), 0.9).tolist() == [0.25] * 4


def test_genes_govern_the_weights_that_they_cut(start) -> None:
    case = start(Uniform())
    names = dict(zip(case.run.space.names, governed(case.run), strict=True))
    assert names["r"] == frozenset()
    assert names["d[0]"] and all(n.startswith("blocks.2.") for n in names["d[0]"])
    assert names["ks[0]"] == {"blocks.1.conv.depth_conv.conv.conv.weight"}
    assert {n.split(".")[3] for n in names["e[0]"]} >= {"inverted_bottleneck", "depth_conv", "point_linear"}


def test_corrected_draws_of_genes_are_unbiased(start) -> None:
    """The weighted mean of any function of the subnet is that of uniform genes."""
    case = start(Uniform())
    sampler = GeneImportance(draws=20_000, tau=0.5)
    sampler.prepare(case.run)
    sampler.load_state_dict({"norms": [(1.0 + 3 * np.arange(size)).tolist() for size in case.run.space.sizes]})
    draws = sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))
    macs = case.net.macs_array(case.run.space.to_array([d.arch for d in draws])) / 1e6
    scale = np.array([d.scale for d in draws])
    uniform = case.net.macs_array(case.run.space.sample_array(20_000, np.random.default_rng(1))) / 1e6
    error = math.hypot((macs * scale).std(), uniform.std()) / math.sqrt(20_000)
    assert abs((macs * scale).mean() - uniform.mean()) < 4 * error
    assert macs.mean() - uniform.mean() > 10 * error  # without the weights it is far off
    released = GeneImportance(tau=None, correct=False)
    released.prepare(case.run)
    assert {d.scale for d in released.sample(case.recipe.schedule.at(0), np.random.default_rng(0))} == {1.0}


def test_examples_are_drawn_by_their_norm_and_weighted_back(start) -> None:
    case = start(Uniform())
    data = ExampleImportance(tau=0.5)
    data.prepare(case.run)
    arch, n = case.run.space.smallest(), len(case.run.data)
    norms = torch.ones(n)
    norms[7] = 0.5 * n
    data.update([Seen(arch, 1.0, np.arange(n), per_example=norms)])
    p = data.probabilities(case.recipe.schedule.at(0))
    assert p[7] == pytest.approx(0.5 * 0.5 * n / (1.5 * n - 1) + 0.5 / n) and p.sum() == pytest.approx(1)
    picked = data.pick(case.recipe.schedule.at(0))
    assert picked.weight is not None and np.allclose(picked.weight, 1 / (n * p[picked.index]))
    assert (picked.index == 7).sum() > 2
    again = ExampleImportance(tau=0.5)
    again.prepare(case.run)
    again.load_state_dict(data.state_dict())
    assert np.array_equal(again.pick(case.recipe.schedule.at(0)).index, picked.index)


def test_as_released_an_example_that_was_not_drawn_counts_nothing(start) -> None:
    case = start(Uniform(), 16)  # 2 epochs of 8 steps
    data = ExampleImportance(tau=None, correct=False)
    data.prepare(case.run)
    first = data.pick(case.recipe.schedule.at(0))
    assert first.weight is None
    data.update([Seen(case.run.space.smallest(), 1.0, np.array([3]), per_example=torch.tensor([2.0]))])
    p = data.probabilities(case.recipe.schedule.at(8))  # tau is 1/2 in the second of two epochs
    assert p[3] == pytest.approx(0.5 + 0.5 / 256) and p[4] == pytest.approx(0.5 / 256)


def test_norms_of_examples_are_those_of_the_loss_at_the_outputs(start) -> None:
    """Cross-entropy's gradient at the logits is softmax − one-hot."""
    case = start(PathAndDataSampling(paths=False))
    case.recipe.sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))
    (seen,) = stepped(case, weight=np.linspace(0.5, 2, 32)).seen
    x, y = next(case.run.data.batches(16, 32))
    case.net.activate(seen.arch)
    with torch.no_grad():
        logits = case.net(case.run.task.resize(x, case.net.input_size(seen.arch)))
    expected = (logits.softmax(1) - F.one_hot(y, 3)).norm(dim=1)
    torch.testing.assert_close(seen.per_example, expected, rtol=1e-4, atol=1e-6)


def test_weights_of_examples_weigh_their_gradients(start) -> None:
    """Weight 0 for all but two examples and 16 for those: the gradient of their mean loss, on the same batch statistics."""
    case = start(Uniform())
    weight = np.zeros(32)
    weight[[4, 9]] = 16.0
    (seen,) = stepped(case, weight=weight).seen
    found = {n: p.grad.clone() for n, p in case.net.named_parameters() if p.grad is not None}
    case.net.zero_grad()
    x, y = next(case.run.data.batches(16, 32))
    case.net.activate(seen.arch)
    logits = case.net(case.run.task.resize(x, case.net.input_size(seen.arch)))
    F.cross_entropy(logits[[4, 9]], y[[4, 9]]).backward()
    for name, parameter in case.net.named_parameters():
        if name in found:
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_gradients_of_each_pass_are_told_apart(start) -> None:
    case = start(Uniform(draws=3))
    case.run.bus.subscribe("gradient")
    case.run.bus.subscribe("gradient_norms")
    seen = stepped(case).seen
    total = {n: p.grad for n, p in case.net.named_parameters() if p.grad is not None}
    for name, value in total.items():
        parts = [s.gradient[name] for s in seen if s.gradient is not None and name in s.gradient]
        torch.testing.assert_close(sum(parts), value, rtol=1e-4, atol=1e-6)
    norms = seen[1].gradient_norms
    assert norms is not None and seen[1].gradient is not None
    assert norms == {n: float(g.norm()) for n, g in seen[1].gradient.items()}


# ---------------------------------------------------------------------- losses and views
def test_mixed_examples_learn_both_targets(start) -> None:
    case = start(Uniform())
    logits, y, other = torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    loss = Labels()
    loss.prepare(case.run)
    batch = Batch(torch.zeros(4), y, np.arange(4), 16, None, other, 0.3)
    draw = Draw(case.run.space.smallest())
    found = loss(Outputs(logits), batch, draw, None, case.recipe.schedule.at(0))
    soft = 0.3 * F.one_hot(y, 3) + 0.7 * F.one_hot(other, 3)
    torch.testing.assert_close(found, F.cross_entropy(logits, soft))


@pytest.mark.parametrize("granularity", ["layer", "neuron"])
def test_experts_start_as_the_supernet_and_are_mixed_by_the_architecture(start, granularity: str) -> None:
    case = start(MixtureOfSupernets(granularity=granularity, hidden=4))
    view, net = case.recipe.view, case.net.eval()
    arch, other = net.space.largest(), net.space.smallest()
    x, _ = next(case.run.data.batches(16, 8))
    view.bind(arch)
    with torch.no_grad():
        torch.testing.assert_close(view.forward(x), net(x), rtol=0.1, atol=0.2)
        view.extra.router[2].weight.normal_(generator=torch.Generator().manual_seed(0))
        assert not torch.allclose(view.forward(x), net(x), atol=1e-4)
    weights = [view.extra.weights(net, a)["blocks.1.conv.point_linear.conv.conv.weight"] for a in (arch, other)]
    assert not torch.equal(*weights)
    own = dict(net.named_parameters())["blocks.1.conv.point_linear.conv.conv.weight"]
    assert float((weights[0] - own).norm() / own.norm()) < 0.05  # experts differ by 1 % yet


# ---------------------------------------------------------------------- gradient matching
def test_the_best_split_keeps_what_agrees_together() -> None:
    far = np.array([[0, 9, 1, 9], [9, 0, 9, 1], [1, 9, 0, 9], [9, 1, 9, 0]], float)
    groups = best_split(far)
    assert groups == ([0, 2], [1, 3]) and split_score(far, groups) == 36
    assert best_split(np.array([[0, 1, 9], [1, 0, 9], [9, 9, 0.0]])) == ([0, 1], [2])
    with pytest.raises(TrainingError, match="a gene of 1 values"):
        best_split(np.zeros((1, 1)))


def test_cosines_are_taken_on_common_entries() -> None:
    a = {"w": torch.tensor([[1.0, 2.0], [0.0, 5.0]]), "only": torch.ones(2)}
    assert cosine(a, {"w": torch.tensor([[-1.0, -2.0], [7.0, 0.0]])}) == pytest.approx(-1)
    assert cosine(a, {"other": torch.ones(2)}) == 0.0


def test_distances_of_gradients_leave_the_network_alone(start) -> None:
    case = start(Uniform())
    before = {k: v.clone() for k, v in case.net.state_dict().items()}
    found = gradient_distances(case.run, "r", [0, 1])
    assert found.shape == (2, 2) and np.allclose(found, found.T) and found[0, 0] == 0 and 0 < found[0, 1] < 2
    subnet_gradient(case.run, case.run.space.smallest(), np.arange(16))
    assert all(torch.equal(v, before[k]) for k, v in case.net.state_dict().items())
    assert all(p.grad is None for p in case.net.parameters())
    with pytest.raises(TrainingError, match=r"gene 'e\[1\]' of space 'tiny' cannot be split"):
        gradient_distances(case.run, "e[1]", [0])


# ---------------------------------------------------------------------- batches
def test_sizes_are_resized_once(start) -> None:
    case = start(Uniform())
    batch = prepare_batch(case.run, Picked(np.arange(8)), np.random.default_rng(0))
    assert batch.at(12, case.run.task) is batch.at(12, case.run.task)
    assert batch.at(16, case.run.task) is batch.inputs


def test_a_recipe_lists_its_parts(start) -> None:
    names = [name for name, _ in start(ProgressiveShrinking()).recipe.parts()]
    assert names == ["schedule", "data", "sampler", "loss", "reducer", "view", "teacher", "event-0"]
