"""Search spaces: what can be chosen, and the architectures that choosing gives.

`SearchSpace` is the product of ordered, named, discrete choices, some conditional on others; `TableSpace` is a finite
list of such combinations. `load` gives a space by name or from a file.
"""

from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice, When
from hwsearch.spaces.files import from_dict, from_json, load
from hwsearch.spaces.space import SearchSpace
from hwsearch.spaces.table import TableSpace

__all__ = ["Architecture", "Choice", "SearchSpace", "TableSpace", "When", "from_dict", "from_json", "load"]
