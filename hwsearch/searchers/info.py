"""Facts of a search tactic's last ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from hwsearch._json import JsonObject
from hwsearch.errors import SearchError


@dataclass(frozen=True)
class AskInfo:
    """Facts that a tactic tells about its last ask; all of it is optional.

    Attributes
    ----------
    round : int
        How often the tactic has predicted; 0 during the first sample.
    told : int
        Measured architectures it knew.
    inner_evaluations : int or None
        Architectures predicted for this ask; None before predicting.
    expected_gain : float or None
        Expected joint hypervolume improvement of the asked architectures, as a share of the hypervolume of the
        measured front. None if not known. A search may stop when this is not worth the measurements.
    explored : int or None
        Architectures of the batch chosen for uncertainty instead of for their mean, by tactics that distinguish the two.
    scores : dict
        Objective to scores of its predictor on rows left out (``mae``, ``mape`` in percent, ``spearman``, ``kendall``);
        None where a score is undefined.

    Examples
    --------
    >>> AskInfo(round=1, told=20, expected_gain=0.03).to_dict()
    {'round': 1, 'told': 20, 'expected_gain': 0.03}
    """

    round: int = 0
    told: int = 0
    inner_evaluations: int | None = None
    expected_gain: float | None = None
    explored: int | None = None
    scores: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def to_dict(self) -> JsonObject:
        """Write the info as JSON-able data.

        Returns
        -------
        dict
            `round`, `told`, and of the other attributes those that are known.
        """
        extra = {"inner_evaluations": self.inner_evaluations, "expected_gain": self.expected_gain}
        known = {k: v for k, v in {**extra, "explored": self.explored}.items() if v is not None}
        scores = {"scores": {k: dict(v) for k, v in self.scores.items()}} if self.scores else {}
        return {"round": self.round, "told": self.told, **known, **scores}

    @classmethod
    def from_dict(cls, data: JsonObject) -> Self:
        """Read what `to_dict` gave.

        Parameters
        ----------
        data : mapping
            As of `to_dict`.

        Returns
        -------
        AskInfo
            An equal info.

        Raises
        ------
        SearchError
            If a key is unknown.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise SearchError(f"the info of an ask has an unknown key: {error}.") from error
