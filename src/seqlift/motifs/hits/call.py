"""Hits: the places in the genome where the model uses each pattern, over all regions of a score file.

The patterns of motif discovery come from a sample of seqlets in the middle of the regions. Here their CWMs are laid on
the contributions of all regions, over their whole length (`hits.fit` says how), so that it can be counted which regions
use a pattern, where, and how much of the model's output the patterns explain. Unlike in a scan for the PFM, a
sequence match without contribution is not a hit.

`hits.bed.gz` has one line a hit, sorted by chrom, start, end and pattern, and a first line with the names of the
columns `COLUMNS`:

============  ========================================================================================================
chrom         start and end: the bases under the pattern as its logo shows it; bp, 0-based, end exclusive
pattern       `pos_0`, `neg_0`, ...
score         0 to 1000: |contribution| over the largest
strand        on which the sequence reads as the logo does
name          known motif that the pattern is named after; empty without
coefficient   strength of the fitted pattern over that of its CWM; the penalty takes its part, so 1 is more than the
              mean seqlet
similarity    cosine between the contributions and the CWM
contribution  summed over the bases of the hit
share         fraction of the region's total |contribution| under the hit
coverage      fraction of the region's total |contribution| under any of its hits
region        name of the region in which it was called
distance      from the middle of the region (the summit) to that of the hit; bp, positive to the right on the + strand
============  ========================================================================================================

Where regions overlap, a hit (pattern, place and strand) called in several of them is written once, with the region
whose middle is nearest; if two are equally near, the earlier one in the score file. `share` and `coverage` are those
within that region, over all hits called in it.
"""

import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.core.files import gzip_text, replacing
from seqlift.errors import SeqliftError
from seqlift.motifs.folder import MotifFolder, StoredPattern, read_motifs
from seqlift.motifs.hits.fit import OVERLAP, fit_hits
from seqlift.scores.file import Scores, open_scores

FORMAT = "seqlift hits 1"
COLUMNS = [
    "#chrom",
    "start",
    "end",
    "pattern",
    "score",
    "strand",
    "name",
    "coefficient",
    "similarity",
    "contribution",
    "share",
    "coverage",
    "region",
    "distance",
]
PLACES = ["start", "end", "pattern", "strand", "contribution", "region", "distance"]
_TYPES = {
    **dict.fromkeys(("#chrom", "pattern", "strand", "name", "region"), str),
    **dict.fromkeys(("start", "end", "score"), np.int64),
}  # of columns; all others are float
_ROWS = 1024  # regions of a score file in memory at once
# The mean contributions of a pattern's seqlets are its CWM, up to rounding; further off, the scores are other ones.
_ROUNDING = 0.01


@dataclass(frozen=True)
class HitSummary:
    """Summary of the hits called; written as hits.json.

    Attributes
    ----------
    format, target, method : str
    fold : int or None
        The one model explained, of a run with folds.
    settings : dict
        `min_similarity`, and `overlap`: if two hits in a region share more of the shorter one, the weaker is dropped.
    regions, regions_with_hits, hits : int
        Regions searched; of these, those named by a line of hits.bed.gz; its lines.
    seqlets : int
        In all patterns.
    seqlet_recall, seqlet_recall_any : float or None
        Fraction of the seqlets with a hit of their own pattern, on either strand, or of any, that shares at least half
        of
        the shorter of both. None without seqlets.
    explained : float or None
        Fraction of the total |contribution| of all regions under hits; None where all is zero.
    patterns : list of dict
        `pattern`, `name`, `hits`, `regions` (with such a hit), `seqlets`, `seqlet_recall`, `seqlet_recall_any`.
    message : str
        Why there are no hits; "" if there are.
    """

    format: str
    target: str
    method: str
    fold: int | None
    settings: dict
    regions: int
    regions_with_hits: int
    hits: int
    seqlets: int
    seqlet_recall: float | None
    seqlet_recall_any: float | None
    explained: float | None
    patterns: list[dict]
    message: str


