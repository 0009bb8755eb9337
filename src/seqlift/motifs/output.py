"""The files of motif discovery: patterns as MEME and as table, seqlets as BED.

==================  ================================================================================================
file                what
==================  ================================================================================================
modisco.h5          TF-MoDISco's own file, readable by `modisco report`, Fi-NeMo and their like
patterns.tsv        one row a pattern, see `PATTERN_COLUMNS`
patterns.meme       minimal MEME 4: the PFMs of the positive patterns, trimmed and oriented, in the order of the table,
                    nsites = seqlets, background = base composition of the regions searched
patterns_negative.meme  the negative patterns in the same format: sequences that lower the output
seqlets.bed.gz      one line a seqlet: the bases that lie under the trimmed pattern, see `write_seqlets`
motifs.json         what was searched and how; if nothing was found, why
==================  ================================================================================================
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from seqlift.core.files import gzip_text, replacing
from seqlift.motifs.folder import StoredPattern
from seqlift.motifs.information import information_content
from seqlift.motifs.naming import Match

# Columns of patterns.tsv. `name` and `match_id` are empty unless q is at most the threshold; `closest` always says
# which motif p, q and p_tomtom are about. `strand` is that of the pattern as TF-MoDISco has it which the logos, the
# MEME file and the consensus show: the one that reads like the known motif, '+' for a pattern without a name.
# `trim_start` and `trim_end` (0-based, end exclusive) are positions of the pattern as TF-MoDISco has it, `width` is
# their distance, `mean_contribution` the sum of the trimmed CWM (what one seqlet adds to the output on average),
# `information` the bits of the trimmed PFM.
PATTERN_COLUMNS = [
    "pattern",
    "seqlets",
    "name",
    "match_id",
    "p",
    "q",
    "p_tomtom",
    "strand",
    "consensus",
    "width",
    "trim_start",
    "trim_end",
    "mean_contribution",
    "information",
    "closest",
]

# Cavener (1987): one letter if its frequency is above 1/2 and twice the second; two if their sum is above 75 %.
_TWO = {"AC": "M", "AG": "R", "AT": "W", "CG": "S", "CT": "Y", "GT": "K"}


class NamedPattern(NamedTuple):
    """A pattern, oriented like its known motif, and that motif."""

    pattern: StoredPattern
    match: Match


def orient(pattern: StoredPattern, match: Match) -> NamedPattern:
    """Orient the pattern like the motif it is named after."""
    return NamedPattern(replace(pattern, flipped=match.named and match.reverse), match)


def consensus(frequencies: np.ndarray) -> str:
    """IUPAC letters of base frequencies, shape (4, w), by the rules of Cavener (Nucleic Acids Res. 15:1353, 1987)."""
    letters = []
    for column in frequencies.T:
        order = np.argsort(-column, kind="stable")
        first, second = column[order[0]], column[order[1]]
        if first > 0.5 and first > 2 * second:
            letters.append("ACGT"[order[0]])
        elif first + second > 0.75:
            letters.append(_TWO["".join(sorted("ACGT"[i] for i in order[:2]))])
        else:
            letters.append("N")
    return "".join(letters)


def pattern_table(patterns: Sequence[NamedPattern]) -> pd.DataFrame:
    """One row a pattern, with the columns `PATTERN_COLUMNS`."""
    rows = [
        {
            **match.columns,
            "pattern": pattern.name,
            "seqlets": len(pattern.rows),
            "p_tomtom": f"{match.p_tomtom:.3g}",
            "strand": "-" if pattern.flipped else "+",
            "consensus": consensus(pattern.shown("pfm")),
            "width": pattern.shown_width,
            "trim_start": pattern.start,
            "trim_end": pattern.end,
            "mean_contribution": f"{pattern.shown('cwm').sum():.6g}",
            "information": f"{information_content(pattern.shown('pfm')).sum():.3f}",
        }
        for pattern, match in patterns
    ]
    return pd.DataFrame(rows, columns=PATTERN_COLUMNS)


def write_table(patterns: Sequence[NamedPattern], path: str | os.PathLike) -> None:
    """Write patterns.tsv; with its header alone when there are no patterns."""
    with replacing(path) as temporary:
        pattern_table(patterns).to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def write_meme(
    entries: Sequence[tuple[str, Match, np.ndarray, int]], background: np.ndarray, path: str | os.PathLike
) -> None:
    """Write motifs in minimal MEME format, version 4, with the names they got; a valid file also without motifs.

    Parameters
    ----------
    entries : sequence of (identifier, match, base frequencies of shape (4, w), number of sites)
    background : numpy.ndarray, shape (4,)
        Frequencies of A C G T, both strands together.
    path : path-like
    """
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", "", "Background letter frequencies"]
    lines += [" ".join(f"{base} {frequency:.5f}" for base, frequency in zip("ACGT", background, strict=True)), ""]
    for identifier, match, frequencies, sites in entries:
        lines.append(f"MOTIF {identifier} {'_'.join(match.columns['name'].split())}".rstrip())
        lines.append(f"letter-probability matrix: alength= 4 w= {frequencies.shape[1]} nsites= {sites} E= 0")
        lines += [" ".join(f"{frequency:.6f}" for frequency in column) for column in frequencies.T]
        lines.append("")
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_seqlets(
    patterns: Sequence[NamedPattern],
    coords: pd.DataFrame,
    searched: np.ndarray,
    contributions: np.ndarray,
    offset: int,
    path: str | os.PathLike,
) -> None:
    """Write seqlets.bed.gz, sorted by chromosome, start, end and pattern.

    Columns: chrom, start, end (of the bases under the trimmed pattern; bp, 0-based, end exclusive), pattern, score
    (0 to 1000: |contribution| over the largest), strand (on which the pattern reads as its logo shows it),
    contribution (summed over these bases), region. The first line names them and starts with '#'.

    Parameters
    ----------
    patterns : sequence of NamedPattern
    coords : pandas.DataFrame
        Of the score file.
    searched : numpy.ndarray, shape (K,), int
        Rows of `coords` with seqlets, ascending.
    contributions : numpy.ndarray, shape (K, W)
        Contribution of the base that is there, in the part of these regions that was searched.
    offset : int, bp
        Where that part starts, from the start of the region.
    path : path-like
    """
    totals = np.concatenate([np.zeros((len(contributions), 1)), np.cumsum(contributions, axis=1, dtype=float)], axis=1)
    tables = []
    for pattern, _ in patterns:
        region = coords.iloc[pattern.rows]
        start, width = region["start"].to_numpy() + pattern.shown_starts, pattern.shown_width
        row, begin = np.searchsorted(searched, pattern.rows), pattern.shown_starts - offset
        tables.append(
            pd.DataFrame(
                {
                    "#chrom": region["chrom"].to_numpy(),
                    "start": start,
                    "end": start + width,
                    "pattern": pattern.name,
                    "score": 0,
                    "strand": np.where(pattern.reverse ^ pattern.flipped, "-", "+"),
                    "contribution": totals[row, begin + width] - totals[row, begin],
                    "region": region["name"].to_numpy(),
                }
            )
        )
    columns = ["#chrom", "start", "end", "pattern", "score", "strand", "contribution", "region"]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    if len(table):
        size = table["contribution"].abs()
        table["score"] = (1000 * size / size.max()).round().astype(int) if size.max() > 0 else 0
        table["contribution"] = table["contribution"].map("{:.6g}".format)
        table = table.sort_values(["#chrom", "start", "end", "pattern", "region"], kind="stable")
    with replacing(path) as temporary, gzip_text(temporary) as text:
        table.to_csv(text, sep="\t", index=False, lineterminator="\n")
