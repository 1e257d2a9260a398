"""Options of the default tactic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from hwsearch.searchers.options import InnerEvolutionOptions, RowFeatures, RowFunction, function_option


class PlumbOptions(InnerEvolutionOptions):
    """Options of the default tactic."""

    known: RowFeatures | None = function_option(
        "Rows to what is known of architectures without measuring (n, columns): costs, predictions of other devices; "
        "default: what the space says of them, or where the values of ranges of numbers lie (`Choice.between`)."
    )
    warm_start: RowFeatures | None = function_option(
        "Rows to predictions of what earlier campaigns measured (n, columns), whose weight is found from the data."
    )
    cost: RowFunction | None = function_option(
        "Rows to a positive cost (n,) that the first sample is spread over; default: the sum of the genes' places."
    )
    exact: Mapping[str, RowFunction] | None = function_option(
        "Objective to a function of rows, for what can be computed (macs, params) and need not be predicted."
    )
    confidence: Mapping[str, Annotated[float, Field(ge=0.5, lt=1.0)]] | None = function_option(
        "Objective to the probability with which its limit must be met; default: as likely as not."
    )
    start: int = Field(20, ge=2, description="Size of the first sample.")
    inner_evaluations: int = Field(
        40_000, ge=2, description="Predicted architectures an ask; a space of at most 20,000 is predicted whole."
    )
    population: int = Field(200, ge=2, description="Population of the inner NSGA-II, at most `inner_evaluations`.")
