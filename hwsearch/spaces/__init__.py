"""Search spaces: what can be chosen, and the architectures that choosing gives."""

from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice, When
from hwsearch.spaces.space import SearchSpace

__all__ = ["Architecture", "Choice", "SearchSpace", "When"]
