"""The signal that a profile model expects at each base of the regions of the page, read from its tracks.

A base of a region may lie outside all signal windows: then it has no value, which is not the same as 0.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig

from seqlift.errors import SeqliftError
from seqlift.report.read.run import Run
from seqlift.report.regions.data import Region, short

LEVELS = 254  # steps of a value in a byte; 0 means no value


def predicted_tracks(run: Run) -> dict[int, dict[str, Path]]:
    """Number of a target -> strand (+ and -, or . for the one that there is) -> bigWig, where there is one."""
    if run.head != "profile":
        return {}
    found = {}
    for number, target in enumerate(run.targets):
        one, minus = (run.directory / "tracks" / f"{target}.predicted{strand}.bw" for strand in ("", ".minus"))
        if one.is_file():
            found[number] = {"+": one, "-": minus} if minus.is_file() else {".": one}
    return found


def add_predicted(regions: pd.DataFrame, data: Iterable[Region], tracks: dict[int, dict[str, Path]]) -> None:
    """Add to each region the predicted signal of every target that has a value there.

    `about` gets `predicted`: target, strands, and the step that the values count in; `tracks` gets a byte for each base
    of each strand: 0 where there is no value, else one more than its steps.

    Parameters
    ----------
    regions : pandas.DataFrame
        chrom, start, end of each region.
    data : iterable of Region
        In the same order.
    tracks : dict
        As from `predicted_tracks`.
    """
    data = list(data)
    for region in data:
        region.about["predicted"] = []
    places = list(regions[["chrom", "start", "end"]].itertuples(index=False, name=None))
    for target, paths in tracks.items():
        strands = [_read(path, places) for path in paths.values()]
        for region, *values in zip(data, *strands, strict=True):
            known = np.isfinite(values)
            if not known.any():
                continue
            step = float(np.max(values, where=known, initial=0)) / LEVELS
            steps = np.rint(np.divide(values, step, out=np.zeros_like(values), where=known & (step > 0)))
            region.about["predicted"].append({"target": target, "strands": list(paths), "step": short(step)})
            region.tracks += [row.tobytes() for row in np.where(known, 1 + steps, 0).astype(np.uint8)]


def _read(path: Path, places: list[tuple[str, int, int]]) -> list[np.ndarray]:
    """The values of each place, shape (L,), NaN where there is none."""
    try:
        with pyBigWig.open(str(path)) as track:
            sizes = track.chroms()
            return [
                np.array(track.values(chrom, start, end))
                if end <= sizes.get(chrom, 0)
                else np.full(end - start, np.nan)
                for chrom, start, end in places
            ]
    except RuntimeError as error:
        raise SeqliftError(f"{path}: cannot be read ({error}); make it again with `seqlift tracks predicted`") from None
