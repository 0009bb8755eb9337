"""Splits: which parts of the genome a model learns from, is chosen by, and is judged on.

Neighbouring windows share bases, so a split is never drawn window by window: it is made of whole chromosomes or of long
intervals of them. A window belongs to the split that holds all of it, the room for jitter on either side included; one
that straddles a border between two splits belongs to none. So windows of two splits never share a base.

Validation and test parts are named as `chr8`, by a shell pattern as `chr1?`, or as an interval as browsers write it:
`chr20:1-40000000` is the first 40 million bases (1-based, both ends included), `chr20:40000001-` the rest. With folds,
whole chromosomes are assigned to folds with about the same number of peaks.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from seqlift.data.chromosomes import name_mapping, some
from seqlift.errors import SeqliftError

MIN_FOLDS = 3  # one to judge on, one to stop by, and at least one to learn from
_INTERVAL = re.compile(r"(?P<chrom>.+):(?P<first>[\d,]+)-(?P<last>[\d,]*)")
_NO_SPLIT = ""


class Splits:
    """The parts of a genome that belong to each split.

    Parameters
    ----------
    parts : mapping of str to sequence of (start, end, split)
        Chromosome -> its parts in rising order (bp, 0-based, end exclusive), that cover it without gap or overlap.
        Chromosomes that are left out are excluded.
    names : sequence of str
        Of the splits, in the order of tables and messages.
    """

    def __init__(self, parts: Mapping[str, Sequence[tuple[int, int, str]]], names: Sequence[str]):
        self.names = list(names)
        self.parts = {chrom: list(_joined(stretches)) for chrom, stretches in parts.items()}

    def __contains__(self, chrom: str) -> bool:
        return chrom in self.parts

    def of(self, windows: pd.DataFrame, margin: int = 0) -> np.ndarray:
        """The split of each window, '' where it straddles a border or lies on no part.

        Parameters
        ----------
        windows : pandas.DataFrame, N rows
            Columns `chrom`, `start`, `end` (bp, 0-based, end exclusive).
        margin : int
            Bases on either side that must lie in the same split (bp).

        Returns
        -------
        numpy.ndarray, shape (N,), object (str)
        """
        start, end = windows["start"].to_numpy() - margin, windows["end"].to_numpy() + margin
        found = np.full(len(windows), _NO_SPLIT, dtype=object)
        for chrom, rows in windows.groupby("chrom", observed=True).indices.items():
            for first, last, split in self.parts.get(chrom, []):
                found[rows[(start[rows] >= first) & (end[rows] <= last)]] = split
        return found

    def of_positions(self, chroms: pd.Series, positions: pd.Series) -> np.ndarray:
        """The split that each base lies in, '' on excluded chromosomes."""
        return self.of(pd.DataFrame({"chrom": chroms, "start": positions, "end": positions + 1}))

    def describe(self) -> dict[str, list[str]]:
        """Split -> its chromosomes and intervals, written as in a config."""
        described: dict[str, list[str]] = {name: [] for name in self.names}
        for chrom, stretches in self.parts.items():
            for first, last, split in stretches:
                whole = len(stretches) == 1
                described[split].append(chrom if whole else f"{chrom}:{first + 1}-{last}")
        return described


def _joined(stretches: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Neighbouring parts of the same split as one: the border between them means nothing."""
    current = None
    for first, last, split in stretches:
        if current and current[2] == split:
            current = (current[0], last, split)
            continue
        if current:
            yield current
        current = (first, last, split)
    if current:
        yield current


