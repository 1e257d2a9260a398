"""Catalogue entry of BERT base."""

from __future__ import annotations

from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.bert.config import BASE, ElasticBertConfig
from hwsearch.supernets.families.bert.supernet import ElasticBert
from hwsearch.tasks.text.task import TextTask

ENTRY = SupernetEntry(
    name=BASE.name,
    summary="BERT base, sentence classification (SST-2), 128 tokens",
    build=lambda: ElasticBert(BASE),
    build_for=lambda state: ElasticBert(ElasticBertConfig.of(state)),
    task=TextTask(),
    calibrated=False,
    card={
        "paper": "Devlin et al., 2019, arXiv 1810.04805; search space of DyNAS-T (Intel)",
        "code_licence": "Apache-2.0",
        "weights_licence": "that of the file you bring",
        "get": "a BertForSequenceClassification of Hugging Face, fine-tuned on the task (model.safetensors)",
    },
)
