"""What lies on the regions of the page: peaks, hits or seqlets, and planted sites, each found by its coordinates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.data.intervals import read_peaks
from seqlift.errors import SeqliftError

LINES = 100_000  # of a file of hits in memory at a time


@dataclass(frozen=True)
class HitFile:
    """Where the hits (`hits.bed.gz`), or else the seqlets (`seqlets.bed.gz`), of one output and method are."""

    output: str
    method: str
    path: Path
    stage: str


def overlaps(regions: pd.DataFrame, marks: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Pairs (row of `regions`, row of `marks`) that share a base; both have chrom, start, end, 0-based, end exclusive.

    `regions` are sorted by chrom and start and all of one length.
    """
    places = {chrom: part.index for chrom, part in regions.groupby("chrom", sort=False)}
    for chrom, part in marks.groupby("chrom", sort=False):
        if chrom not in places:
            continue
        index = places[chrom].to_numpy()
        starts, ends = (regions[column].to_numpy()[index] for column in ("start", "end"))
        first = np.searchsorted(ends, part["start"].to_numpy(), side="right")
        last = np.searchsorted(starts, part["end"].to_numpy(), side="left")
        rows = part.index.to_numpy()
        for i in np.flatnonzero(last > first):
            for region in index[first[i] : last[i]]:
                yield int(region), int(rows[i])


def peaks_on(regions: pd.DataFrame, peaks: dict[str, dict]) -> tuple[list[list], list[str]]:
    """Peaks of each region: [number of the target, start, end, name]; and the targets whose file is gone.

    Parameters
    ----------
    regions : pandas.DataFrame
    peaks : dict
        target -> what regions.json says of its peaks, with `path`.
    """
    found: list[list] = [[] for _ in range(len(regions))]
    gone = []
    for i, (target, about) in enumerate(peaks.items()):
        if not Path(about["path"]).is_file():
            gone.append(target)
            continue
        table = read_peaks(about["path"])
        starts, ends, names = (table[column].to_numpy() for column in ("start", "end", "name"))
        for region, row in overlaps(regions, table):
            found[region].append([i, int(starts[row]), int(ends[row]), names[row] if names[row] != "." else ""])
    return found, gone


def hits_on(regions: pd.DataFrame, files: list[HitFile]) -> pd.DataFrame:
    """All hits that overlap the regions, one row for each pair.

    Returns
    -------
    pandas.DataFrame
        region (row of `regions`), output, method, pattern, chrom, start, end (bp, 0-based, end exclusive), strand,
        contribution (summed under the hit); sorted by region, start, output, method and pattern.
    """
    columns = ["region", "output", "method", "pattern", "chrom", "start", "end", "strand", "contribution"]
    parts = []
    for file in files:
        for table in _read_blocks(file):
            pairs = list(overlaps(regions, table))
            if pairs:
                region, row = map(list, zip(*pairs, strict=True))
                block = table.loc[row].assign(region=region, output=file.output, method=file.method)
                parts.append(block[columns])
    if not parts:
        return pd.DataFrame(columns=columns)
    order = ["region", "start", "end", "output", "method", "pattern", "strand"]
    found = pd.concat(parts).sort_values(order, kind="stable")
    return found.drop_duplicates(order, ignore_index=True)  # a seqlet of overlapping regions is listed twice


def _read_blocks(file: HitFile) -> Iterator[pd.DataFrame]:
    again = f"make it again with `seqlift {file.stage}`"
    text = {"chrom": str, "pattern": str, "strand": str}
    try:
        blocks = pd.read_csv(file.path, sep="\t", chunksize=LINES, dtype={"#chrom": str} | text, keep_default_na=False)
        for block in blocks:
            yield block.rename(columns={"#chrom": "chrom"})[[*text, "start", "end", "contribution"]]
    except FileNotFoundError:
        raise SeqliftError(f"{file.path}: no such file; {again}") from None
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise SeqliftError(f"{file.path}: cannot be read ({' '.join(str(error).split())}); {again}") from None
