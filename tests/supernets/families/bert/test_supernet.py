"""Elastic BERT against Hugging Face's model, and at its published size.

The golden logits are those of transformers 4.37.2 (see conftest.py). Published: BERT base's 109,483,778 parameters with
two classes; the counts of multiply-accumulates are torch's own on Hugging Face's model.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hwsearch.errors import CheckpointError
from hwsearch.spaces import Architecture
from hwsearch.supernets.checkpoint.loading import load_weights
from hwsearch.supernets.families.bert.config import BASE, ElasticBertConfig
from hwsearch.supernets.families.bert.entries import ENTRY
from hwsearch.supernets.families.bert.supernet import ElasticBert


@pytest.fixture(scope="module")
def base() -> ElasticBert:
    with torch.device("meta"):  # shapes only
        return ElasticBert(BASE)


def same(net: ElasticBert, layers: int, heads: int, ffn: int) -> Architecture:
    """The architecture with the same number of heads and units in every layer."""
    genes = {"layers": layers} | {f"heads[{i}]": heads for i in range(layers)}
    return net.space.architecture(genes | {f"ffn[{i}]": ffn for i in range(layers)})


def golden_batch(tokens: int) -> tuple[torch.Tensor, ...]:
    """Two sequences; the second one's last third is padding."""
    rng = np.random.default_rng(tokens)
    ids, types = rng.integers(0, 50, (2, tokens)), rng.integers(0, 2, (2, tokens))
    mask = np.ones((2, tokens), int)
    mask[1, tokens * 2 // 3 :] = 0
    return tuple(torch.from_numpy(a) for a in (ids, mask, types))


# ---------------------------------------------------------------------- the reference
@torch.no_grad()
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])  # of the golden subnets
def test_subnets_equal_hugging_faces_model(small_bert: ElasticBert, golden, every: int) -> None:
    found = golden("bert")
    assert len(found["layers"]) >= 200
    batches = [golden_batch(20), golden_batch(7)]
    columns = (found[k][::every] for k in ("layers", "heads", "ffn", "logits"))
    for layers, heads, ffn, expected in zip(*columns, strict=True):
        genes = {"layers": int(layers)}
        for i in range(layers):
            genes |= {f"heads[{i}]": int(heads[i]), f"ffn[{i}]": int(ffn[i])}
        subnet = small_bert.subnet(small_bert.space.architecture(genes))
        for batch, logits in zip(batches, expected, strict=True):
            assert np.abs(subnet(*batch).numpy() - logits).max() <= 1e-5 * np.abs(logits).max()


@torch.no_grad()
def test_padding_changes_nothing(small_bert: ElasticBert) -> None:
    ids, mask, types = golden_batch(20)
    short = [v[1:, :13] for v in (ids, mask, types)]
    assert int(mask[1].sum()) == 13
    alone, padded = small_bert(*short)[0], small_bert(ids, mask, types)[1]
    assert float((alone - padded).abs().max()) < 1e-6
    ids[1, 13:] = 7
    assert torch.equal(small_bert(ids, mask, types)[1], padded)
    assert not torch.allclose(small_bert(ids, torch.ones_like(mask), types)[1], padded, atol=1e-3)


# ---------------------------------------------------------------------- published sizes
def test_state_dict_is_that_of_hugging_face(base: ElasticBert) -> None:
    state = base.state_dict()
    assert len(state) == 201
    assert sum(p.numel() for p in base.parameters()) == 109_483_778
    expected = {
        "bert.embeddings.word_embeddings.weight": (30522, 768),
        "bert.embeddings.position_embeddings.weight": (512, 768),
        "bert.embeddings.token_type_embeddings.weight": (2, 768),
        "bert.embeddings.LayerNorm.bias": (768,),
        "bert.encoder.layer.0.attention.self.query.weight": (768, 768),
        "bert.encoder.layer.5.attention.self.value.bias": (768,),
        "bert.encoder.layer.11.attention.output.dense.weight": (768, 768),
        "bert.encoder.layer.11.attention.output.LayerNorm.weight": (768,),
        "bert.encoder.layer.3.intermediate.dense.weight": (3072, 768),
        "bert.encoder.layer.3.output.dense.weight": (768, 3072),
        "bert.encoder.layer.3.output.LayerNorm.bias": (768,),
        "bert.pooler.dense.weight": (768, 768),
        "classifier.bias": (2,),
    }
    assert {k: tuple(state[k].shape) for k in expected} == expected


