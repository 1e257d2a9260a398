"""Search spaces: what can be chosen, and the architectures that choosing gives."""

from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice, When
from hwsearch.spaces.files import load
from hwsearch.spaces.space import SearchSpace
from hwsearch.spaces.table import TableSpace

__all__ = ["Architecture", "Choice", "SearchSpace", "TableSpace", "When", "load"]
