"""From a score file to named patterns with logos: the whole stage.

The hypothetical contributions in the middle of the regions go to TF-MoDISco (`modisco`); its patterns are cut to their
informative part, compared with known motifs and named where the likeness means something (`naming`), turned the way
their motif reads, drawn (`logos`) and written (`output`).
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from seqlift.errors import SeqliftError
from seqlift.files import replacing
from seqlift.motifs import modisco
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.folder import FORMAT
from seqlift.motifs.logos import information_content, pattern_figure, save_figure
from seqlift.motifs.naming import SHUFFLES, name_patterns
from seqlift.motifs.output import NamedPattern, orient, trimmed, write_meme, write_seqlets, write_table
from seqlift.scores import Scores, open_scores

_ROWS = 4096  # rows of a score file read at once


@dataclass(frozen=True)
class MotifSummary:
    """What was searched and found; written as motifs.json.

    Attributes
    ----------
    format, target, method : str
    fold : int or None
        Of the model explained, where it is that of one fold alone.
    regions : int
    seqlets : dict
        `positive`, `negative`: seqlets in the patterns; `found_positive`, `found_negative`: stretches that stood out.
    patterns, named : int
        How many there are, and how many got a name.
    message : str
        Why nothing was found and what to try; "" if something was.
    settings : dict
        Of this stage and of TF-MoDISco. `window` is the number of bp searched, `offset` how far from the start of
        each region they begin: modisco.h5 counts from there.
    database : dict
        name, release, motifs (how many).
    """

    format: str
    target: str
    method: str
    fold: int | None
    regions: int
    seqlets: dict[str, int]
    patterns: int
    named: int
    message: str
    settings: dict
    database: dict


def discover(
    score_path: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    database: str | os.PathLike | Database,
    max_seqlets: int = 2000,
    window: int = 200,
    threshold: float = 0.01,
    seed: int = 1,
) -> MotifSummary:
    """Find, name and draw the patterns in a score file; all files of `output` are written to `output_dir`.

    Parameters
    ----------
    score_path, output_dir : path-like
    database : str, path-like or Database
        `jaspar:<group>`, the path of a MEME file, or one already loaded.
    max_seqlets : int
        Most positive, and most negative, seqlets clustered.
    window : int, bp
        So many bp in the middle of each region are searched; all of a region that is not longer.
    threshold : float
        Largest q that gives a pattern a name.
    seed : int

    Returns
    -------
    MotifSummary

    Raises
    ------
    SeqliftError
        If a file is missing or wrong, a setting is out of range, scores are not finite, or regions are too short.
    """
    _check_settings(max_seqlets, window, threshold)
    known = database if isinstance(database, Database) else load_database(database)
    folder = Path(output_dir)
    with open_scores(score_path) as scores:
        target, method = str(scores.attributes["target"]), str(scores.attributes["method"])
        fold = int(scores.attributes["fold"]) if "fold" in scores.attributes else None
        sequences, hypothetical, offset = _read_middle(scores, window)
        contributions = _read_contributions(scores)
        coords = scores.coords
    found = modisco.find_patterns(sequences, hypothetical, max_seqlets=max_seqlets, seed=seed, offset=offset)
    matches = name_patterns([trimmed(one) for one in found.patterns], known, threshold=threshold, seed=seed)
    patterns = [orient(one, match) for one, match in zip(found.patterns, matches, strict=True)]
    used = {
        sign: sum(len(one.pattern.rows) for one in patterns if one.pattern.name.startswith(sign[:3]))
        for sign in ("positive", "negative")
    }
    summary = MotifSummary(
        format=FORMAT,
        target=target,
        method=method,
        fold=fold,
        regions=len(coords),
        seqlets={**used, "found_positive": found.positive, "found_negative": found.negative},
        patterns=len(patterns),
        named=sum(one.match.named for one in patterns),
        message="" if patterns else _why_nothing(hypothetical, found),
        settings={
            "max_seqlets": max_seqlets,
            "window": sequences.shape[2],
            "offset": offset,
            "threshold": threshold,
            "seed": seed,
            "shuffles": SHUFFLES,
            "tfmodisco": modisco.SETTINGS,
        },
        database={"name": known.name, "release": known.release, "motifs": len(known.ids)},
    )
    _write(folder, summary, patterns, found, sequences, coords, contributions)
    return summary


def _check_settings(max_seqlets: int, window: int, threshold: float) -> None:
    least = modisco.SETTINGS["min_metacluster_size"]
    if max_seqlets <= least:
        raise SeqliftError(
            f"`max_seqlets` (={max_seqlets}) must be more than {least}: TF-MoDISco does not cluster fewer seqlets"
        )
    if window < modisco.SHORTEST:
        raise SeqliftError(f"`window` (={window}) must be at least {modisco.SHORTEST} bp, the room TF-MoDISco needs")
    if not 0 < threshold <= 1:
        raise SeqliftError(f"`threshold` (={threshold}) must be above 0 and at most 1: it is a corrected p-value")


def _read_middle(scores: Scores, window: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Sequences (N, 4, W) int8 and hypothetical contributions (N, 4, W) float32 of the middle, and where it starts."""
    n, _, length = scores.sequences.shape
    if n == 0:
        raise SeqliftError(f"{scores.path}: holds no regions, so there are no motifs to find")
    width = min(window, length)
    start = (length - width) // 2
    sequences, hypothetical = np.empty((n, 4, width), np.int8), np.empty((n, 4, width), np.float32)
    for row in range(0, n, _ROWS):
        rows = slice(row, row + _ROWS)
        sequences[rows] = scores.sequences[rows, :, start : start + width]
        hypothetical[rows] = scores.hypothetical[rows, :, start : start + width]
    bad = np.flatnonzero(~np.isfinite(hypothetical).all(axis=(1, 2)))
    if len(bad):
        raise SeqliftError(
            f"{scores.path}: {len(bad)} regions have scores that are not finite, the first is "
            f"{scores.coords['name'].iloc[bad[0]]!r} (row {bad[0]}); make the file again with `seqlift attribute`"
        )
    return sequences, hypothetical, start


