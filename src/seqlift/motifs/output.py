"""The files of motif discovery: patterns as MEME and as table, seqlets as BED.

==================  ================================================================================================
file                what
==================  ================================================================================================
modisco.h5          TF-MoDISco's own file, readable by `modisco report`, Fi-NeMo and their like
patterns.tsv        one row a pattern, see `PATTERN_COLUMNS`
patterns.meme       minimal MEME 4: the PFMs of the positive patterns, trimmed and oriented, in the order of the table,
                    nsites = seqlets, background = base composition of the regions searched
patterns_negative.meme  the same of the negative patterns: a sequence that lowers the output is no motif of the target
seqlets.bed.gz      one line a seqlet: the bases that lie under the trimmed pattern, see `write_seqlets`
motifs.json         what was searched and how, and why nothing was found if so
==================  ================================================================================================
"""

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqlift.files import replacing
from seqlift.motifs.logos import information_content, informative_range
from seqlift.motifs.modisco import Pattern
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

# Cavener (1987): one letter if it holds more than half and more than twice the second; two if they hold over 75 %.
_TWO = {"AC": "M", "AG": "R", "AT": "W", "CG": "S", "CT": "Y", "GT": "K"}


@dataclass(frozen=True)
class NamedPattern:
    """A pattern cut to its informative part and turned the way its known motif reads.

    Attributes
    ----------
    pattern : Pattern
        As TF-MoDISco has it.
    match : Match
    start, end : int
        The informative part, positions of `pattern`, 0-based, end exclusive.
    frequencies, contributions : numpy.ndarray, shape (4, end - start)
        Trimmed and oriented PFM and CWM.
    """

    pattern: Pattern
    match: Match
    start: int
    end: int
    frequencies: np.ndarray
    contributions: np.ndarray

    @property
    def flipped(self) -> bool:
        """Whether it is shown as the reverse complement of what TF-MoDISco has."""
        return self.match.named and self.match.reverse


def trimmed(pattern: Pattern) -> np.ndarray:
    """The PFM of the informative part, shape (4, w), as TF-MoDISco orients it."""
    start, end = informative_range(pattern.contributions)
    return pattern.frequencies[:, start:end]


def orient(pattern: Pattern, match: Match) -> NamedPattern:
    """Trim the pattern and turn it as the motif it is named after reads."""
    start, end = informative_range(pattern.contributions)
    step = -1 if match.named and match.reverse else 1
    return NamedPattern(
        pattern=pattern,
        match=match,
        start=start,
        end=end,
        frequencies=pattern.frequencies[:, start:end][::step, ::step],
        contributions=pattern.contributions[:, start:end][::step, ::step],
    )


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
            "pattern": one.pattern.name,
            "seqlets": len(one.pattern.rows),
            "name": one.match.match_name if one.match.named else "",
            "match_id": one.match.match_id if one.match.named else "",
            "p": f"{one.match.p:.3g}",
            "q": f"{one.match.q:.3g}",
            "p_tomtom": f"{one.match.p_tomtom:.3g}",
            "strand": "-" if one.flipped else "+",
            "consensus": consensus(one.frequencies),
            "width": one.end - one.start,
            "trim_start": one.start,
            "trim_end": one.end,
            "mean_contribution": f"{one.contributions.sum():.6g}",
            "information": f"{information_content(one.frequencies).sum():.3f}",
            "closest": f"{one.match.match_id} {one.match.match_name}",
        }
        for one in patterns
    ]
    return pd.DataFrame(rows, columns=PATTERN_COLUMNS)


def write_table(patterns: Sequence[NamedPattern], path: str | os.PathLike) -> None:
    """Write patterns.tsv; with its header alone when there are no patterns."""
    with replacing(path) as temporary:
        pattern_table(patterns).to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def write_meme(patterns: Sequence[NamedPattern], background: np.ndarray, path: str | os.PathLike) -> None:
    """Write patterns.meme; a valid file without motifs when there are no patterns.

    Parameters
    ----------
    patterns : sequence of NamedPattern
    background : numpy.ndarray, shape (4,)
        Shares of A C G T in the regions searched, both strands taken together.
    path : path-like
    """
    entries = [
        (one.pattern.name, one.match.match_name if one.match.named else "", one.frequencies, len(one.pattern.rows))
        for one in patterns
    ]
    write_meme_entries(entries, background, path)


def write_meme_entries(
    entries: Sequence[tuple[str, str, np.ndarray, int]], background: np.ndarray, path: str | os.PathLike
) -> None:
    """Write motifs of any kind in minimal MEME format, version 4; a valid file also without motifs.

    Parameters
    ----------
    entries : sequence of (identifier, second name or "", base frequencies of shape (4, w), number of sites)
    background : numpy.ndarray, shape (4,)
        Shares of A C G T.
    path : path-like
    """
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", "", "Background letter frequencies"]
    lines += [" ".join(f"{base} {share:.5f}" for base, share in zip("ACGT", background, strict=True)), ""]
    for identifier, name, frequencies, sites in entries:
        lines.append(f"MOTIF {identifier} {'_'.join(name.split())}".rstrip())
        lines.append(f"letter-probability matrix: alength= 4 w= {frequencies.shape[1]} nsites= {sites} E= 0")
        lines += [" ".join(f"{share:.6f}" for share in column) for column in frequencies.T]
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
        Rows of `coords` that hold seqlets, rising.
    contributions : numpy.ndarray, shape (K, W)
        Contribution of the base that is there, in the part of these regions that was searched.
    offset : int, bp
        Where that part starts, from the start of the region.
    path : path-like
    """
    totals = np.concatenate([np.zeros((len(contributions), 1)), np.cumsum(contributions, axis=1, dtype=float)], axis=1)
    tables = []
    for one in patterns:
        rows, reverse = one.pattern.rows, one.pattern.reverse
        width = one.pattern.contributions.shape[1]
        start = one.pattern.starts + np.where(reverse, width - one.end, one.start)
        region = coords.iloc[rows]
        held, begin = np.searchsorted(searched, rows), start - offset
        tables.append(
            pd.DataFrame(
                {
                    "#chrom": region["chrom"].to_numpy(),
                    "start": region["start"].to_numpy() + start,
                    "end": region["start"].to_numpy() + start + one.end - one.start,
                    "pattern": one.pattern.name,
                    "score": 0,
                    "strand": np.where(reverse ^ one.flipped, "-", "+"),
                    "contribution": totals[held, begin + one.end - one.start] - totals[held, begin],
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
    text = table.to_csv(sep="\t", index=False, lineterminator="\n")
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))  # no date: equal results give equal files