@pytest.mark.parametrize(
    ("layers", "heads", "ffn", "params", "millions"),
    [(12, 12, 3072, 109_483_778, 11_174.2), (12, 8, 2048, 81_150_722, 7_449.7), (6, 6, 1024, 40_985_090, 2_190.0)],
)
def test_sizes_are_those_of_hugging_faces_model(
    base: ElasticBert, layers: int, heads: int, ffn: int, params: int, millions: float
) -> None:
    arch = same(base, layers, heads, ffn)
    assert base.params(arch) == params
    assert round(base.macs(arch) / 1e6, 1) == millions
    assert base.input_shape(arch) == (128,) and base.input_size(arch) == 128


def test_cardinality_is_that_of_the_published_space(base: ElasticBert) -> None:
    assert base.space.cardinality == sum(12**n for n in range(6, 13)) == 9_726_654_763_008
    assert len(base.space.names) == 25


# ---------------------------------------------------------------------- files
@torch.no_grad()
def test_files_of_other_spellings_load(small_bert: ElasticBert, randomise) -> None:
    own = {k: v.clone() for k, v in small_bert.state_dict().items()}
    old = {
        k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in own.items()
    }
    assert len(set(old) - set(own)) == 2 * (1 + 2 * 4)
    old["bert.embeddings.position_ids"] = torch.arange(20)[None]
    randomise(small_bert)
    load_weights(small_bert, old, "file")
    assert all(torch.equal(own[k], v) for k, v in small_bert.state_dict().items())


def test_the_entry_builds_what_a_file_calls_for(tmp_path) -> None:
    """Two layers of width 128 (Turc et al., 2019), five classes, a vocabulary of 90."""
    config = ElasticBertConfig(
        name="bert-l2-h128-f512",
        classes=5,
        hidden=128,
        layers=(1, 2),
        heads=(1, 2),
        ffn=(192, 320, 512),
        vocabulary=90,
        positions=40,
        tokens=40,
    )
    net = ElasticBert(config)
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    loaded = ENTRY.load(tmp_path / "model.safetensors")
    assert isinstance(loaded.net, ElasticBert) and loaded.net.config == config
    assert all(torch.equal(net.state_dict()[k], v) for k, v in loaded.net.state_dict().items())
    assert not loaded.net.training and not ENTRY.calibrated and ENTRY.find_task().score_name == "accuracy"
    with pytest.raises(CheckpointError, match="ships no weights"):
        ENTRY.load()


def test_a_file_of_the_base_size_gets_the_catalogues_space(base: ElasticBert) -> None:
    assert ElasticBertConfig.of(base.state_dict()) == BASE
    state = base.state_dict() | {"classifier.weight": torch.zeros(3, 768), "classifier.bias": torch.zeros(3)}
    found = ElasticBertConfig.of(state)
    assert found.classes == 3 and found.name == BASE.name and found.choices() == BASE.choices()


def test_files_of_other_models_are_refused(base: ElasticBert) -> None:
    state = base.state_dict()
    with pytest.raises(CheckpointError, match=r"lack 'classifier.weight'\. A BertForSequenceClassification"):
        ElasticBertConfig.of({k: v for k, v in state.items() if not k.startswith("classifier")})
    narrow = state | {"bert.embeddings.word_embeddings.weight": torch.zeros(10, 100)}
    with pytest.raises(CheckpointError, match="width 100"):
        ElasticBertConfig.of(narrow)
    regression = state | {"classifier.weight": torch.zeros(1, 768)}
    with pytest.raises(CheckpointError, match="one output, as for a regression"):
        ElasticBertConfig.of(regression)
    mini = state | {"bert.embeddings.word_embeddings.weight": torch.zeros(10, 384)}
    assert ElasticBertConfig.of(mini).head_size == 32


def test_parts_say_what_the_model_takes(small_bert: ElasticBert) -> None:
    arch = small_bert.space.smallest()
    (part,) = small_bert.parts(arch, small_bert.subnet(arch))
    assert [i.name for i in part.inputs] == ["input_ids", "attention_mask", "token_type_ids"]
    ids, mask, types = (i.sample(4, np.random.default_rng(0)) for i in part.inputs)
    assert ids.shape == (4, 20) and ids.dtype == np.int64 and ids.min() >= 0 and 40 < ids.max() < 50
    assert (mask == 1).all() and (types == 0).all()
    assert part.inputs[0].dynamic_axes() == {0: "batch", 1: "tokens"}
