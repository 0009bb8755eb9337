"""From the score files of shards to the one of all regions.

`seqlift attribute --shard 2of16` explains a part of the regions. Each shard says which part of how many regions it
holds, so that none can be missing, duplicated or misplaced.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.scores.file import Scores, create_scores, open_scores

PLACE = ("shard", "shards", "first_region", "all_regions")
"""Attributes of a shard that the file of all regions has not."""

_BLOCK = 2**22  # bases at a time: some hundred MB


def gather_scores(paths: Sequence[str | os.PathLike], output: str | os.PathLike) -> int:
    """Write the score file of all regions from those of its shards, given in any order.

    Parameters
    ----------
    paths : sequence of path-like
        The score files of all shards.
    output : path-like
        The score file; it appears when all its rows are written.

    Returns
    -------
    int
        The number of regions.

    Raises
    ------
    SeqliftError
        If a shard is missing or given twice, a file is no shard, or shards are of different models or settings.
    """
    with ExitStack() as stack:
        shards = [stack.enter_context(open_scores(path)) for path in paths]
        shards = _in_order(shards)
        attributes = {key: value for key, value in shards[0].attributes.items() if key not in (*PLACE, "format")}
        coords = pd.concat([shard.coords for shard in shards], ignore_index=True)
        length = shards[0].sequences.shape[2]
        rows = max(1, _BLOCK // length)
        with create_scores(output, coords, length=length, attributes=attributes) as writer:
            for shard in shards:
                for first in range(0, len(shard.coords), rows):
                    writer.copy(shard.sequences.file, slice(first, min(first + rows, len(shard.coords))))
    return len(coords)


def _in_order(shards: list[Scores]) -> list[Scores]:
    """The shards by their rows, if they are all of one whole."""
    for shard in shards:
        if any(key not in shard.attributes for key in PLACE):
            raise SeqliftError(f"{shard.path}: not a shard; gather what `seqlift attribute --shard` made")
    shards = sorted(shards, key=lambda shard: int(shard.attributes["shard"]))
    first = shards[0]
    for shard in shards[1:]:
        for key in sorted({*first.attributes, *shard.attributes} - {"shard", "first_region"}):
            one, other = first.attributes.get(key), shard.attributes.get(key)
            if type(one) is not type(other) or not np.array_equal(np.asarray(one), np.asarray(other)):
                raise SeqliftError(
                    f"{shard.path}: its {key} is {other!r}, but that of {first.path} is {one!r}: they are no shards of "
                    "one whole; explain again what is older"
                )
    count, done = int(first.attributes["shards"]), 0
    numbers = [int(shard.attributes["shard"]) for shard in shards]
    wrong = next((n for n in range(1, count + 1) if numbers.count(n) != 1), None)
    if wrong is not None:
        what = "is missing" if wrong not in numbers else "was given twice"
        raise SeqliftError(f"shard {wrong} of {count} {what}; give all {count} score files, each once")
    for shard in shards:
        if int(shard.attributes["first_region"]) != done:
            raise SeqliftError(
                f"{shard.path}: begins at region {shard.attributes['first_region']}, but the shards before it end at "
                f"{done}: they were made on different machines or by different versions; explain all of them again"
            )
        done += len(shard.coords)
    if done != int(first.attributes["all_regions"]):
        raise SeqliftError(f"{shards[-1].path}: the shards hold {done} of {first.attributes['all_regions']} regions")
    return shards
