"""Where the motifs of the compendium are used: hits of patterns become sites of motifs.

A hit belongs to a pattern of one output and method; through the pattern's place on the consensus it says where, and on
which strand, the whole motif lies. So sites of one motif can be compared whichever of its patterns found them. Two
patterns of a motif may both claim a place; sites of one motif whose middles lie nearer than half its width are one
site, that of the largest contribution.

A site is a row of a table:

================  =================================================================================================
column            what
================  =================================================================================================
motif             number of the motif: 0 is m_0
region            name of the region
start, end        of the consensus laid on the genome; bp, 0-based, end exclusive
strand            on which the consensus reads
contribution      summed under the hit, in units of the output
distance          of the consensus' middle to the region's centre, bp; positive to the right on the + strand
================  =================================================================================================
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.motifs.hits.call import read_hits


@dataclass(frozen=True)
class Placement:
    """How a pattern lies on the consensus of its motif.

    Attributes
    ----------
    motif : int
    reverse : bool
        The pattern's logo is the reverse complement of the consensus.
    offset : int
        Position of the consensus at the first base of the trimmed pattern, oriented like the consensus.
    width : int
        Of the consensus, bp.
    """

    motif: int
    reverse: bool
    offset: int
    width: int


def read_called(folder: str | os.PathLike) -> tuple[pd.DataFrame, int]:
    """What was called in a folder of motifs.

    Parameters
    ----------
    folder : path-like
        With `hits.bed.gz` and `hits.json`.

    Returns
    -------
    hits : pandas.DataFrame
        Columns `hits.PLACES`; text as categories.
    regions : int
        All regions that were searched.

    Raises
    ------
    SeqliftError
        If a file is missing or is not what `seqlift hits` writes.
    """
    path, remedy = Path(folder) / "hits.json", "make it again with `seqlift hits`"
    try:
        regions = int(json.loads(path.read_text(encoding="utf-8"))["regions"])
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; {remedy}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SeqliftError(
            f"{path}: cannot be read, or does not say how many `regions` were searched ({error}); {remedy}"
        ) from None
    return read_hits(Path(folder) / "hits.bed.gz", places_only=True), regions


def motif_sites(hits: pd.DataFrame, placements: Mapping[str, Placement], source: str | os.PathLike) -> pd.DataFrame:
    """Sites of motifs from the hits of one output and method.

    Parameters
    ----------
    hits : pandas.DataFrame
        Of `read_called`.
    placements : mapping of pattern to Placement
    source : path-like
        The file, for messages.

    Returns
    -------
    pandas.DataFrame
        Sorted by motif, region and start, with the columns of this module's table.

    Raises
    ------
    SeqliftError
        If a hit is of a pattern that is not in the compendium.
    """
    names, codes = list(hits["pattern"].cat.categories), hits["pattern"].cat.codes.to_numpy()
    unknown = [name for name in names if name not in placements]
    if unknown:
        raise SeqliftError(
            f"{source}: has hits of the pattern {unknown[0]!r}, which is not among those of the folder; find motifs, "
            "hits and compendium again, in this order"
        )
    placed = [placements[name] for name in names]
    motif, offset, width, reverse = (
        np.array([getattr(one, key) for one in placed], int)[codes] for key in ("motif", "offset", "width", "reverse")
    )
    forward = (hits["strand"].to_numpy() == "+") ^ reverse.astype(bool)
    start = np.where(forward, hits["start"].to_numpy() - offset, hits["end"].to_numpy() + offset - width)
    end = start + width
    shift = (start + end - hits["start"].to_numpy() - hits["end"].to_numpy()) / 2
    sites = pd.DataFrame(
        {
            "motif": motif,
            "region": hits["region"].array,
            "start": start,
            "end": end,
            "strand": pd.Categorical.from_codes((~forward).astype(np.int8), ["+", "-"]),
            "contribution": hits["contribution"].to_numpy(),
            "distance": hits["distance"].to_numpy() + shift,
        }
    )
    sites = sites.sort_values(["motif", "region", "start", "strand"], kind="stable", ignore_index=True)
    return sites[_first_of_each(sites)].reset_index(drop=True)


def _first_of_each(sites: pd.DataFrame) -> np.ndarray:
    """Which of the sorted sites to keep, so that no two of a motif lie nearer than half its width."""
    start, width = sites["start"].to_numpy(), (sites["end"] - sites["start"]).to_numpy()
    group = sites.groupby(["motif", "region"], sort=False, observed=True).ngroup().to_numpy()
    near = (group[1:] == group[:-1]) & (2 * np.diff(start) < width[1:])
    run = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(np.int8)))  # crowds: first, last
    size = sites["contribution"].abs().to_numpy()
    keep = np.ones(len(sites), bool)
    for first, last in zip(run[::2], run[1::2], strict=True):
        crowd = np.arange(first, last + 1)
        taken: list[int] = []
        for site in crowd[np.lexsort((crowd, -size[crowd]))]:
            keep[site] = all(2 * abs(start[site] - start[other]) >= width[site] for other in taken)
            if keep[site]:
                taken.append(site)
    return keep
