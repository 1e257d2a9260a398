"""One loop for every family: each strategy trains sentences, translations and a declared network, or refuses before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest
from hwsearch.supernets.declared import Width, elastic
from hwsearch.supernets.families.bert.config import ElasticBertConfig
from hwsearch.supernets.families.bert.supernet import ElasticBert
from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.supernet import HatTransformer
from hwsearch.tasks.base import Task
from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.data import Data, Inputs
from hwsearch.tasks.images import ImageTask, Preprocess, from_arrays
from hwsearch.tasks.translation import TranslationTask
from hwsearch.testing.strategies import small_supernet
from hwsearch.testing.weights import seeded_weights
from hwsearch.training import Trainer, TrainingConfig
from hwsearch.training.ranks import ALONE, Ranks
from hwsearch.training.strategies import STRATEGIES
from tests.training.several import together


class Tensors(Data):
    """Examples that are tensors already."""

    def __init__(self, inputs: tuple[Tensor, ...], targets: Tensor, classes: int = 3) -> None:
        self.inputs, self.targets = inputs, targets
        self.name, self.classes = "tensors", tuple(map(str, range(classes)))

    def __len__(self) -> int:
        return len(self.targets)

    @override
    def take(self, indices: Any) -> Self:
        chosen = torch.as_tensor(indices)
        return type(self)(tuple(x[chosen] for x in self.inputs), self.targets[chosen], len(self.classes))

    @override
    def key(self, i: int) -> int:
        return i

    @property
    @override
    def digest(self) -> str:
        return "tensors"

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[Inputs, Tensor]]:
        for k in range(0, len(self), batch):
            inputs = tuple(x[k : k + batch] for x in self.inputs)
            yield inputs if len(inputs) > 1 else inputs[0], self.targets[k : k + batch]


class Classes(ClassificationTask):
    name = "classes"

    @override
    def read(self, text: str, **options: Any) -> Data:
        raise NotImplementedError


def sentences() -> tuple[Supernet, Task, Data]:
    config = ElasticBertConfig(
        name="tiny-bert",
        classes=3,
        hidden=16,
        head_size=8,
        layers=(1, 2),
        heads=(1, 2),
        ffn=(8, 16),
        vocabulary=20,
        positions=8,
        tokens=8,
    )
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 20, (24, 8), generator=generator)
    mask = torch.ones_like(ids)
    mask[::2, 6:] = 0
    return ElasticBert(config), Classes(), Tensors((ids, mask, torch.zeros_like(ids)), ids[:, 0] % 3)


def translations() -> tuple[Supernet, Task, Data]:
    config = HatConfig(
        "tiny-hat", 20, (8, 16), 8, 3, (1, 2), (8, 16), (1, 2), positions=16, source_tokens=6, target_tokens=6
    )
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randint(4, 20, (24, 6), generator=generator) for _ in range(2))
    target[::2, 4:] = 1  # padding
    return HatTransformer(config), TranslationTask(), Tensors((source, target.roll(1, 1)), target, 0)


def declared() -> tuple[Supernet, Task, Data]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    net = elastic(
        model,
        {"0": Width((0.25, 0.5, 1.0), divisor=4), "2": Width((0.5, 1.0), divisor=4)},
        input_shape=(6,),
        name="mlp",
    )
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(24, 6, generator=generator)
    return net, Classes(), Tensors((x,), (x[:, 0] > 0).long())


#: who cannot be served, and the words of the refusal
REFUSED = {
    ("translations", "pada"): "not the mean of the losses",
    ("translations", "autodistil"): "neither feature maps nor sequences",
    ("pictures", "tangle"): "no slices of the shared ones",
    ("declared", "assemble"): "can be cut into 1 module",
    ("declared", "autodistil"): "neither feature maps nor sequences",
    ("sentences", "certified"): "not pixels of images",
    ("translations", "certified"): "not pixels of images",
    ("declared", "certified"): "not pixels of images",
    ("sentences", "generator"): r"has weights in .*\(Embedding\)",
    ("translations", "generator"): r"has weights in .*\(Embedding\)",
}


@pytest.mark.parametrize("strategy", STRATEGIES.names())
@pytest.mark.parametrize("family", [sentences, translations, declared])
def test_a_strategy_trains_every_family_or_refuses_before(
    family: Callable[[], tuple[Supernet, Task, Data]], strategy: str, tmp_path: Path
) -> None:
    net, task, data = family()
    if family is not declared:
        net.load_state_dict(seeded_weights(net.state_dict()))
    config = TrainingConfig(steps=4, batch=6, lr=0.01, padding=0)
    before = {name: value.clone() for name, value in net.named_parameters()}
    if words := REFUSED.get((family.__name__, strategy)):
        with pytest.raises(TrainingError, match=words):
            Trainer(net, STRATEGIES.load(strategy)(), task, data, config, tmp_path)
        assert not any(tmp_path.iterdir())
        return
    trainer = Trainer(net, STRATEGIES.load(strategy)(), task, data, config, tmp_path)
    trainer.run()
    assert trainer.step == 4 and trainer.passes >= 4
    assert any(not torch.equal(value, before[name]) for name, value in net.named_parameters())
    arch = net.space.sample(1, np.random.default_rng(1))[0]
    inputs, _ = next(data.batches(net.input_size(arch), 4))
    net.eval()
    trainer.recipe.view.bind(arch)
    plain = trainer.recipe.view.materialise(arch).eval()
    with torch.no_grad():
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        torch.testing.assert_close(plain(*given), trainer.recipe.view.forward(inputs), rtol=1e-4, atol=1e-5)


def pictures() -> tuple[Supernet, Task, Data]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 16, 16, 3)).astype(np.uint8)
    data = from_arrays(pixels, np.arange(24) % 3, tuple("abc"), Preprocess((0.35,) * 3, (0.2,) * 3))
    return small_supernet(), ImageTask(data.preprocess), data


@pytest.mark.timeout(200)
@pytest.mark.parametrize("family", [pictures, sentences, translations, declared])
def test_every_strategy_has_the_same_bits_in_two_processes_and_in_two_ghost_batches(
    family: Callable[[], tuple[Supernet, Task, Data]], tmp_path: Path
) -> None:
    """Dropout, augmentation and feedback included, across the end of an epoch."""
    names = [name for name in STRATEGIES.names() if (family.__name__, name) not in REFUSED]
    if family is not pictures:
        names = ["mixture", "ofa", "sandwich", "tangle"]

    def digests(place: Path, ranks: Ranks, ghosts: int | None) -> list[str]:
        found = []
        for name in names:
            net, task, data = family()
            if family is not declared:
                net.load_state_dict(seeded_weights(net.state_dict()))
            config = TrainingConfig(steps=5, batch=6, lr=0.05, padding=1, ghost_batches=ghosts)
            strategy = STRATEGIES.load(name)()
            Trainer(net, strategy, task, data, config, place / name, ranks=ranks).run()
            found.append(f"{name} {digest(net)}")
        return found

    expected = digests(tmp_path / "one", ALONE, 2)
    assert together(2, lambda ranks: digests(tmp_path / "two", ranks, None), tmp_path / "found") == [expected] * 2


def test_images_are_needed_for_mixing_and_randaugment(tmp_path: Path) -> None:
    net, task, data = declared()
    for setting in ("mixup", "cutmix", "randaugment"):
        config = TrainingConfig(steps=4, batch=6, padding=0, **{setting: 1})
        with pytest.raises(TrainingError, match=f"{setting} is for images"):
            Trainer(net, STRATEGIES.load("uniform")(), task, data, config, tmp_path)


def test_channels_are_sorted_only_by_families_that_can(tmp_path: Path) -> None:
    net, task, data = translations()
    deps = STRATEGIES.load("deps")(sort=True)
    with pytest.raises(TrainingError, match="sorts channels by importance, which HatTransformer cannot do"):
        Trainer(net, deps, task, data, TrainingConfig(steps=4, batch=6, padding=0), tmp_path)
