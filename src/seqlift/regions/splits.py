"""Splits: the parts of the genome for training, validation and test.

Neighbouring windows share bases, so a split consists of whole chromosomes or of long intervals of them. A window
belongs to the split that contains all of it, with the room for jitter on either side; one across a border between two
splits belongs to none. So windows of two splits never share a base.

Validation and test parts are named as `chr8`, by a shell pattern as `chr1?`, or as an interval as browsers write it:
`chr20:1-40000000` is the first 40 million bases (1-based, both ends included), `chr20:40000001-` the rest. With folds,
whole chromosomes are assigned to folds with about the same number of peaks.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
import pandas as pd

from seqlift.data.chromosomes import name_mapping, some
from seqlift.errors import SeqliftError

INTERVAL = re.compile(r"(?P<chrom>.+):(?P<first>[0-9,]*[0-9])-(?P<last>[0-9,]*)")


class Splits:
    """The parts of a genome that belong to each split.

    Parameters
    ----------
    parts : mapping of str to sequence of (start, end, split)
        Chromosome -> its parts in rising order (bp, 0-based, end exclusive), which cover it without gap or overlap.
        Chromosomes that are left out are excluded.
    names : sequence of str
        Names of the splits, in the order of tables and messages.
    """

    def __init__(self, parts: Mapping[str, Sequence[tuple[int, int, str]]], names: Sequence[str]):
        self.names = list(names)
        self.parts: dict[str, list[tuple[int, int, str]]] = {}
        for chrom, stretches in parts.items():  # neighbouring parts of one split become one
            runs = [(split, list(run)) for split, run in groupby(stretches, itemgetter(2))]
            self.parts[chrom] = [(run[0][0], run[-1][1], split) for split, run in runs]

    def __contains__(self, chrom: str) -> bool:
        return chrom in self.parts

    def of(self, windows: pd.DataFrame, margin: int = 0) -> np.ndarray:
        """The split of each window (`chrom`, `start`, `end`), shape (N,); '' across a border or on no part.

        `margin` bp on either side must lie in the same split.
        """
        start, end = windows["start"].to_numpy() - margin, windows["end"].to_numpy() + margin
        found = np.full(len(windows), "", dtype=object)
        for chrom, rows in windows.groupby("chrom", observed=True).indices.items():
            for first, last, split in self.parts.get(chrom, []):
                found[rows[(start[rows] >= first) & (end[rows] <= last)]] = split
        return found

    def of_positions(self, chroms: pd.Series, positions: pd.Series) -> np.ndarray:
        """The split that each base lies in, '' on excluded chromosomes."""
        return self.of(pd.DataFrame({"chrom": chroms, "start": positions, "end": positions + 1}))

    def describe(self) -> dict[str, list[str]]:
        """Split -> its chromosomes and intervals, as in a config."""
        described: dict[str, list[str]] = {name: [] for name in self.names}
        for chrom, stretches in self.parts.items():
            for first, last, split in stretches:
                whole = len(stretches) == 1
                described[split].append(chrom if whole else f"{chrom}:{first + 1}-{last}")
        return described


def matching(names: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """The names that match one of the shell patterns (case counts)."""
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def split_by_place(
    sizes: Mapping[str, int], valid: Sequence[str], test: Sequence[str], excluded: set[str], *, source: str
) -> Splits:
    """Splits train, valid and test: `valid` and `test` name the parts of two of them, all else is for training.

    Parameters
    ----------
    sizes : mapping of str to int
        Chromosome -> length (bp).
    valid, test : sequences of str
        Chromosomes, shell patterns of chromosomes, or intervals (see above).
    excluded : set of str
        Chromosomes that belong to no split.
    source : str
        The FASTA file, for messages.

    Raises
    ------
    SeqliftError
        If an entry names nothing, reaches past the end of its chromosome, or overlaps one of the other split.
    """
    named: dict[str, list[tuple[int, int, str, str]]] = {}
    for split, entries in (("valid", valid), ("test", test)):
        for entry in entries:
            for chrom, first, last in _places(entry, split, sizes, excluded, source):
                named.setdefault(chrom, []).append((first, last, split, entry))
    parts = {}
    for chrom, size in sizes.items():
        if chrom in excluded:
            continue
        stretches: list[tuple[int, int, str]] = []
        reach, owner, owner_entry = 0, "train", ""
        for first, last, split, entry in sorted(named.get(chrom, [])):
            if first < reach and split != owner:
                raise SeqliftError(
                    f"{split} {entry!r} and {owner} {owner_entry!r} overlap at {chrom}:{first + 1}-{min(reach, last)}; "
                    "a base can be in one split only"
                )
            if first > reach:
                stretches.append((reach, first, "train"))
            if last > reach:
                stretches.append((max(first, reach), last, split))
                reach, owner, owner_entry = last, split, entry
        if reach < size:
            stretches.append((reach, size, "train"))
        parts[chrom] = stretches
    return Splits(parts, ("train", "valid", "test"))


def _places(
    entry: str, split: str, sizes: Mapping[str, int], excluded: set[str], source: str
) -> list[tuple[str, int, int]]:
    """The (chromosome, start, end) that an entry names; 0-based, end exclusive."""
    interval = None if entry in sizes else INTERVAL.fullmatch(entry)
    pattern = interval["chrom"] if interval else entry
    if pattern in sizes:
        chroms = [pattern]
    else:
        chroms = [] if interval else [name for name in sizes if fnmatch.fnmatchcase(name, pattern)]
    if not chroms:
        meant = name_mapping([pattern], sizes)
        hint = f"did you mean {meant[pattern]!r}?" if meant else "name chromosomes as the FASTA file does"
        raise SeqliftError(f"{split} chromosome {entry!r} is not in {source}, which has {some(sizes)}; {hint}")
    left = [chrom for chrom in chroms if chrom not in excluded]
    if not left:
        raise SeqliftError(f"{split} chromosome {entry!r} is excluded by exclude_chromosomes; choose one")
    if not interval:
        return [(chrom, 0, sizes[chrom]) for chrom in left]
    size = sizes[pattern]
    first = int(interval["first"].replace(",", "") or 0)
    last = int(interval["last"].replace(",", "") or size)
    if not 1 <= first <= last <= size:
        raise SeqliftError(
            f"{split} interval {entry!r} must lie on {pattern}, bases 1 to {size} in {source}, its first base not "
            "after its last (leave the last out for the end of the chromosome)"
        )
    return [(pattern, first - 1, last)]


def split_by_folds(sizes: Mapping[str, int], n_peaks: Mapping[str, int], folds: int) -> Splits:
    """Assign whole chromosomes to folds with about equal numbers of peaks, and of bases where there are no peaks.

    Chromosomes come in falling order of their peaks (then of their size), each to the fold with the fewest peaks so far
    (then the fewest bases). Nothing is random.

    Parameters
    ----------
    sizes : mapping of str to int
        Chromosome -> length (bp), without excluded ones.
    n_peaks : mapping of str to int
        Chromosome -> number of peaks that can become regions.
    folds : int

    Raises
    ------
    SeqliftError
        If there are fewer chromosomes with peaks than folds.
    """
    with_peaks = [chrom for chrom in sizes if n_peaks.get(chrom, 0)]
    if len(with_peaks) < folds:
        raise SeqliftError(
            f"folds (={folds}) must be at most {len(with_peaks)}, the number of chromosomes with peaks "
            f"({some(with_peaks)}), as a fold is made of whole chromosomes: use fewer, or valid and test by intervals"
        )
    number = {chrom: rank for rank, chrom in enumerate(sizes)}
    order = sorted(sizes, key=lambda chrom: (-n_peaks.get(chrom, 0), -sizes[chrom], number[chrom]))
    load = [(0, 0, fold) for fold in range(folds)]  # peaks, bases, fold
    split = {}
    for chrom in order:
        peaks, bases, fold = min(load)
        split[chrom] = f"fold{fold}"
        load[load.index((peaks, bases, fold))] = (peaks + n_peaks.get(chrom, 0), bases + sizes[chrom], fold)
    parts = {chrom: [(0, size, split[chrom])] for chrom, size in sizes.items()}
    return Splits(parts, [f"fold{fold}" for fold in range(folds)])


def choose_splits(
    sizes: Mapping[str, int],
    peaks: pd.DataFrame,
    *,
    valid: Sequence[str],
    test: Sequence[str],
    folds: int,
    excluded: set[str],
    source: str,
) -> Splits:
    """Splits by place, or by folds if `folds` is not 0; see `split_by_place` and `split_by_folds`.

    Raises
    ------
    SeqliftError
        Also if all peaks (columns `chrom` and `summit`) lie on one chromosome that is not divided.
    """
    splits = None if folds else split_by_place(sizes, valid, test, excluded, source=source)
    kept = {chrom: size for chrom, size in sizes.items() if chrom not in excluded}
    usable = peaks[peaks["chrom"].isin(list(kept))]
    if not len(usable):
        raise SeqliftError("all peaks lie on chromosomes in exclude_chromosomes; name fewer of them there")
    chroms = usable["chrom"].unique()
    if len(chroms) == 1 and (splits is None or len(splits.parts[chroms[0]]) == 1):
        raise SeqliftError(
            f"all {len(usable)} peaks lie on {chroms[0]}, so that splits of whole chromosomes leave some without a "
            f"peak; split it by intervals, as in {interval_example(usable, sizes[chroms[0]])}"
        )
    return splits or split_by_folds(kept, usable["chrom"].value_counts().to_dict(), folds)


def check_apart(table: pd.DataFrame, margin: int) -> None:
    """Raise SeqliftError if windows of two splits, all of one length, overlap with `margin` bp on either side."""
    chrom = pd.factorize(table["chrom"])[0]
    order = np.lexsort([table["start"], chrom])
    chrom, split = chrom[order], pd.factorize(table["split"])[0][order]
    start, end = table["start"].to_numpy()[order] - margin, table["end"].to_numpy()[order] + margin
    # Windows of one length, in order: if any two of different splits overlap, two neighbours between them do
    shared = (chrom[1:] == chrom[:-1]) & (split[1:] != split[:-1]) & (start[1:] < end[:-1])
    if shared.any():
        at = int(np.argmax(shared))
        one, other = (table.iloc[order[place]] for place in (at, at + 1))
        raise SeqliftError(
            f"regions {one['name']} ({one['split']}) and {other['name']} ({other['split']}) overlap, with {margin} bp "
            f"for jitter on either side, as do {int(shared.sum())} pairs in all, so that held-out sequence is in "
            "training: make the regions again with this jitter, or put both places into one split"
        )


def interval_example(peaks: pd.DataFrame, size: int) -> str:
    """Example of a split of one chromosome: the last fifth of its peaks for test, the tenth before for validation."""
    summits = np.unique(peaks["summit"].to_numpy())
    if len(summits) < 5:  # too few: split by length
        summits = np.linspace(0, size, 11).astype(int)
    chrom = peaks["chrom"].iloc[0]
    # Half way between two peaks, with this share of them before
    places = (len(summits) * 7 // 10, len(summits) * 8 // 10)
    valid, test = (int(summits[after - 1] + summits[after]) // 2 for after in places)
    return f"valid: ['{chrom}:{valid + 1}-{test}'] and test: ['{chrom}:{test + 1}-{size}']"
