"""Which regions the page holds: limited by a stated size, so that a page of any run can be passed around.

The examples come first. Then every output in turn gives the region with its highest prediction that is not yet there,
until the next one would exceed the size; the first one is there whatever its size. A region is shown with all outputs
and methods that scored it.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.scores.file import open_scores

BUDGET = 10_000_000  # characters of the page, at most; fewer where motifs and figures take more
PER_BASE = 2.0  # characters that one base of one method takes: contribution and error, packed, as base64; measured
PER_TRACK = 400  # characters of its other numbers


@dataclass(frozen=True)
class Choice:
    """The regions of the page.

    Attributes
    ----------
    regions : pandas.DataFrame
        name, chrom, start, end; sorted by chrom, start and name.
    scored : int
        Regions that were scored for any output.
    """

    regions: pd.DataFrame
    scored: int


def choose_regions(paths: dict[str, list[Path]], examples: list[str], length: int, budget: int = BUDGET) -> Choice:
    """Choose the regions of the page.

    Parameters
    ----------
    paths : dict
        output -> its score files, the first of which gives the order.
    examples : list of str
        Names of regions that come before all others, in this order.
    length : int, bp
    budget : int
        Size of all packed regions, in characters.
    """
    tables: list[pd.DataFrame] = []
    tracks: dict[str, int] = {}
    most = 2 * int(budget / (PER_BASE * length + PER_TRACK) + len(examples)) + 1  # rows that can matter of an output
    for files in paths.values():
        for i, path in enumerate(files):
            with open_scores(path) as scores:
                for name in scores.coords["name"]:
                    tracks[name] = tracks.get(name, 0) + 1
                if i == 0:
                    order = np.argsort(-scores.prediction[:], kind="stable")
                    wanted = np.isin(scores.coords["name"].to_numpy()[order], examples)
                    wanted[:most] = True
                    tables.append(scores.coords[["name", "chrom", "start", "end"]].iloc[order[wanted]])
    cost = {name: n * (PER_BASE * length + PER_TRACK) for name, n in tracks.items()}
    first = [name for name in examples if name in cost]
    used = 0.0
    seen: set[str] = set()
    for name in itertools.chain(first, _in_turn([table["name"].to_numpy() for table in tables])):
        if name in seen:
            continue
        if seen and used + cost[name] > budget:
            break
        seen.add(name)
        used += cost[name]
    every = pd.concat(tables).drop_duplicates("name")
    regions = every[every["name"].isin(seen)].sort_values(["chrom", "start", "name"], ignore_index=True)
    return Choice(regions, len(tracks))


def _in_turn(lists: list[np.ndarray]) -> Iterator[str]:
    for rank in range(max(map(len, lists), default=0)):
        yield from (names[rank] for names in lists if rank < len(names))
