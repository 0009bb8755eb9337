"""Appearance of tracks in a genome browser: their names, colours and common scales, in IGV and in igv.js alike.

Colours are those of Okabe and Ito, which colour-blind people can tell apart. All tracks of one output that are in the
units of its contributions share a scale, so that the methods can be compared and a standard error is seen for what it
is.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyBigWig

from seqlift.errors import SeqliftError

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (230, 159, 0),
    (204, 121, 167),
    (86, 180, 233),
)
GREY, BLACK = (130, 130, 130), (60, 60, 60)
_METHODS = {"deeplift": BLUE, "interior_gradients": VERMILION}
METHOD_NAMES = {"deeplift": "DeepLIFT", "interior_gradients": "interior gradients"}
_ORDER = ("contribution", "difference", "standard-error", "predicted")
_ZOOM_STEPS = 200  # stretches that a chromosome is divided into, looking for its highest value
_SHOWN = 200  # bp of the place that a browser opens at


@dataclass(frozen=True)
class Appearance:
    """How one bigWig is shown.

    Attributes
    ----------
    path : pathlib.Path
    name : str
    output : str
        What it is about: an output, or a target.
    colour : tuple of int, red green blue
    group : str
        Tracks of one group share a scale.
    letters : bool
        Whether bases are drawn as letters, scaled by the value.
    """

    path: Path
    name: str
    output: str
    colour: tuple[int, int, int]
    group: str
    letters: bool


def appearances(paths: Sequence[str | os.PathLike]) -> list[Appearance]:
    """How bigWigs are shown, sorted by target and by what they are; the JSON beside each says what that is.

    Raises
    ------
    SeqliftError
        If a bigWig is missing.
    """
    found = []
    for path in map(Path, paths):
        if not path.is_file():
            raise SeqliftError(f"{path}: no such track; `seqlift tracks write` makes it")
        note = _note(path)
        value = note.get("value", "contribution")
        target, method = str(note.get("target", path.name.removesuffix(".bw"))), str(note.get("method", ""))
        key = (target_of(target), value != "predicted", target)
        found.append(((*key, _rank(value), method, path.name), _appearance(path, target, method, value, note)))
    return [appearance for _, appearance in sorted(found, key=lambda pair: pair[0])]


def target_of(output: str) -> str:
    """The target of an output: the outputs of a profile model are listed together, after the prediction."""
    return output.removesuffix(".counts").removesuffix(".profile")


def _rank(value: str) -> int:
    return _ORDER.index(value) if value in _ORDER else len(_ORDER)


def _note(path: Path) -> dict:
    try:
        found = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a bigWig from elsewhere: shown by its name
        return {}
    return found if isinstance(found, dict) else {}


def _appearance(path: Path, target: str, method: str, value: str, note: dict) -> Appearance:
    how = METHOD_NAMES.get(method, method)
    if value == "predicted":
        strand = {"+": ", plus strand", "-": ", minus strand"}.get(str(note.get("strand")), "")
        colour = ORANGE if note.get("strand") == "-" else GREEN
        return Appearance(path, f"{target} predicted signal{strand}", target, colour, f"{target} predicted", False)
    if value == "difference":
        one, _, other = method.partition(" - ")
        name = f"{target} {METHOD_NAMES.get(one, one)} − {METHOD_NAMES.get(other, other)}"
        return Appearance(path, name, target, PURPLE, target, True)
    if value == "standard-error":
        return Appearance(path, f"{target} standard error, {how}", target, GREY, target, False)
    return Appearance(path, f"{target} {how}".strip(), target, _METHODS.get(method, SKY), target, True)


def first_locus(path: Path) -> str | None:
    """A place worth looking at: around the highest value of a track, `chrom:first-last` (from 1, both included)."""
    with pyBigWig.open(os.fspath(path)) as track:
        sizes = track.chroms()
        highest = {chrom: track.stats(chrom, type="max")[0] for chrom in sizes}
        highest = {chrom: value for chrom, value in highest.items() if value is not None}
        if not highest:
            return None
        chrom = max(highest, key=highest.__getitem__)
        start, end = 0, sizes[chrom]
        while end - start > 1:
            steps = min(_ZOOM_STEPS, end - start)
            values = track.stats(chrom, start, end, type="max", nBins=steps, exact=end - start < 10**6)
            best = max(range(steps), key=lambda i: -float("inf") if values[i] is None else values[i])
            start, end = start + (end - start) * best // steps, start + (end - start) * (best + 1) // steps
    first = max(0, min(start - _SHOWN // 2, sizes[chrom] - _SHOWN))
    return f"{chrom}:{first + 1}-{min(first + _SHOWN, sizes[chrom])}"
