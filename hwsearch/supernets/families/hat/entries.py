"""Catalogue entry of HAT for WMT'14 English-German."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from hwsearch.errors import CheckpointError
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.supernet import HatTransformer
from hwsearch.supernets.families.hat.weights import EMBEDDINGS
from hwsearch.tasks.translation.task import TranslationTask
from hwsearch.tasks.translation.vocabulary import Subwords


def build_for(state: Mapping[str, Tensor]) -> HatTransformer:
    """Build the WMT'14 En-De supernet with the vocabulary of a file's embedding.

    Parameters
    ----------
    state : mapping
        Name → tensor in the file.

    Returns
    -------
    HatTransformer
        The supernet, weights not loaded.

    Raises
    ------
    CheckpointError
        If the file has no embedding.
    """
    embedding = next((state[k] for k in EMBEDDINGS if k in state), None)
    if embedding is None or embedding.ndim != 2:
        raise CheckpointError(
            f"there is no embedding {EMBEDDINGS[0]!r} in the file.", hint="It is a file of another family."
        )
    return HatTransformer(replace(HatConfig(), vocabulary=len(embedding)))


ENTRY = SupernetEntry(
    name=HatConfig.name,
    summary="HAT Transformer, WMT'14 English-German, space0",
    build=lambda: HatTransformer(HatConfig()),
    build_for=build_for,
    task=TranslationTask(Subwords("en", "de")),
    calibrated=False,
    card={
        "paper": "Wang et al., 2020, arXiv 2005.14187",
        "code_licence": "MIT",
        "weights_licence": "none stated",
        "get": "the file 'HAT_wmt14ende_super_space0.pt' that the README of mit-han-lab/hardware-aware-transformers links",
        "published_bleu": {
            "note": "newstest2014, beam 4, length penalty 0.6, compounds split; subnets trained again from scratch, "
            "of the supernet's own weights none is published",
            "TITAN Xp": {"57.1 ms": 25.8, "91.2 ms": 27.6, "126.0 ms": 27.9, "146.7 ms": 28.1, "208.1 ms": 28.5},
        },
    },
)
