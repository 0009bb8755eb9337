"""The settings that regions are made with, and the values they may have."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqlift.errors import SeqliftError

NEGATIVES = {
    "genome": "drawn from the genome away from all peaks, matched in GC content",
    "shuffled": "dinucleotide shuffles of the regions with peaks",
    "unbound": "summits of negatives_file away from all peaks (open but unbound), matched in GC content",
    "bed": "the intervals of negatives_file, away from all peaks, at random where there are more than asked for",
}
FROM_FILE = ("unbound", "bed")


@dataclass(frozen=True)
class RegionSettings:
    """How regions are made; the rules are those of `seqlift.regions.make.make_regions`.

    Attributes
    ----------
    length : int
        Of each window (bp).
    valid, test : sequences of str
        Chromosomes, shell patterns of them, or intervals (`chr20:1-40000000`: 1-based, both ends included) held out;
        everything else that is not excluded is for training.
    folds : int
        Instead of `valid` and `test`: into how many folds to deal out the chromosomes; 0 for none.
    negatives : str
        One of `NEGATIVES`.
    negatives_file : path, optional
        Peaks for "unbound", BED for "bed".
    negative_sets : int
        Sets of negatives for training, of which each epoch sees one.
    ratio : float
        Negatives for each region with a peak, in each set.
    min_distance, merge_distance, jitter_margin : int
        In bp. `merge_distance` is smaller than half the length, so that a merged summit lies inside the window.
    top_fraction, max_n_fraction : float
        Between 0 and 1.
    exclude_chromosomes : sequence of str
        Shell patterns, as `chrUn_*`. Their peaks may be on chromosomes that the FASTA file lacks.
    exclude_regions, include_regions : sequences of paths
        BED files. A region may overlap no interval of the first, and must lie inside each of the second.
    background : int
        Random windows of each test split, not matched in GC content, for metrics at the true imbalance.
    signal_window : int, optional
        In the middle of each region, what the signal is summed over (bp); the whole region if not given.
    missing : {"zero", "mask"}
        What a base without a value in a bigWig means: nothing there, or not known.
    negative : {"refuse", "clip", "absolute"}
        What to do with values below 0 in a bigWig.
    seed : int
        Of the drawing of negatives.
    """

    length: int
    valid: Sequence[str] = ()
    test: Sequence[str] = ()
    folds: int = 0
    negatives: str = "genome"
    negatives_file: str | os.PathLike | None = None
    negative_sets: int = 1
    ratio: float = 1.0
    min_distance: int = 1000
    merge_distance: int = 0
    top_fraction: float = 1.0
    max_n_fraction: float = 0.1
    jitter_margin: int = 0
    exclude_chromosomes: Sequence[str] = ()
    exclude_regions: Sequence[str | os.PathLike] = ()
    include_regions: Sequence[str | os.PathLike] = ()
    background: int = 0
    signal_window: int | None = None
    missing: str = "zero"
    negative: str = "refuse"
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise SeqliftError if a value is out of range, or two do not go together."""
        self._check_numbers()
        if self.negatives not in NEGATIVES:
            raise SeqliftError(f"negatives is {self.negatives!r}, must be one of {', '.join(NEGATIVES)}")
        if self.negatives in FROM_FILE and self.negatives_file is None:
            raise SeqliftError(f"negatives {self.negatives!r} come from a file; name it in negatives_file")
        if self.negatives not in FROM_FILE and self.negatives_file is not None:
            raise SeqliftError(
                f"negatives_file ({self.negatives_file}) is not used by negatives {self.negatives!r}; delete it, or "
                f"set negatives to {' or '.join(FROM_FILE)}"
            )
        if self.folds and (self.valid or self.test):
            raise SeqliftError(f"folds ({self.folds}) stand instead of valid and test; delete one or the other")
        if not self.folds and not (self.valid and self.test):
            raise SeqliftError("name the valid and the test chromosomes (or intervals of them), or a number of folds")

    def _check_numbers(self) -> None:
        if self.length < 1:
            raise SeqliftError(f"length ({self.length}) must be at least 1 bp")
        if not 0 <= self.ratio < np.inf:
            raise SeqliftError(f"ratio ({self.ratio}) must not be negative: it is the number of negatives a positive")
        if self.min_distance < 0:
            raise SeqliftError(f"min_distance ({self.min_distance}) must not be negative")
        if not 0 <= self.merge_distance <= (self.length - 1) // 2:
            raise SeqliftError(
                f"merge_distance ({self.merge_distance}) must be from 0 to {(self.length - 1) // 2}: below half of "
                f"length ({self.length}), so that summits merged into a region lie inside its window"
            )
        if not 0 < self.top_fraction <= 1:
            raise SeqliftError(
                f"top_fraction ({self.top_fraction}) must be above 0 and at most 1: the share of peaks to keep"
            )
        if not 0 <= self.max_n_fraction <= 1:
            raise SeqliftError(
                f"max_n_fraction ({self.max_n_fraction}) must be from 0 to 1: the largest share of N in a window"
            )
        if self.jitter_margin < 0:
            raise SeqliftError(f"jitter ({self.jitter_margin}) must not be negative")
        if self.negative_sets < 1:
            raise SeqliftError(f"negative_sets ({self.negative_sets}) must be at least 1")
        if self.background < 0:
            raise SeqliftError(f"background ({self.background}) must not be negative: it is a number of windows")
        if self.signal_window is not None and not 1 <= self.signal_window <= self.length:
            raise SeqliftError(
                f"signal_window ({self.signal_window}) must be from 1 to length ({self.length}): it lies in each region"
            )
