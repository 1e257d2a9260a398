"""Parts of a training: checked settings that tell one run from another, and state that a run resumes with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hwsearch._json import JsonObject
from hwsearch.errors import TrainingError, nearest


class Part(BaseModel):
    """The base of strategies and of the parts that they assemble: a model of settings, frozen and without unknown keys.

    Fields are the settings; their JSON is the part's share of a run's identity. What a part learns while it is used is
    kept in private attributes, and given to `state_dict` where a resumed run needs it. Settings are strict: ``true`` is no
    number, and ``"2"`` neither; a list of TOML for a tuple is taken where the field says ``Field(strict=False)``.

    Raises
    ------
    TrainingError
        If a setting is unknown or not valid.

    Examples
    --------
    >>> class Mine(Part):
    ...     share: float = 0.5
    >>> Mine(share=0.25).identity()
    {'part': 'Mine', 'share': 0.25}
    >>> Mine(shar=0.25)
    Traceback (most recent call last):
    ...
    hwsearch.errors.TrainingError: Mine has no setting 'shar'. Did you mean 'share'?
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )

    if not TYPE_CHECKING:  # the type checker sees the fields

        def __init__(self, /, **given: object) -> None:
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise _explained(type(self), error) from error

    def identity(self) -> JsonObject:
        """Describe kind and settings, nested parts included.

        Returns
        -------
        dict of str to object
            ``part``, the name of the class, and every field.
        """
        return {"part": type(self).__name__} | {name: _plain(getattr(self, name)) for name in type(self).model_fields}

    def state_dict(self) -> dict[str, Any]:
        """Collect what the part has learnt since training began.

        Returns
        -------
        dict of str to object
            Numbers, texts, tensors, and lists and dicts of them; by default what the parts in its fields have learnt.
        """
        return {name: state for name, part in self._inner() if (state := part.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` collected.

        Parameters
        ----------
        state : dict of str to object
            Of a part with the same settings, after the same preparation.
        """
        for name, part in self._inner():
            part.load_state_dict(state.get(name, {}))

    def _inner(self) -> list[tuple[str, Part]]:
        found = [(name, getattr(self, name)) for name in type(self).model_fields]
        return [(name, value) for name, value in found if isinstance(value, Part)]


def _plain(value: object) -> object:
    if isinstance(value, Part):
        return value.identity()
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _explained(kind: type[Part], error: ValidationError) -> TrainingError:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"])) or "settings"
    if first["type"] == "extra_forbidden":
        return TrainingError(f"{kind.__name__} has no setting {name!r}.", hint=nearest(name, list(kind.model_fields)))
    return TrainingError(f"{kind.__name__}: {name}={first['input']!r} is not valid: {first['msg']}.")
