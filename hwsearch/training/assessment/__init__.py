"""Assessment of a trained supernet: bands of MACs, gap to stand-alone training, rank correlation, gradient conflict, advice."""

from hwsearch.training.assessment.advice import Advice, Figures, Rule, advise
from hwsearch.training.assessment.bands import BandRow, band_rows, choose_probes, choose_subnets, excess_losses
from hwsearch.training.assessment.conflict import Conflict, gradient_conflict
from hwsearch.training.assessment.estimates import Estimate, difference, mean_of, rank_correlation

__all__ = [
    "Advice",
    "BandRow",
    "Conflict",
    "Estimate",
    "Figures",
    "Rule",
    "advise",
    "band_rows",
    "choose_probes",
    "choose_subnets",
    "difference",
    "excess_losses",
    "gradient_conflict",
    "mean_of",
    "rank_correlation",
]
