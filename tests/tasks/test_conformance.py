"""Our own tasks pass the suite that ships for users' tasks."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hwsearch.supernets.families.bert import ElasticBert, ElasticBertConfig
from hwsearch.supernets.families.hat.supernet import HatConfig, HatTransformer
from hwsearch.supernets.families.skeleton1d import Skeleton1D, Skeleton1DConfig
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, from_arrays
from hwsearch.tasks.sequences import SequenceData, SkeletonTask, synthetic_skeletons
from hwsearch.tasks.text import TextData, TextTask, WordPiece
from hwsearch.tasks.translation import Subwords, TranslationData, TranslationTask, Vocabulary
from hwsearch.tasks.translation.vocabulary import SPECIALS
from hwsearch.testing import TaskConformance, seeded_weights


class TestImages(TaskConformance):
    def make(self) -> ImageTask:
        return ImageTask(Preprocess((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))

    def data(self) -> ImageData:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (20, 16, 16, 3), np.uint8)
        return from_arrays(pixels, rng.integers(0, 3, 20), ("a", "b", "c"), self.make().preprocess)

    def net(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))


class TestSkeletons(TaskConformance):
    def make(self) -> SkeletonTask:
        return SkeletonTask()

    def data(self) -> SequenceData:
        return synthetic_skeletons("test", 20)

    def net(self) -> nn.Module:
        net = Skeleton1D(Skeleton1DConfig(classes=8, frames=self.size, width=32))
        net.load_state_dict(seeded_weights(net.state_dict()))
        return net.subnet(net.space.largest())


class TestText(TaskConformance):
    size = 12

    def make(self) -> TextTask:
        return TextTask()

    def data(self) -> TextData:
        rng = np.random.default_rng(0)
        words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", ".")
        sentences = [
            [4 + i % 4, *rng.integers(4, 8, 3 + i % 5).tolist(), 4 + i // 4 % 4, 4 + i // 16] for i in range(20)
        ]
        return TextData(sentences, None, rng.integers(0, 2, 20), ("no", "yes"), WordPiece(words))

    def net(self) -> nn.Module:
        config = ElasticBertConfig(
            name="x",
            vocabulary=8,
            positions=16,
            tokens=16,
            hidden=128,
            heads=(1, 2),
            head_size=64,
            layers=(1, 2),
            ffn=(64,),
        )
        net = ElasticBert(config)
        net.load_state_dict(seeded_weights(net.state_dict()))
        return net.subnet(net.space.largest())


class TestTranslation(TaskConformance):
    def make(self) -> TranslationTask:
        return TranslationTask()

    def data(self) -> TranslationData:
        vocabulary = Vocabulary((*SPECIALS, "a", "b@@", "c-d", "e"))
        rng = np.random.default_rng(0)
        lines = [" ".join(rng.choice(vocabulary.tokens[4:], rng.integers(4, 9))) for _ in range(40)]
        sources, targets = list(dict.fromkeys(lines))[:12], lines[-12:]
        encode, join = vocabulary.encode, Subwords().join
        references = tuple(join(t) for t in targets)
        return TranslationData([encode(t) for t in sources], [encode(t) for t in targets], references, vocabulary)

    def net(self) -> nn.Module:
        net = HatTransformer(HatConfig("s", 8, (8,), 8, 3, (1,), (16,), (2,), positions=16))
        net.load_state_dict(seeded_weights(net.state_dict()))
        return net.subnet(net.space.largest())
