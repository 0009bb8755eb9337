"""Read a folder of motif discovery: the patterns, their table and the summary.

Hits, the compendium, the grammar, logos and the report read motifs with this module. It also defines the source of
motifs (output, method, fold), and which hits count where both the folds and their mean were explained. `modisco.h5`
counts the positions of seqlets from the start of the part
of each region that was searched; here they are counted from the start of the region, as in the score file.
"""

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError

FORMAT = "seqlift motifs 2"
TEXT = ("pattern", "name", "match_id", "strand", "consensus", "closest")  # columns of patterns.tsv that are no numbers
_KINDS = {"pfm": "frequencies", "cwm": "contributions", "hcwm": "hypothetical"}
_GROUPS = {"pos": "pos_patterns", "neg": "neg_patterns"}


class Source(NamedTuple):
    """Origin of scores and of the motifs found in them.

    Attributes
    ----------
    output, method : str
    fold : int or None
        Of the model explained, where it is that of one fold alone.
    """

    output: str
    method: str
    fold: int | None

    @property
    def order(self) -> tuple[str, str, int]:
        """The place in the order that all results follow; the mean of all folds comes before them."""
        return self.output, self.method, -1 if self.fold is None else self.fold

    def __str__(self) -> str:
        return f"{self.output!r} by {self.method}" + ("" if self.fold is None else f", fold {self.fold}")


def source_of(attributes: Mapping) -> Source:
    """The source given by the attributes of a score file, or by motifs.json."""
    fold = attributes.get("fold")
    return Source(str(attributes["target"]), str(attributes["method"]), None if fold is None else int(fold))


def counted(sources: Iterable[Source]) -> set[Source]:
    """Whose hits count: of an output and method those of the mean of all folds; where there is none, the folds'.

    Folds explain the same regions as their mean, and a site is not used twice because two say so.
    """
    sources = set(sources)
    return {one for one in sources if one.fold is None or one._replace(fold=None) not in sources}


@dataclass(frozen=True)
class StoredPattern:
    """A cluster of seqlets as TF-MoDISco has it, width W in bp, bases A C G T, and how it is shown.

    Attributes
    ----------
    name : str
        `pos_0` is the positive pattern of most seqlets, `neg_0` the negative one.
    frequencies : numpy.ndarray, shape (4, W)
        PFM: frequency of each base; each column sums to 1.
    contributions, hypothetical : numpy.ndarray, shape (4, W)
        CWM and hCWM: mean contribution, and mean hypothetical contribution, of each base.
    start, end : int
        The informative part, positions of the pattern, 0-based, end exclusive.
    flipped : bool
        Logos, MEME file and consensus show the reverse complement, the way the known motif reads.
    rows : numpy.ndarray, shape (S,), int
        Row of the score file that each seqlet lies in.
    starts : numpy.ndarray, shape (S,), int
        Where the seqlet starts, bp from the start of the region; it is W bp long.
    reverse : numpy.ndarray, shape (S,), bool
        The seqlet reads as the pattern does (unflipped) on the opposite strand.
    """

    name: str
    frequencies: np.ndarray
    contributions: np.ndarray
    hypothetical: np.ndarray
    start: int
    end: int
    flipped: bool
    rows: np.ndarray
    starts: np.ndarray
    reverse: np.ndarray

    @property
    def shown_width(self) -> int:
        """Of the informative part, bp."""
        return self.end - self.start

    @property
    def shown_starts(self) -> np.ndarray:
        """Where the informative part of each seqlet begins, bp from the start of the region, shape (S,)."""
        return self.starts + np.where(self.reverse, self.contributions.shape[1] - self.end, self.start)

    def shown(self, kind: str) -> np.ndarray:
        """The `pfm`, `cwm` or `hcwm`, shape (4, end - start): trimmed and oriented as in logos and MEME file."""
        part = getattr(self, _KINDS[kind])[:, self.start : self.end]
        return part[::-1, ::-1] if self.flipped else part