def _read_contributions(scores: Scores) -> np.ndarray:
    """Contribution of the base that is there, (N, L) float32."""
    n = len(scores.contributions)
    return np.concatenate([scores.contributions[row : row + _ROWS].sum(axis=1) for row in range(0, n, _ROWS)])


def _why_nothing(hypothetical: np.ndarray, found: modisco.Discovery) -> str:
    """What the person who finds no logos needs to know."""
    n, least = len(hypothetical), modisco.SETTINGS["min_metacluster_size"]
    if not hypothetical.any():
        return (
            "No patterns: all scores are zero, so the model's output does not depend on the sequence. "
            "Look at its AUROC and training curve, and train it again."
        )
    counts = f"{found.positive} positive and {found.negative} negative"
    if max(found.positive, found.negative) <= least:
        return (
            f"No patterns: in {n} regions {counts} stretches stand out from the background of the scores, and "
            f"TF-MoDISco clusters only more than {least} of a sign. Either there are too few regions (raise "
            "`attribution: max_regions`, or use more peaks), or the model has learnt no motif (look at its AUROC on "
            "held-out regions), or the motifs lie outside the middle of the regions (raise `motifs: window`)."
        )
    return (
        f"No patterns: in {n} regions {counts} stretches stand out, but they are too unlike each other to form a "
        "cluster of 20. The scores may be noisy (look at the AUROC; use more references), the regions too few (raise "
        "`attribution: max_regions`), or each motif too rare among the seqlets used (raise `motifs: max_seqlets`)."
    )


def _write(folder, summary, patterns: list[NamedPattern], found, sequences, coords, contributions) -> None:
    """All files; motifs.json last, so that a folder with it is whole."""
    from modiscolite.io import save_hdf5

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "motifs.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "logos", ignore_errors=True)  # of patterns that an earlier run had
    (folder / "logos").mkdir()
    with replacing(folder / "modisco.h5") as temporary:
        save_hdf5(temporary, *found.results, summary.settings["window"])
    background = sequences.sum(axis=(0, 2), dtype=float)
    background += background[::-1]
    write_meme(
        patterns, background / background.sum() if background.any() else np.full(4, 0.25), folder / "patterns.meme"
    )
    write_table(patterns, folder / "patterns.tsv")
    write_seqlets(patterns, coords, contributions, folder / "seqlets.bed.gz")
    for one in patterns:
        logos = {
            "cwm": pattern_figure(one.contributions, ylabel="contribution"),
            "pfm": pattern_figure(information_content(one.frequencies), ylabel="bits", limits=(0, 2)),
        }
        for kind, figure in logos.items():
            save_figure(figure, folder / "logos" / f"{one.pattern.name}.{kind}")
    with replacing(folder / "motifs.json") as temporary:
        temporary.write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
