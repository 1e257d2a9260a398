"""Certified accuracy: bounds of a network's outputs over all inputs near an image, by interval bound propagation."""

from hwsearch.accuracy.certified import affine, elementwise  # noqa: F401  their rules register themselves
from hwsearch.accuracy.certified.interval import Interval, Watch
from hwsearch.accuracy.certified.margins import margin_bounds
from hwsearch.accuracy.certified.score import check_bounds, interval_outputs, parse_epsilon, verified_score

__all__ = [
    "Interval",
    "Watch",
    "check_bounds",
    "interval_outputs",
    "margin_bounds",
    "parse_epsilon",
    "verified_score",
]
