"""Compare a track with the scores it was made from, base by base."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig

from seqlift.errors import SeqliftError
from seqlift.tracks.laying import POLICIES, lay, runs
from seqlift.tracks.source import Rows, Source, open_source

FORMAT = "seqlift track 2"  # of the JSON beside a track


def verify_track(
    score_path: str | os.PathLike, bigwig_path: str | os.PathLike, *, minus: str | os.PathLike | None = None
) -> int:
    """Read a track back and compare every base with the score file; `<bigwig_path>.json` says what it should contain.

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
    path = Path(bigwig_path)
    note = _read_note(path)
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
    with open_source(score_path, path.parent, minus=minus, value=value) as source:
        for name in ("target", "method", "model_fingerprint"):
            ours, theirs = source.about[name], note.get(name)
            if ours != theirs and "" not in (ours, theirs):  # scores from elsewhere do not say which model they explain
                raise SeqliftError(
                    f"{path}.json: its {name} ({theirs}) is not that of {score_path} ({ours}); give the score file "
                    "that the track was made from, or make the track again"
                )
        with _opened(path) as track:
            sizes = dict(track.chroms())
        source.check_places(sizes)
        found = compare(source, path, sizes, note["overlap"])
    if note.get("bases") != found:
        raise SeqliftError(f"{path}.json: says {note.get('bases')} bases, the track has {found}; make it again")
    return found


def compare(source: Source, path: Path, sizes: dict[str, int], overlap: str) -> int:
    """Compare a track with the values of its source; see `verify_track`."""
    total = 0
    with _opened(path) as track:
        if dict(track.chroms()) != dict(sizes):
            raise SeqliftError(f"{path}: its chromosomes are not those of the genome; make it again")
        rows = dict(source.by_chromosome(sizes))
        for chrom, size in sizes.items():
            reach, scored, others = 0, 0, 0
            if chrom in rows:
                starts, names = (source.coords[column].to_numpy()[rows[chrom]] for column in ("start", "name"))
                for laid in lay(starts, names.astype(str), Rows(source.values, rows[chrom]), overlap):
                    for begin, end in runs(laid.positions):
                        start = int(laid.positions[begin])
                        others += _covered(track, chrom, reach, start)
                        _compare_values(track, path, chrom, start, laid.values[begin:end], source.name)
                        reach = start + end - begin
                    scored += len(laid.positions)
            others += _covered(track, chrom, reach, size)
            if others:
                raise SeqliftError(
                    f"{path}: has values at {scored + others} bases of {chrom}:0-{size}, where {scored} were scored; "
                    "make the track again"
                )
            total += scored
    if total == 0:
        raise SeqliftError(f"{source.name}: every base is N, so there is nothing to lay on the genome")
    return total


def _compare_values(track: Any, path: Path, chrom: str, start: int, values: np.ndarray, name: str) -> None:
    found = np.asarray(track.values(chrom, start, start + len(values), numpy=True), np.float32)
    wrong = np.flatnonzero(found != values)
    if len(wrong):
        first = int(wrong[0])
        raise SeqliftError(
            f"{path}: {len(wrong)} bases of {chrom} differ from {name}, the first at {start + first} (0-based): "
            f"{_shown(found[first])} in the track, {values[first]} in the scores; make the track again"
        )


def _covered(track: Any, chrom: str, start: int, end: int) -> int:
    """How many bases from start to end have a value."""
    if start == end:
        return 0
    share = track.stats(chrom, start, end, type="coverage", exact=True)[0] or 0.0
    return round(share * (end - start))


def _shown(value: np.float32) -> str:
    return "nothing" if np.isnan(value) else str(value)


def _opened(path: Path) -> Any:
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
    good = isinstance(found, dict) and found.get("format") == FORMAT and "value" in found
    if not good or found.get("overlap") not in POLICIES:
        raise SeqliftError(f"{note}: not of format {FORMAT!r} of this seqlift; make the track again")
    return found
