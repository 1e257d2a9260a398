"""The shape of an elastic BERT, and how it is read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from hwsearch.errors import CheckpointError
from hwsearch.supernets.checkpoint.reading import shape_of
from hwsearch.supernets.families.bert.names import own_names
from hwsearch.supernets.families.encoder.config import EncoderConfig, count_layers, published_heads, scaled_choices

#: heads by width: BERT base and large; the smaller ones of Turc et al. (2019, arXiv 1908.08962); MiniLM (Wang et al.,
#: 2020, arXiv 2002.10957), whose heads are 32 wide
HEADS = {128: 2, 256: 4, 384: 12, 512: 8, 768: 12, 1024: 16}


EXPECTED = "A BertForSequenceClassification of Hugging Face is expected."


@dataclass(frozen=True, kw_only=True)
class ElasticBertConfig(EncoderConfig):
    """All that fixes the shape of the supernet; its defaults are those of BERT base.

    Further fields are those of `EncoderConfig`.

    Attributes
    ----------
    vocabulary : int
        Rows of the word embedding.
    positions : int
        Rows of the position embedding.
    types : int
        Rows of the token-type embedding.
    tokens : int
        Length of the sequences that are timed, counted and evaluated; longer ones are cut.
    """

    classes: int = 2
    norm_eps: float = 1e-12
    layers: tuple[int, ...] = (6, 7, 8, 9, 10, 11, 12)
    vocabulary: int = 30522
    positions: int = 512
    types: int = 2
    tokens: int = 128

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> ElasticBertConfig:
        """Read the configuration from a file's tensors.

        Parameters
        ----------
        state : mapping
            Name → tensor.

        Returns
        -------
        ElasticBertConfig
            Configuration of the network that they fit.

        Raises
        ------
        CheckpointError
            If they are of another kind of model, or of a regression.
        """
        state = own_names(state)
        shape = lambda name, axes: shape_of(state, name, axes, EXPECTED)  # noqa: E731
        vocabulary, hidden = shape("bert.embeddings.word_embeddings.weight", 2)
        positions, types = (shape(f"bert.embeddings.{n}_embeddings.weight", 2)[0] for n in ("position", "token_type"))
        ffn = shape("bert.encoder.layer.0.intermediate.dense.weight", 2)[0]
        classes = shape("classifier.weight", 2)[0]
        if classes < 2:
            raise CheckpointError("the weights have one output, as for a regression; a classification is expected.")
        layers = count_layers(list(state), "bert.encoder.layer.")
        heads = published_heads(hidden, HEADS)
        some_heads, some_units = scaled_choices(heads, ffn)
        base = (layers, hidden, ffn) == (12, 768, 3072)
        return cls(
            name=BASE.name if base else f"bert-l{layers}-h{hidden}-f{ffn}",
            classes=classes,
            hidden=hidden,
            head_size=hidden // heads,
            layers=tuple(range((layers + 1) // 2, layers + 1)),
            heads=some_heads,
            ffn=some_units,
            vocabulary=vocabulary,
            positions=positions,
            types=types,
            tokens=min(128, positions),
        )


BASE = ElasticBertConfig(name="bert-base-sst2")
