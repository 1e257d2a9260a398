"""Translation: sentence pairs, beam search and BLEU."""

from hwsearch.tasks.translation.bleu import Bleu
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.task import TranslationTask
from hwsearch.tasks.translation.vocabulary import Subwords, Vocabulary

__all__ = ["Bleu", "Subwords", "TranslationData", "TranslationTask", "Vocabulary"]
