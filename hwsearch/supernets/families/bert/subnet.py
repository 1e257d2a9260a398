"""The static subnet of BERT: embeddings, encoder layers, pooler, classifier."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from hwsearch.supernets.families.bert.config import ElasticBertConfig
from hwsearch.supernets.families.encoder.layers import EncoderLayer

#: added to the score of a padded token; its share underflows to zero
MASKED = -10000.0


class BertEmbeddings(nn.Module):
    """Word, position and type embeddings, added and normalised.

    Parameters
    ----------
    config : ElasticBertConfig
        Shape of the supernet.
    """

    def __init__(self, config: ElasticBertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.hidden)
        self.position_embeddings = nn.Embedding(config.positions, config.hidden)
        self.token_type_embeddings = nn.Embedding(config.types, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.norm_eps)

    def forward(self, input_ids_NT: Tensor, token_type_ids_NT: Tensor) -> Tensor:
        """Embed tokens.

        Parameters
        ----------
        input_ids_NT : Tensor
            Numbers of words, of shape (N, T).
        token_type_ids_NT : Tensor
            Numbers of token types, of shape (N, T).

        Returns
        -------
        Tensor
            Embeddings of shape (N, T, hidden).
        """
        positions = self.position_embeddings.weight[: input_ids_NT.shape[1]]
        x = self.word_embeddings(input_ids_NT) + self.token_type_embeddings(token_type_ids_NT) + positions
        return self.LayerNorm(x)  # type: ignore[no-any-return]


class BertSubnet(nn.Module):
    """A plain static subnet; it has no reference to the supernet.

    Parameters
    ----------
    embeddings : BertEmbeddings
        Embeddings.
    layers : sequence of EncoderLayer
        Encoder layers in order.
    pooler : nn.Linear
        Layer on the first token.
    classifier : nn.Linear
        Last layer.
    """

    def __init__(
        self, embeddings: BertEmbeddings, layers: Sequence[EncoderLayer], pooler: nn.Linear, classifier: nn.Linear
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)
        self.pooler = pooler
        self.act = nn.Tanh()
        self.classifier = classifier

    def forward(self, input_ids_NT: Tensor, attention_mask_NT: Tensor, token_type_ids_NT: Tensor) -> Tensor:
        """Compute logits of sequences.

        Parameters
        ----------
        input_ids_NT : Tensor
            Numbers of words, of shape (N, T).
        attention_mask_NT : Tensor
            1 for a token, 0 for padding; of shape (N, T).
        token_type_ids_NT : Tensor
            Numbers of token types, of shape (N, T).

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        x = self.embeddings(input_ids_NT, token_type_ids_NT)
        bias = mask_bias(attention_mask_NT)
        for layer in self.layers:
            x = layer(x, bias)
        return self.classifier(self.act(self.pooler(x[:, 0])))  # type: ignore[no-any-return]


def mask_bias(attention_mask_NT: Tensor) -> Tensor:
    """Compute what is added to attention scores: 0 for tokens, `MASKED` for padding.

    Parameters
    ----------
    attention_mask_NT : Tensor
        1 for a token, 0 for padding; of shape (N, T).

    Returns
    -------
    Tensor
        Bias of shape (N, 1, 1, T).
    """
    return ((1.0 - attention_mask_NT.float()) * MASKED)[:, None, None, :]
