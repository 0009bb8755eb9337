"""Lay contributions on genome coordinates: one bigWig for each target and method, to be read beside genes and peaks.

The value at a base is the contribution of the base that is there, exactly as the score file holds it (float32). What
was not scored is absent from the track, not zero: bases outside all regions, and bases that are N, which have nothing
that could contribute.

Where regions overlap a base has several scores, since each was made in another context. `nearest-summit` takes the
score of the region whose centre (start + length // 2, where the summit lies) is nearest, because there the model saw
the most sequence on both sides; a base half way between two centres takes the region with the lower start, and of
regions with the same start the one whose name sorts first. `mean` takes the mean over the regions that hold the base.
Neither depends on the order of the rows.

bigWig is an unforgiving format: NaN crashes the writer, entries past a chromosome's end are written in silence. So
everything is checked before a byte is written, and what was written is read back and compared base by base.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig

from seqlift.errors import SeqliftError
from seqlift.files import replacing
from seqlift.scores import Scores, open_scores

POLICIES = ("nearest-summit", "mean")
FORMAT = "seqlift track 1"
_ROWS = 4096  # rows of a score file read at once


@dataclass(frozen=True)
class TrackSummary:
    """What a track holds; written beside it as `<track>.json`.

    Attributes
    ----------
    format, target, method, overlap, scores : str
        Format of this file, what was scored and how, the overlap policy and the score file's name.
    model_fingerprint : str
        Of the model that was scored ("" if the score file does not say).
    regions : int
    bases : int, bp that have a value
    bases_in_several_regions : int, bp where the policy decided
    bases_n : int, bp of regions left out because they are N (counted once for each region)
    chromosomes : dict of str to int, bp with a value on each chromosome that has any
    minimum, maximum : float, of the values
    """

    format: str
    target: str
    method: str
    overlap: str
    scores: str
    model_fingerprint: str
    regions: int
    bases: int
    bases_in_several_regions: int
    bases_n: int
    chromosomes: dict[str, int]
    minimum: float
    maximum: float


def lay(
    starts: np.ndarray, names: np.ndarray, values: np.ndarray, known: np.ndarray, overlap: str
) -> tuple[np.ndarray, np.ndarray]:
    """One value for each base of one chromosome, from regions that may overlap.

    Parameters
    ----------
    starts : numpy.ndarray, shape (n,), int, bp, 0-based
    names : numpy.ndarray, shape (n,), str
        Break ties between regions with the same start.
    values : numpy.ndarray, shape (n, L), float32
    known : numpy.ndarray, shape (n, L), bool
        False where the base is N.
    overlap : "nearest-summit" or "mean"

    Returns
    -------
    positions : numpy.ndarray, shape (m,), int64, bp, 0-based, rising
    values : numpy.ndarray, shape (m,), float32
    """
    order = np.lexsort((names, starts))
    starts, values, known = starts[order].astype(np.int64), values[order], known[order]
    length = values.shape[1]
    positions = starts[:, None] + np.arange(length)  # (n, L)
    if overlap == "mean":
        taken, place = np.unique(positions[known], return_inverse=True)
        total = np.bincount(place, weights=values[known], minlength=len(taken))
        return taken, (total / np.bincount(place, minlength=len(taken))).astype(np.float32)

    # Windows of one length: sorted by start they are sorted by centre too, and each owns the stretch around its centre
    # up to half way to its neighbours, or to its own end if that comes first.
    first = np.concatenate([[True], starts[1:] > starts[:-1]])
    starts, values, known, positions = starts[first], values[first], known[first], positions[first]
    centres = starts + length // 2
    last = starts + length
    last[:-1] = np.minimum(last[:-1], (centres[:-1] + centres[1:]) // 2 + 1)
    begin = np.concatenate([starts[:1], np.maximum(starts[1:], last[:-1])])
    mine = known & (positions >= begin[:, None]) & (positions < last[:, None])
    return positions[mine], values[mine]


def write_track(
    score_path: str | os.PathLike,
    bigwig_path: str | os.PathLike,
    *,
    chromosome_sizes: dict[str, int],
    overlap: str = "nearest-summit",
) -> TrackSummary:
    """Write a score file's contributions as bigWig, read it back, and write `<bigwig_path>.json` beside it.

    Parameters
    ----------
    score_path, bigwig_path : path-like
    chromosome_sizes : dict of str to int, bp
        All chromosomes of the genome. The header lists them sorted by name, as UCSC's own writer does: its readers
        search the names.
    overlap : "nearest-summit" or "mean"

    Returns
    -------
    TrackSummary

    Raises
    ------
    SeqliftError
        If a region lies off its chromosome, the chromosome is unknown, a score is not finite, there is nothing to
        write, or the file read back differs from the scores.
    """
    if overlap not in POLICIES:
        raise SeqliftError(f"overlap policy {overlap!r} does not exist; choose one of {', '.join(POLICIES)}")
    bigwig_path = Path(bigwig_path)
    chromosome_sizes = {name: int(chromosome_sizes[name]) for name in sorted(chromosome_sizes)}
    with open_scores(score_path) as scores:
        _check_places(scores, chromosome_sizes)
        values, known = _read_values(scores)
        chromosomes: dict[str, int] = {}
        several, low, high = 0, np.inf, -np.inf
        with replacing(bigwig_path) as temporary:
            with pyBigWig.open(os.fspath(temporary), "w") as track:
                track.addHeader(list(chromosome_sizes.items()))
                for chrom, rows in _rows_by_chromosome(scores.coords, chromosome_sizes):
                    places, heights = _lay_rows(scores.coords, rows, values, known, overlap)
                    if len(places) == 0:
                        continue
                    for begin, end in _runs(places):
                        track.addEntries(chrom, int(places[begin]), values=heights[begin:end], span=1, step=1)
                    chromosomes[chrom] = len(places)
                    several += _bases_in_several(scores.coords, rows, known)
                    low, high = min(low, float(heights.min())), max(high, float(heights.max()))
            _compare(scores, temporary, chromosome_sizes, values, known, overlap)
        summary = TrackSummary(
            format=FORMAT,
            target=str(scores.attributes["target"]),
            method=str(scores.attributes["method"]),
            overlap=overlap,
            scores=Path(score_path).name,
            model_fingerprint=str(scores.attributes.get("model_fingerprint", "")),
            regions=len(scores.coords),
            bases=sum(chromosomes.values()),
            bases_in_several_regions=several,
            bases_n=int((~known).sum()),
            chromosomes=chromosomes,
            minimum=low,
            maximum=high,
        )
    with replacing(bigwig_path.with_name(bigwig_path.name + ".json")) as temporary:
        temporary.write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
    return summary


def verify_track(
    score_path: str | os.PathLike,
    bigwig_path: str | os.PathLike,
    *,
    chromosome_sizes: dict[str, int],
    overlap: str = "nearest-summit",
) -> int:
    """Read a track back and hold every base against the score file.

    Parameters
    ----------
    score_path, bigwig_path, chromosome_sizes, overlap
        As given to `write_track`.

    Returns
    -------
    int
        Number of bases compared: all that have a value.

    Raises
    ------
    SeqliftError
        If the file cannot be read, its chromosomes differ, a base has another value (bit by bit, as float32), a base
        is missing, or one is there that was not scored.
    """
    with open_scores(score_path) as scores:
        _check_places(scores, chromosome_sizes)
        values, known = _read_values(scores)
        return _compare(scores, Path(bigwig_path), chromosome_sizes, values, known, overlap)


def read_sizes(path: str | os.PathLike) -> dict[str, int]:
    """Chromosome sizes in bp, in file order, from `regions.json` or a FASTA.

    Raises
    ------
    SeqliftError
        If the file is missing or is neither.
    """
    path = Path(path)
    if path.suffix != ".json":
        from seqlift.genome import Genome

        with Genome(path) as genome:
            return {name: int(size) for name, size in genome.sizes.items()}
    try:
        sizes = json.loads(path.read_text(encoding="utf-8"))["genome"]["chromosomes"]
        return {str(name): int(size) for name, size in sizes.items()}
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `seqlift regions` makes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SeqliftError(
            f"{path}: holds no sizes under genome/chromosomes ({error}); give the regions.json that `seqlift regions` "
            "wrote, or the FASTA"
        ) from None


def _check_places(scores: Scores, chromosome_sizes: dict[str, int]) -> None:
    coords, length = scores.coords, scores.sequences.shape[2]
    if len(coords) == 0:
        raise SeqliftError(f"{scores.path}: holds no regions, so there is nothing to lay on the genome")
    size = coords["chrom"].map(chromosome_sizes)
    unknown = coords["chrom"][size.isna()].unique()
    if len(unknown):
        raise SeqliftError(
            f"{scores.path}: {len(unknown)} chromosomes are not in the genome, the first is {unknown[0]!r}; the genome "
            f"has {', '.join(map(repr, list(chromosome_sizes)[:5]))}, ...; give the one that the regions were made from"
        )
    off = (coords["start"] < 0) | (coords["end"] > size) | (coords["end"] - coords["start"] != length)
    if off.any():
        row = coords[off].iloc[0]
        raise SeqliftError(
            f"{scores.path}: {off.sum()} regions do not lie on the genome in {length} bp; the first is {row['name']!r} "
            f"at {row['chrom']}:{row['start']}-{row['end']} of {int(size[off].iloc[0])} bp; give the genome that the "
            "regions were made from"
        )


def _read_values(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Contribution of the base that is there (N, L) float32, and whether there is one (N, L) bool."""
    n, _, length = scores.contributions.shape
    values, known = np.empty((n, length), np.float32), np.empty((n, length), bool)
    for row in range(0, n, _ROWS):
        rows = slice(row, row + _ROWS)
        values[rows] = scores.contributions[rows].sum(axis=1)  # the other three channels are zero: exact
        known[rows] = scores.sequences[rows].any(axis=1)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise SeqliftError(
            f"{scores.path}: {len(bad)} regions have scores that are not finite, the first is "
            f"{scores.coords['name'].iloc[bad[0]]!r} (row {bad[0]}); make the file again with `seqlift attribute`"
        )
    return values, known