def matching(names: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """The names that one of the shell patterns fits, in upper and lower case as written."""
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def split_by_place(
    sizes: Mapping[str, int], valid: Sequence[str], test: Sequence[str], excluded: set[str], *, source: str
) -> Splits:
    """Splits train, valid and test: the parts named for two of them, all else for training.

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
        If an entry names nothing, runs off its chromosome, or overlaps one of the other split.
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
    interval = None if entry in sizes else _INTERVAL.fullmatch(entry)
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
            f"{split} interval {entry!r} does not lie on {pattern}, whose bases are 1 to {size} in {source}; the first "
            "base must not lie after the last, and both must lie on the chromosome (leave the last out for its end)"
        )
    return [(pattern, first - 1, last)]


def split_by_folds(sizes: Mapping[str, int], n_peaks: Mapping[str, int], folds: int) -> Splits:
    """Deal out whole chromosomes to folds with about equal numbers of peaks, and of bases where there are no peaks.

    Chromosomes come in falling order of their peaks (then of their size), each to the fold with the fewest peaks so far
    (then the fewest bases). No random choice is made.

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
        If there are fewer than three folds, or fewer chromosomes with peaks than folds.
    """
    if folds < MIN_FOLDS:
        raise SeqliftError(
            f"folds (={folds}) must be at least {MIN_FOLDS}: one to judge a model on, one to stop its training by, and "
            "one to learn from"
        )
    with_peaks = [chrom for chrom in sizes if n_peaks.get(chrom, 0)]
    if len(with_peaks) < folds:
        raise SeqliftError(
            f"folds (={folds}) are more than the {len(with_peaks)} chromosomes that have peaks ({some(with_peaks)}); a "
            "fold is made of whole chromosomes: ask for fewer, or name valid and test by intervals"
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
    """Splits by place, or by folds if `folds` is not 0; parameters as `split_by_place` and `split_by_folds`.

    Raises
    ------
    SeqliftError
        Also if all peaks (columns `chrom` and `summit`) lie on one chromosome that is not divided.
    """
    splits = None if folds else split_by_place(sizes, valid, test, excluded, source=source)
    kept = {chrom: size for chrom, size in sizes.items() if chrom not in excluded}
    usable = peaks[peaks["chrom"].isin(list(kept))]
    if not len(usable):
        raise SeqliftError("all peaks lie on chromosomes that exclude_chromosomes leaves out; name fewer of them there")
    chroms = usable["chrom"].unique()
    if len(chroms) == 1 and (splits is None or len(splits.parts[chroms[0]]) == 1):
        raise SeqliftError(
            f"all {len(usable)} peaks lie on {chroms[0]}, so that splits of whole chromosomes leave some without a "
            f"peak; split it by intervals, as in {interval_example(usable, sizes[chroms[0]])}"
        )
    return splits or split_by_folds(kept, usable["chrom"].value_counts().to_dict(), folds)


def check_apart(table: pd.DataFrame, margin: int) -> None:
    """Raise SeqliftError if windows of two splits share a base, each widened by `margin` bp on either side.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `chrom`, `start`, `end`, `name` and `split`; windows of one length.
    margin : int
        Largest move of a window in training (bp).
    """
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
            f"for jitter on either side, as do {int(shared.sum())} pairs in all; a model would be judged on sequence "
            "that it has seen: make the regions again with this jitter, or put both places into one split"
        )


def interval_example(peaks: pd.DataFrame, size: int) -> str:
    """How to split one chromosome by intervals: the last fifth of its peaks for test, the tenth before for validation.

    Parameters
    ----------
    peaks : pandas.DataFrame
        Column `chrom`, all the same, and `summit` (bp, 0-based).
    size : int
        Of the chromosome (bp).
    """
    summits = np.unique(peaks["summit"].to_numpy())
    if len(summits) < 5:  # too few to split by: take shares of the chromosome
        summits = np.linspace(0, size, 11).astype(int)
    chrom = peaks["chrom"].iloc[0]
    # Half way between two peaks, with this share of them before
    places = (len(summits) * 7 // 10, len(summits) * 8 // 10)
    valid, test = (int(summits[after - 1] + summits[after]) // 2 for after in places)
    return f"valid: ['{chrom}:{valid + 1}-{test}'] and test: ['{chrom}:{test + 1}-{size}']"
