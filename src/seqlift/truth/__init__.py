"""A run on simulated data held against what was planted."""

from seqlift.truth.comparison import (
    compare_contributions,
    compare_models,
    compare_with_truth,
    leading_patterns,
)
from seqlift.truth.hits import compare_hits
from seqlift.truth.likelihood import likelihood_ratios, site_ratio

__all__ = [
    "compare_contributions",
    "compare_hits",
    "compare_models",
    "compare_with_truth",
    "leading_patterns",
    "likelihood_ratios",
    "site_ratio",
]