def call_hits(
    score_path: str | os.PathLike,
    motif_dir: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    min_similarity: float = 0.7,
) -> HitSummary:
    """Call the hits of a folder's patterns in all regions of its score file; write hits.bed.gz and hits.json.

    Parameters
    ----------
    score_path, motif_dir, output_dir : path-like
        The score file, the folder that `seqlift motifs` wrote for it, and where to write (usually the same folder).
    min_similarity : float
        Least cosine between the contributions and the CWM, and the penalty λ of the fit.

    Raises
    ------
    SeqliftError
        If a file is missing or wrong, the setting is out of range, or the patterns are not of these scores.
    """
    if not 0 < min_similarity < 1:
        raise SeqliftError(f"`min_similarity` (={min_similarity}) must be above 0 and below 1: it is a cosine")
    motifs = read_motifs(motif_dir)
    with open_scores(score_path) as scores:
        _check_same(scores, motifs)
        table, explained = _search(scores, motifs, min_similarity)
        coords = scores.coords
    recall = _seqlet_recall(table, motifs.patterns)
    table = _as_bed(table, motifs, coords)
    summary = _summarise(table, motifs, recall, explained, len(coords), min_similarity)
    output_dir = Path(output_dir)
    (output_dir / "hits.json").unlink(missing_ok=True)  # written last, so that a folder with it is whole
    with replacing(output_dir / "hits.bed.gz") as temporary, gzip_text(temporary) as text:
        table.to_csv(text, sep="\t", index=False, lineterminator="\n")
    with replacing(output_dir / "hits.json") as temporary:
        temporary.write_text(json.dumps(asdict(summary), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def read_hits(path: str | os.PathLike, *, places_only: bool = False) -> pd.DataFrame:
    """Read hits.bed.gz; the first column is called `chrom`, and missing text is an empty string.

    Parameters
    ----------
    path : path-like
    places_only : bool
        Read only the columns `PLACES`, with text as categories to save memory.

    Raises
    ------
    SeqliftError
        If the file is missing or not one of hits, or a line has no strand or a number that is not finite.
    """
    columns = PLACES if places_only else COLUMNS
    types: dict[str, type | str] = {column: _TYPES.get(column, float) for column in columns}
    numbers = [column for column, kind in types.items() if kind is float]
    if places_only:
        types = {column: "category" if kind is str else kind for column, kind in types.items()}
    try:
        table = pd.read_csv(
            path,
            sep="\t",
            usecols=columns.__contains__ if places_only else None,
            dtype=types,
            keep_default_na=False,
            na_values={key: ["", "nan", "NaN", "NA"] for key in numbers},  # a region may be called NA, a number may not
        )
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `seqlift hits` makes it") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SeqliftError(f"{path}: cannot be read as hits ({error}); make it again with `seqlift hits`") from None
    if list(table.columns) != columns:
        raise SeqliftError(
            f"{path}:1: the columns are {' '.join(table.columns)}, not {' '.join(columns)}; make it again with "
            "`seqlift hits`"
        )
    bad = np.flatnonzero(~np.isfinite(table[numbers]).all(axis=1) | ~table["strand"].isin(["+", "-"]))
    if len(bad):
        raise SeqliftError(
            f"{path}: line {bad[0] + 2} has no strand, or a number that is not finite ({len(bad)} such lines); make it "
            "again with `seqlift hits`"
        )
    return table.rename(columns={"#chrom": "chrom"})


def _check_same(scores: Scores, motifs: MotifFolder) -> None:
    """Check by attributes and sizes that the patterns come from this score file."""
    regions, _, length = scores.contributions.shape
    for key in ("target", "method"):
        if str(scores.attributes[key]) != motifs.summary[key]:
            raise SeqliftError(
                f"{scores.path}: scores of {key} {scores.attributes[key]!r}, but the patterns of {motifs.folder} are "
                f"of {motifs.summary[key]!r}; give the score file that `seqlift motifs` was given"
            )
    if regions != motifs.summary["regions"]:
        raise SeqliftError(
            f"{scores.path}: {regions} regions, but the patterns of {motifs.folder} were found in "
            f"{motifs.summary['regions']}; run `seqlift motifs` on these scores"
        )
    for pattern in motifs.patterns:
        width = pattern.contributions.shape[1]
        if pattern.starts.min() < 0 or pattern.starts.max() + width > length or pattern.rows.max() >= regions:
            raise SeqliftError(
                f"{motifs.folder}: seqlets of {pattern.name} (each {width} bp) lie outside the {regions} regions of "
                f"{length} bp in {scores.path}; run `seqlift motifs` on these scores"
            )


def _search(scores: Scores, motifs: MotifFolder, min_similarity: float) -> tuple[pd.DataFrame, float | None]:
    """All hits (those in overlapping regions repeated), and the fraction of all |contribution| under them.

    Columns: row, at (bp from the region's start), width, pattern (index), reverse, coefficient, similarity,
    contribution, share, coverage.
    """
    patterns = [one.contributions[:, one.start : one.end] for one in motifs.patterns]
    sizes = np.array([np.sqrt((pattern**2).sum()) for pattern in patterns])
    widths = np.array([pattern.shape[1] for pattern in patterns], int)
    means = [np.zeros_like(one.contributions) for one in motifs.patterns]
    tables, under, total = [], 0.0, 0.0
    for first in range(0, len(scores.coords), _ROWS):
        block = scores.contributions[first : first + _ROWS].astype(float)  # (B, 4, L)
        _check_finite(scores, block, first)
        for pattern, mean in zip(motifs.patterns, means, strict=True):
            _add_seqlets(pattern, mean, block, first)
        sequences = scores.sequences[first : first + _ROWS]
        codes = np.where(sequences.any(axis=1), sequences.argmax(axis=1), 4).astype(np.uint8)
        contributions = block.sum(axis=1)
        found = fit_hits(contributions, codes, patterns, min_similarity)
        width = widths[found.patterns]
        sums, all_sizes = _running(contributions), _running(np.abs(contributions))
        covered = _running(np.abs(contributions) * _under(found.rows, found.starts, width, contributions.shape))
        rows, starts, ends = found.rows, found.starts, found.starts + width
        region_size = all_sizes[rows, -1]  # above zero where there is a hit
        tables.append(
            pd.DataFrame(
                {
                    "row": rows + first,
                    "at": starts,
                    "width": width,
                    "pattern": found.patterns,
                    "reverse": found.reverse,
                    "coefficient": found.strengths / sizes[found.patterns],
                    "similarity": found.similarities,
                    "contribution": sums[rows, ends] - sums[rows, starts],
                    "share": (all_sizes[rows, ends] - all_sizes[rows, starts]) / region_size,
                    "coverage": covered[rows, -1] / region_size,
                }
            )
        )
        under, total = under + covered[:, -1].sum(), total + all_sizes[:, -1].sum()
    _check_means(scores, motifs, means)
    return pd.concat(tables, ignore_index=True), float(under / total) if total > 0 else None


def _check_finite(scores: Scores, block: np.ndarray, first: int) -> None:
    bad = np.flatnonzero(~np.isfinite(block).all(axis=(1, 2)))
    if len(bad):
        row = first + int(bad[0])
        raise SeqliftError(
            f"{scores.path}: the contributions of region {scores.coords['name'].iloc[row]!r} (row {row}) are not "
            "finite; make the file again with `seqlift attribute`"
        )


def _add_seqlets(pattern: StoredPattern, mean: np.ndarray, block: np.ndarray, first: int) -> None:
    """Add to `mean` (4, W) what the pattern's seqlets in this block of contributions (B, 4, L) add to their mean."""
    for i in np.flatnonzero((pattern.rows >= first) & (pattern.rows < first + len(block))):
        start = pattern.starts[i]
        part = block[pattern.rows[i] - first, :, start : start + mean.shape[1]]
        mean += (part[::-1, ::-1] if pattern.reverse[i] else part) / len(pattern.rows)


def _check_means(scores: Scores, motifs: MotifFolder, means: list[np.ndarray]) -> None:
    """Check that the rows of the score file are still those that the patterns were made from."""
    for pattern, mean in zip(motifs.patterns, means, strict=True):
        off = np.abs(mean - pattern.contributions).max()
        if off > _ROUNDING * np.abs(pattern.contributions).max():
            raise SeqliftError(
                f"{motifs.folder}: the mean contributions of the seqlets of {pattern.name} in {scores.path} differ "
                f"from its CWM by up to {off:.3g}, so the patterns are of other scores; run `seqlift motifs` again"
            )


def _running(values: np.ndarray) -> np.ndarray:
    """Sums over the first 0, 1, ..., L positions, (B, L + 1)."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def _under(rows: np.ndarray, starts: np.ndarray, widths: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Whether each position lies under a hit, (B, L)."""
    edges = np.zeros((shape[0], shape[1] + 1), int)
    np.add.at(edges, (rows, starts), 1)
    np.add.at(edges, (rows, starts + widths), -1)
    return np.cumsum(edges, axis=1)[:, :-1] > 0


def _seqlet_recall(table: pd.DataFrame, patterns: list[StoredPattern]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each pattern, whether each of its seqlets has a hit of it, and of any pattern."""
    wanted = np.concatenate([np.zeros(0, int), *(pattern.rows for pattern in patterns)])
    near = table.loc[table["row"].isin(wanted), ["row", "at", "width", "pattern"]]
    places = {row: part.to_numpy(int)[:, 1:] for row, part in near.groupby("row")}
    found = []
    for index, pattern in enumerate(patterns):
        own, any_hit = np.zeros((2, len(pattern.rows)), bool)
        width = pattern.shown_width
        for i, (row, start) in enumerate(zip(pattern.rows, pattern.shown_starts, strict=True)):
            if row not in places:
                continue
            hits = places[row]
            common = np.minimum(start + width, hits[:, 0] + hits[:, 1]) - np.maximum(start, hits[:, 0])
            close = common >= np.minimum(width, hits[:, 1]) / 2
            any_hit[i] = close.any()
            own[i] = (close & (hits[:, 2] == index)).any()
        found.append((own, any_hit))
    return found


def _as_bed(table: pd.DataFrame, motifs: MotifFolder, coords: pd.DataFrame) -> pd.DataFrame:
    """The hits as they are written, each place once; numbers as text."""
    region = coords.iloc[table["row"]].reset_index(drop=True)
    names, flipped = motifs.table["name"].to_numpy(object), np.array([one.flipped for one in motifs.patterns], bool)
    index = table["pattern"].to_numpy(int)
    start = region["start"].to_numpy(int) + table["at"].to_numpy(int)
    end = start + table["width"].to_numpy(int)
    size = table["contribution"].abs().to_numpy()
    largest = size.max(initial=0)
    bed = pd.DataFrame(
        {
            "#chrom": region["chrom"],
            "start": start,
            "end": end,
            "pattern": np.array([one.name for one in motifs.patterns], object)[index],
            "score": np.rint(1000 * size / largest).astype(int) if largest > 0 else 0,
            "strand": np.where(table["reverse"].to_numpy(bool) ^ flipped[index], "-", "+"),
            "name": names[index],
            **{column: table[column].map("{:.6g}".format) for column in ("coefficient", "similarity")},
            "contribution": table["contribution"].map("{:.6g}".format),
            **{column: table[column].map("{:.4f}".format) for column in ("share", "coverage")},
            "region": region["name"],
            "distance": (start + end - region["start"].to_numpy(int) - region["end"].to_numpy(int)) / 2,
        }
    )
    # Nearest first; a stable sort leaves equally near ones in the order of the file
    nearest = bed.iloc[np.argsort(bed["distance"].abs().to_numpy(), kind="stable")]
    once = nearest.drop_duplicates(["#chrom", "start", "end", "pattern", "strand"])
    once = once.sort_values(["#chrom", "start", "end", "pattern", "strand"], kind="stable")
    return once.assign(distance=once["distance"].map("{:g}".format))[COLUMNS].reset_index(drop=True)


def _summarise(
    bed: pd.DataFrame, motifs: MotifFolder, recall: list, explained: float | None, regions: int, least: float
) -> HitSummary:
    def fraction(values: list[np.ndarray]) -> float | None:
        joined = np.concatenate([np.zeros(0, bool), *values])
        return float(joined.mean()) if len(joined) else None

    message = ""
    if not motifs.patterns:
        message = "No hits: motif discovery found no patterns. " + str(motifs.summary.get("message", ""))
    elif bed.empty:
        message = (
            f"No hits: no place has a similarity of {least} or more to a pattern; try a lower `hits: min_similarity`."
        )
    groups = dict(iter(bed.groupby("pattern")))
    return HitSummary(
        format=FORMAT,
        target=motifs.source.output,
        method=motifs.source.method,
        fold=motifs.source.fold,
        settings={"min_similarity": least, "overlap": OVERLAP},
        regions=regions,
        regions_with_hits=int(bed["region"].nunique()),
        hits=len(bed),
        seqlets=sum(len(one.rows) for one in motifs.patterns),
        seqlet_recall=fraction([own for own, _ in recall]),
        seqlet_recall_any=fraction([any_hit for _, any_hit in recall]),
        explained=explained,
        patterns=[
            {
                "pattern": one.name,
                "name": name,
                "hits": len(groups.get(one.name, ())),
                "regions": int(groups[one.name]["region"].nunique()) if one.name in groups else 0,
                "seqlets": len(one.rows),
                "seqlet_recall": fraction([own]),
                "seqlet_recall_any": fraction([any_hit]),
            }
            for one, name, (own, any_hit) in zip(motifs.patterns, motifs.table["name"], recall, strict=True)
        ],
        message=message.strip(),
    )
