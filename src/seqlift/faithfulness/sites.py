"""Known sites: how well the size of a base's contribution tells bases inside true sites from all others.

This is motif recovery as in arXiv 1704.02685, 4.2: on simulated data the sites are known. Sites belong to the target of
their name; where none of the BED file's names is that of the target, all of its sites count.
"""

import os

import numpy as np
import pandas as pd

from seqlift.core.metrics import LEVEL, RESAMPLES, auroc_auprc, resampled, resampled_areas
from seqlift.data.intervals import read_peaks
from seqlift.errors import SeqliftError
from seqlift.faithfulness.curves import Estimate


def inside_sites(path: str | os.PathLike, target: str, coords: pd.DataFrame) -> np.ndarray:
    """Whether each base of each region lies in a true site of the target.

    Parameters
    ----------
    path : path-like
        BED; the fourth column names the target, or the motif, of each site.
    target : str
    coords : pandas.DataFrame, N rows
        chrom, start, end (bp, 0-based, end exclusive), all of one length L.

    Returns
    -------
    numpy.ndarray, shape (N, L), bool

    Raises
    ------
    SeqliftError
        If the file cannot be read, or no base or every base of the regions lies in a site.
    """
    sites = read_peaks(path)
    if (sites["name"] == target).any():
        sites = sites[sites["name"] == target]
    by_chrom = {chrom: part for chrom, part in sites.groupby("chrom")}
    length = int(coords["end"].iloc[0] - coords["start"].iloc[0])
    inside = np.zeros((len(coords), length), bool)
    for i, (chrom, start, end) in enumerate(zip(coords["chrom"], coords["start"], coords["end"], strict=True)):
        here = by_chrom.get(chrom, sites.iloc[:0])
        here = here[(here["start"] < end) & (here["end"] > start)]
        for first, last in zip(here["start"] - start, here["end"] - start, strict=True):
            inside[i, max(0, first) : last] = True
    if inside.all() or not inside.any():
        raise SeqliftError(
            f"{path}: {int(inside.sum())} of the {inside.size} bases of the {len(coords)} regions that are judged for "
            f"{target!r} lie in its sites; give the true sites of this genome, or leave --truth out"
        )
    return inside


def recovery(contributions: np.ndarray, inside: np.ndarray, seed: int) -> tuple[Estimate, Estimate]:
    """AUROC and AUPRC of |contribution|, over the bases of all regions together; intervals by resampling regions.

    Parameters
    ----------
    contributions : numpy.ndarray, shape (N, L)
    inside : numpy.ndarray, shape (N, L), bool
    seed : int
        Of the bootstrap.
    """
    size, (n, length) = np.abs(contributions).ravel(), contributions.shape
    times = (np.repeat(np.bincount(rows, minlength=n), length) for rows in resampled(n, RESAMPLES, seed))
    drawn = resampled_areas(size, inside.ravel(), times)
    auroc, auprc = auroc_auprc(size, inside.ravel())
    low = high = np.full(2, np.nan)
    if np.isfinite(drawn).all():  # no draw is without any site
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Estimate(auroc, float(low[0]), float(high[0])), Estimate(auprc, float(low[1]), float(high[1]))
