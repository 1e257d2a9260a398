"""Declare, check and describe the options of search tactics.

Each tactic has one pydantic model of its options. The model is the only place where an option's type, range, default
and description stand; errors, the table in the documentation and `help` are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, Union, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError, nearest

#: maps index arrays (n, genes) to a number an architecture (n,)
RowFunction = Callable[[IntArray], FloatArray]
#: maps index arrays (n, genes) to numbers (n, columns)
RowFeatures = Callable[[IntArray], FloatArray]

#: how an annotation without a range is written
WORDS = {int: "integer", float: "number", str: "text", bool: "true or false", NoneType: "None"}


class SearcherOptions(BaseModel):
    """The options of a tactic that has none, and the base of all option models.

    Numbers must be finite and of the annotated kind: a bool or a text is not a number. NumPy scalars count as Python
    ones and lists as tuples. Options that are functions are declared with `function_option`; they are not part of a
    searcher's state.

    Examples
    --------
    >>> from pydantic import Field
    >>> class MyOptions(SearcherOptions):
    ...     population: int = Field(50, ge=2, description="Size of a generation.")
    >>> MyOptions(population=20).settings()
    {'population': 20}
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _python_values(cls, given: object) -> object:
        return {k: _python_value(v) for k, v in given.items()} if isinstance(given, dict) else given

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        """Append the fields' descriptions to the docstring, in NumPy form."""
        super().__pydantic_init_subclass__(**kwargs)
        head = (cls.__doc__ or "").split("\n\nAttributes\n")[0].rstrip()
        body = "".join(
            f"\n{row.name} : {row.type}, default {row.default}\n    {row.description}" for row in describe(cls)
        )
        cls.__doc__ = f"{head}\n\nAttributes\n----------{body}\n" if body else cls.__doc__

    def settings(self) -> JsonObject:
        """Collect the options that are part of a searcher's state.

        Returns
        -------
        dict
            Name to JSON value of all options but functions.
        """
        return self.model_dump(mode="json")


def function_option(description: str) -> Any:
    """Declare an option that is a function, or several, and None by default.

    Parameters
    ----------
    description : str
        One sentence for the documentation.

    Returns
    -------
    Any
        A pydantic field that is left out of `SearcherOptions.settings`.
    """
    return Field(None, exclude=True, description=description)


class OptionRow(NamedTuple):
    """One option of a tactic, as the documentation shows it.

    Attributes
    ----------
    name : str
        The keyword.
    type : str
        Kind and range of the values, such as ``integer >= 2 or None``.
    default : str
        The default as a Python literal.
    description : str
        What the option does.
    """

    name: str
    type: str
    default: str
    description: str


def describe(model: type[SearcherOptions]) -> list[OptionRow]:
    """Describe the options of a model.

    Parameters
    ----------
    model : type of SearcherOptions
        The options of one tactic.

    Returns
    -------
    list of OptionRow
        One row an option, in the order of declaration.
    """
    return [
        OptionRow(name, _field_words(field), repr(field.default), field.description or "")
        for name, field in model.model_fields.items()
    ]


class InnerEvolutionOptions(SearcherOptions):
    """The base of the options of tactics that seek candidates by evolution on predictions.

    A subclass declares both options, with defaults of its own; a population that is larger than the number of evaluations
    is refused.
    """

    if TYPE_CHECKING:
        inner_evaluations: int
        population: int

    @model_validator(mode="after")
    def _population_fits(self) -> Self:
        if self.inner_evaluations < self.population:
            raise SearchError(
                f"inner_evaluations={self.inner_evaluations} is less than population={self.population}.",
                hint="Use inner_evaluations >= population.",
            )
        return self


def parse_options(tactic: str, model: type[SearcherOptions], given: Mapping[str, object]) -> SearcherOptions:
    """Check keyword options against a tactic's model.

    Parameters
    ----------
    tactic : str
        Name of the tactic, for errors.
    model : type of SearcherOptions
        Its options.
    given : mapping of str to object
        Keywords and values.

    Returns
    -------
    SearcherOptions
        An instance of `model`.

    Raises
    ------
    SearchError
        If an option is unknown, or a value has the wrong kind or is out of range.
    """
    try:
        return model(**given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            hint = nearest(option, list(model.model_fields))
            raise SearchError(f"tactic {tactic!r} has no option {option!r}.", hint=hint) from error
        field = model.model_fields[option]
        value = given[option]
        words = list(get_args(field.annotation)) if get_origin(field.annotation) is Literal else []
        raise SearchError(
            f"tactic {tactic!r}: {option}={value!r} is not valid; {option} must be {_field_words(field)}.",
            hint=nearest(value, words) if words and isinstance(value, str) else None,
        ) from error


def _python_value(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_python_value, value)) if isinstance(value, list) else value


def _field_words(field: FieldInfo) -> str:
    return _words(field.annotation, field.metadata)


def _words(hint: Any, metadata: Any = ()) -> str:
    """Describe kind and range of an annotation: ``number in [0, 1] or None``."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [m for part in inner[1:] for m in (part.metadata if isinstance(part, FieldInfo) else [part])]
        return _words(inner[0], limits)
    if origin in (Union, UnionType):
        return " or ".join(_words(h, () if h is NoneType else metadata) for h in inner)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, inner))
    if origin is tuple:
        return f"({', '.join(map(_words, inner))})"
    if origin is Callable:
        return "function"
    if inner and issubclass(origin, Mapping):
        return f"mapping of {_words(inner[0])} to {_words(inner[1])}"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint))) + _range(metadata)


def _range(metadata: Any) -> str:
    found = {name: getattr(m, name) for m in metadata for name in ("ge", "gt", "le", "lt") if hasattr(m, name)}
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    if low is not None and high is not None:
        return f" in {'[' if 'ge' in found else '('}{low}, {high}{']' if 'le' in found else ')'}"
    if low is not None:
        return f" {'>=' if 'ge' in found else '>'} {low}"
    return f" {'<=' if 'le' in found else '<'} {high}" if high is not None else ""
