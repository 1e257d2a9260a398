"""Classification of sentences and of pairs of sentences."""

from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.text.task import TextTask
from hwsearch.tasks.text.tokenizer import TextPreprocess, WordPiece

__all__ = ["TextData", "TextPreprocess", "TextTask", "WordPiece"]
