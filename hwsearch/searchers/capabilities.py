"""What a search tactic can do beyond asking and being told."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Capabilities:
    """What a tactic declares that it can do, so that a campaign knows what to give it.

    A tactic sets its class attribute `capabilities`. Those in the second group of attributes are options of the same
    name, which a campaign then passes to the tactic.

    Attributes
    ----------
    incomplete_rows : bool
        The tactic learns from rows of which some objectives are NaN.
    screening : bool
        The tactic has `Searcher.hint` and `Searcher.choose`, by which candidates measured on cheap objectives are
        screened.
    predicted_front : bool
        The tactic has `Searcher.predicted_front`: the front over the whole space, by predictions.
    features : bool
        Takes ``features``: rows to the features that predictors see.
    known : bool
        Takes ``known``: rows to what is known without measuring, such as costs.
    cost : bool
        Takes ``cost``: rows to the cost over which the first sample is spread.
    exact : bool
        Takes ``exact``: objectives that are computed and need not be predicted.
    inner_evaluations : bool
        Takes ``inner_evaluations``: how many architectures are predicted an ask.
    warm_start : bool
        Takes ``warm_start``: rows to predictions from earlier campaigns.
    confidence : bool
        Takes ``confidence``: objective to the probability with which its limit must be met.
    reference : bool
        Takes ``reference``: objective to the value from which on it counts.

    Examples
    --------
    >>> Capabilities(cost=True, screening=True).options()
    ['cost']
    """

    incomplete_rows: bool = False
    screening: bool = False
    predicted_front: bool = False

    features: bool = False
    known: bool = False
    cost: bool = False
    exact: bool = False
    inner_evaluations: bool = False
    warm_start: bool = False
    confidence: bool = False
    reference: bool = False

    def options(self) -> list[str]:
        """List the options that a campaign may pass.

        Returns
        -------
        list of str
            Names of the options, in the order of the attributes.
        """
        names = [
            field.name
            for field in fields(self)
            if field.name not in ("incomplete_rows", "screening", "predicted_front")
        ]
        return [name for name in names if getattr(self, name)]
