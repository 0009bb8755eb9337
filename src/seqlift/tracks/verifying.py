"""Hold a track against the scores that it was made from, base by base."""

import json
import os
from pathlib import Path

import numpy as np
import pyBigWig

from seqlift.errors import SeqliftError
from seqlift.tracks.laying import POLICIES, lay, runs
from seqlift.tracks.source import Rows, Source, open_source

FORMAT = "seqlift track 2"  # of the JSON beside a track
_WINDOW = 2**20  # bp whose bases are counted at a time


def verify_track(
    score_path: str | os.PathLike, bigwig_path: str | os.PathLike, *, minus: str | os.PathLike | None = None
) -> int:
    """Read a track back and hold every base against the score file; what it should hold says `<bigwig_path>.json`.

    Parameters
    ----------
    score_path, bigwig_path : path-like
    minus : path-like, optional
        The second score file of a difference.

    Returns
    -------
    int
        Number of bases compared: all that have a value.

    Raises
    ------
    SeqliftError
        If a file cannot be read, the track is of other scores, a base has another value (bit by bit, as float32), a
        base is missing, or one is there that was not scored.
    """
    note = _read_note(Path(bigwig_path))
    if note["value"] == "predicted":
        raise SeqliftError(
            f"{bigwig_path}: holds predictions, which no score file has; make it again with `seqlift tracks predicted` "
            "and compare"
        )
    if (note["value"] == "difference") != (minus is not None):
        raise SeqliftError(
            f"{bigwig_path}: its JSON says {note['value']!r}; --minus names the second score file of a difference, and "
            "of nothing else"
        )
    value = "contribution" if minus is not None else note["value"]
    path = Path(bigwig_path)
    with open_source(score_path, path.parent, minus=minus, value=value) as source:
        for name in ("target", "method", "model_fingerprint"):
            if note.get(name) != source.about[name]:
                raise SeqliftError(
                    f"{path}.json: its {name} ({note.get(name)}) is not that of {score_path} ({source.about[name]}); "
                    "make the track again"
                )
        with _opened(path) as track:
            sizes = dict(track.chroms())
        source.check_places(sizes)
        found = compare(source, path, sizes, note["overlap"])
    if note.get("bases") != found:
        raise SeqliftError(f"{path}.json: says {note.get('bases')} bases, the track has {found}; make it again")
    return found


def compare(source: Source, path: Path, sizes: dict[str, int], overlap: str) -> int:
    """Hold a track against the numbers that were laid on it; see `verify_track`."""
    total = 0
    with _opened(path) as track:
        if dict(track.chroms()) != dict(sizes):
            raise SeqliftError(f"{path}: its chromosomes are not those of the genome; make it again")
        rows = dict(source.by_chromosome(sizes))
        for chrom, size in sizes.items():
            expected = np.zeros(size // _WINDOW + 1, np.int64)
            if chrom in rows:
                starts, names = (source.coords[column].to_numpy()[rows[chrom]] for column in ("start", "name"))
                for laid in lay(starts, names.astype(str), Rows(source.values, rows[chrom]), overlap):
                    _compare_values(track, path, chrom, laid.positions, laid.values, source.name)
                    expected += np.bincount(laid.positions // _WINDOW, minlength=len(expected))
            _find_others(track, path, chrom, size, expected)
            total += int(expected.sum())
    if total == 0:
        raise SeqliftError(f"{source.name}: every base is N, so there is nothing to lay on the genome")
    return total


def _compare_values(track, path: Path, chrom: str, positions: np.ndarray, values: np.ndarray, name: str) -> None:
    for begin, end in runs(positions):
        start = int(positions[begin])
        found = np.asarray(track.values(chrom, start, start + end - begin, numpy=True), np.float32)
        wrong = np.flatnonzero(found != values[begin:end])
        if len(wrong):
            first = int(wrong[0])
            raise SeqliftError(
                f"{path}: {len(wrong)} bases of {chrom} differ from {name}, the first at {start + first} (0-based): "
                f"{_shown(found[first])} in the track, {values[begin + first]} in the scores; make the track again"
            )


def _find_others(track, path: Path, chrom: str, size: int, expected: np.ndarray) -> None:
    """Raise SeqliftError if the track has values at other bases than those that were found to be right."""
    for window, count in enumerate(expected):
        start, end = window * _WINDOW, min((window + 1) * _WINDOW, size)
        if start >= end:
            continue
        share = track.stats(chrom, start, end, type="coverage", exact=True)[0] or 0.0
        found = round(share * (end - start))
        if found != count:
            raise SeqliftError(
                f"{path}: has values at {found} bases of {chrom}:{start}-{end}, where {count} were scored; make the "
                "track again"
            )


def _shown(value: np.float32) -> str:
    return "nothing" if np.isnan(value) else str(value)


def _opened(path: Path):
    try:
        track = pyBigWig.open(os.fspath(path))
    except RuntimeError as error:
        raise SeqliftError(f"{path}: not a bigWig file ({error}); make it again with `seqlift tracks`") from None
    if not track.isBigWig():
        raise SeqliftError(f"{path}: a bigBed, not a bigWig; make it again with `seqlift tracks`")
    return track


def _read_note(path: Path) -> dict:
    note = path.with_name(path.name + ".json")
    if not path.is_file():
        raise SeqliftError(f"{path}: no such track; `seqlift tracks write` makes it")
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeqliftError(f"{note}: no such file; `seqlift tracks` writes it beside the track") from None
    except ValueError as error:
        raise SeqliftError(f"{note}: not JSON ({error}); make the track again") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("overlap") not in POLICIES:
        raise SeqliftError(f"{note}: not of format {FORMAT!r} of this seqlift; make the track again")
    return found