def _rows_by_chromosome(coords: pd.DataFrame, chromosome_sizes: dict[str, int]) -> Iterator[tuple[str, np.ndarray]]:
    """Row numbers of each chromosome that has any, in the order of the header, which bigWig demands."""
    rows = coords.groupby("chrom", sort=False).indices
    for chrom in chromosome_sizes:
        if chrom in rows:
            yield chrom, rows[chrom]


def _lay_rows(coords, rows, values, known, overlap) -> tuple[np.ndarray, np.ndarray]:
    starts = coords["start"].to_numpy()[rows]
    names = coords["name"].to_numpy().astype(str)[rows]
    return lay(starts, names, values[rows], known[rows], overlap)


def _bases_in_several(coords: pd.DataFrame, rows: np.ndarray, known: np.ndarray) -> int:
    positions = coords["start"].to_numpy()[rows][:, None] + np.arange(known.shape[1])
    counts = np.unique(positions[known[rows]], return_counts=True)[1]
    return int((counts > 1).sum())


def _runs(positions: np.ndarray) -> Iterator[tuple[int, int]]:
    """Index ranges (begin, end) of stretches without a gap."""
    edges = np.flatnonzero(np.diff(positions) != 1) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), len(positions)], strict=True)


def _compare(
    scores: Scores,
    path: Path,
    chromosome_sizes: dict[str, int],
    values: np.ndarray,
    known: np.ndarray,
    overlap: str,
) -> int:
    """Hold the track against the scores; see `verify_track`."""
    try:
        track = pyBigWig.open(os.fspath(path))
    except RuntimeError as error:
        raise SeqliftError(f"{path}: not a bigWig file ({error}); make it again with `seqlift tracks`") from None
    with track:
        if not track.isBigWig() or dict(track.chroms()) != dict(chromosome_sizes):
            raise SeqliftError(f"{path}: its chromosomes are not those of the genome; make it again")
        compared = 0
        scored = dict(_rows_by_chromosome(scores.coords, chromosome_sizes))
        for chrom in chromosome_sizes:
            places, heights = np.empty(0, np.int64), np.empty(0, np.float32)
            if chrom in scored:
                places, heights = _lay_rows(scores.coords, scored[chrom], values, known, overlap)
            found = 0
            for begin, end in _runs(places) if len(places) else ():
                run = track.values(chrom, int(places[begin]), int(places[end - 1]) + 1, numpy=True)
                wrong = np.flatnonzero(np.asarray(run, np.float32) != heights[begin:end])
                if len(wrong):
                    place = int(places[begin]) + int(wrong[0])
                    raise SeqliftError(
                        f"{path}: {len(wrong)} bases of {chrom} differ from {scores.path}, the first at {place}: "
                        f"{run[wrong[0]]} in the track, {heights[begin + wrong[0]]} in the scores; make the track again"
                    )
                found += end - begin
            compared += found
        present = track.header()["nBasesCovered"]
    if compared == 0:
        raise SeqliftError(f"{scores.path}: every base is N, so there is nothing to lay on the genome")
    if present != compared:
        raise SeqliftError(
            f"{path}: has values at {present} bases, {scores.path} scores {compared}; make the track again"
        )
    return compared
