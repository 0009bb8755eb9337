"""Regions of the score files in a form that fits into a page: quantised, packed, one block for each region.

A contribution is kept in 8 bits: a whole number from -127 to 127 and, for each region, output and method, the step
that it counts in, which is the largest |contribution| / 127. So it is off by at most half a step, 0.4 % of the highest
letter of the region, less than the thickness of its outline. Standard errors are kept in steps of their own, from 0 to
255.

A block is deflated (zlib) and written as base64: a length (4 bytes, little-endian), the JSON of that length, then for
each of its `tracks` `length` bytes of contributions (signed) and, where it has them, `length` bytes of standard errors,
and at last those of the predicted signal (`predicted_signal.py`).
"""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqlift.scores.file import Scores, open_scores

BLOCK = 512  # rows of a score file in memory at a time
NODES = 24  # points of a path that a small drawing can show


@dataclass
class Region:
    """What the page knows of one region: `about` becomes JSON, `tracks` bytes.

    Attributes
    ----------
    sequence : str
        A, C, G, T, or N.
    about : dict
        Tracks by output and method with their steps and predictions, predicted signal, peaks, hits, genes.
    tracks : list of bytes
    """

    sequence: str = ""
    about: dict = field(default_factory=dict)
    tracks: list[bytes] = field(default_factory=list)


def quantise(values: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row in whole steps of its largest |value| / `levels`.

    Parameters
    ----------
    values : numpy.ndarray, shape (N, L)
    levels : int
        127 for signed numbers in 8 bits, 255 for others.

    Returns
    -------
    (codes, steps) : arrays of shape (N, L), integers, and (N,); values ≈ codes × steps, off by at most half a step.
    """
    steps = np.abs(values).max(axis=1, initial=0) / levels
    codes = np.rint(np.divide(values, steps[:, None], out=np.zeros(values.shape), where=steps[:, None] > 0))
    return codes.astype(np.int16), steps


def collect_regions(names: pd.Series, paths: dict[tuple[int, str], Path]) -> dict[str, Region]:
    """Read the chosen regions of all score files, a block of rows at a time.

    Parameters
    ----------
    names : pandas.Series
        The regions.
    paths : dict
        (number of the output, method) -> score file.
    """
    regions = {name: Region(about={"tracks": []}) for name in names}
    for (output, method), path in paths.items():
        with open_scores(path) as scores:
            for name, sequence, about, parts in _read_rows(scores, set(regions)):
                region = regions[name]
                region.sequence = sequence
                region.about["tracks"].append({"output": output, "method": method} | about)
                region.tracks += parts
    return regions


def pack(region: Region) -> str:
    """The region as text for the page; `unpack` in region_data.js is its reverse."""
    about = json.dumps({"sequence": region.sequence} | region.about, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(struct.pack("<I", len(about)) + about + b"".join(region.tracks), 9)).decode()


def short(value: float | None) -> float | None:
    """A number with four significant digits, for JSON; None where it is not finite."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.4g}")


def row_blocks(count: int, rows: np.ndarray, size: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of a file of `count` rows that hold any of `rows` (sorted): (first row, those of `rows` in the block)."""
    for start in range(0, count, size):
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + size)]
        if len(here):
            yield start, here


def _read_rows(scores: Scores, names: set[str]) -> Iterator[tuple[str, str, dict, list[bytes]]]:
    rows = np.flatnonzero(scores.coords["name"].isin(names).to_numpy())
    known = scores.coords["name"].to_numpy()
    for start, here in row_blocks(len(known), rows):
        block = slice(start, int(here[-1]) + 1)
        inside = here - start
        contributions = scores.contributions[block][inside].sum(axis=1, dtype=float)
        codes, steps = quantise(contributions, 127)
        errors = None if scores.standard_error is None else scores.standard_error[block][inside].astype(float)
        prediction = scores.prediction[block][inside]
        references = None if scores.reference_prediction is None else scores.reference_prediction[block][inside]
        sequences = _letters(scores.sequences[block][inside])
        paths = _paths(scores, block, inside)
        for i, row in enumerate(here):
            about: dict[str, Any] = {"step": short(steps[i]), "prediction": short(prediction[i])}
            parts = [codes[i].astype(np.int8).tobytes()]
            if references is not None and np.isfinite(references[i]).any():
                about["reference"] = short(np.nanmean(references[i]))
            if errors is not None and np.isfinite(errors[i]).all():
                code, step = quantise(errors[i : i + 1], 255)
                about["error"] = short(step[0])
                parts.append(code[0].astype(np.uint8).tobytes())
            if paths is not None:
                about["path"] = [short(value) for value in paths[i]]
            yield known[row], sequences[i], about, parts


def _letters(sequences: np.ndarray) -> list[str]:
    codes = np.where(sequences.any(axis=1), sequences.argmax(axis=1), 4)
    return ["".join(row) for row in np.array(list("ACGTN"))[codes]]


def path_nodes(alphas: np.ndarray) -> np.ndarray:
    """Which of the K points of a path are shown."""
    return np.unique(np.linspace(0, len(alphas) - 1, min(NODES, len(alphas))).round().astype(int))


def _paths(scores: Scores, block: slice, inside: np.ndarray) -> np.ndarray | None:
    """f at the shown points of the path, shape (rows, at most NODES)."""
    if scores.interior is None:
        return None
    shown = path_nodes(scores.interior["alphas"][:])
    return scores.interior["prediction"][block][inside][:, shown]