@dataclass(frozen=True)
class MotifFolder:
    """The patterns of one output and method.

    Attributes
    ----------
    folder : pathlib.Path
    summary : dict
        motifs.json, the fields of `discovery.MotifSummary`.
    table : pandas.DataFrame
        patterns.tsv; text columns are text, empty where there is nothing.
    patterns : list of StoredPattern
        In the order of the table: positive ones, then negative ones, each by falling number of seqlets.
    """

    folder: Path
    summary: dict
    table: pd.DataFrame
    patterns: list[StoredPattern]

    @property
    def source(self) -> Source:
        """Output, method and fold of the motifs."""
        return source_of(self.summary)


def read_motifs(folder: str | os.PathLike) -> MotifFolder:
    """Read a folder that `seqlift motifs` wrote.

    Raises
    ------
    SeqliftError
        If a file is missing, cannot be read, is of another format, or does not belong to the others.
    """
    folder = Path(folder)
    summary = _read_summary(folder / "motifs.json")
    table = _read_table(folder / "patterns.tsv")
    path = folder / "modisco.h5"
    try:
        with h5py.File(path, "r") as file:
            offset = int(summary["settings"]["offset"])
            patterns = [_read_pattern(file, row, offset) for row in table.to_dict("records")]
            found = sum(len(file[group]) for group in _GROUPS.values() if group in file)
    except FileNotFoundError:
        raise _broken(path, "no such file") from None
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise _broken(path, f"cannot be read as the patterns of patterns.tsv ({error})") from None
    if found != len(patterns):
        raise _broken(path, f"contains {found} patterns, but patterns.tsv {len(patterns)}")
    return MotifFolder(folder, summary, table, patterns)


def read_different(folders: Iterable[str | os.PathLike]) -> list[MotifFolder]:
    """Read several folders, in any order; they come back in the order of `Source.order`.

    Raises
    ------
    SeqliftError
        If one is broken, or two are of the same output, method and fold.
    """
    read = sorted(map(read_motifs, folders), key=lambda one: one.source.order)
    for first, second in itertools.pairwise(read):
        if first.source == second.source:
            raise SeqliftError(
                f"{first.folder} and {second.folder} both have the motifs of {first.source}; name one of them, so that "
                "nothing counts twice"
            )
    return read


def base_frequencies(counts: np.ndarray) -> np.ndarray:
    """Columns of base counts or shares, shape (4, W), scaled to sum to 1; 1/4 each where there are only N."""
    total = counts.sum(axis=0)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), 0.25)


def _broken(path: Path, what: str) -> SeqliftError:
    return SeqliftError(f"{path}: {what}; make the folder again with `seqlift motifs`")


def _read_summary(path: Path) -> dict:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _broken(path, "no such file, so this is no folder of motifs, or one that was not finished") from None
    except (OSError, ValueError) as error:
        raise _broken(path, f"cannot be read ({error})") from None
    found = summary.get("format") if isinstance(summary, dict) else None
    if found != FORMAT:
        raise _broken(path, f"its `format` is {found!r}, not {FORMAT!r}")
    return summary


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", keep_default_na=False, dtype=dict.fromkeys(TEXT, str))
    except FileNotFoundError:
        raise _broken(path, "no such file") from None
    except (OSError, ValueError) as error:
        raise _broken(path, f"cannot be read as a table of patterns ({error})") from None


def _read_pattern(file: h5py.File, row: dict, offset: int) -> StoredPattern:
    sign, _, number = row["pattern"].partition("_")
    group = file[f"{_GROUPS[sign]}/pattern_{number}"]
    seqlets = group["seqlets"]
    return StoredPattern(
        name=row["pattern"],
        frequencies=base_frequencies(group["sequence"][:].astype(float).T),
        contributions=group["contrib_scores"][:].astype(float).T,
        hypothetical=group["hypothetical_contribs"][:].astype(float).T,
        start=int(row["trim_start"]),
        end=int(row["trim_end"]),
        flipped=row["strand"] == "-",
        rows=seqlets["example_idx"][:].astype(int),
        starts=seqlets["start"][:].astype(int) + offset,
        reverse=seqlets["is_revcomp"][:].astype(bool),
    )
