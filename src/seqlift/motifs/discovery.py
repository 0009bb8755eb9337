"""Motif discovery: from a score file to named patterns.

TF-MoDISco (`modisco`) clusters seqlets from the middle of the regions (`seqlets`). Its patterns are trimmed to their
informative part, compared with known motifs and named where the similarity is significant (`naming`), oriented like
their motif, and written (`output`). `drawing` draws their logos.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.core.files import replacing
from seqlift.errors import SeqliftError
from seqlift.motifs import modisco
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.folder import FORMAT, source_of
from seqlift.motifs.modisco import Discovery
from seqlift.motifs.naming import SHUFFLES, name_patterns
from seqlift.motifs.output import NamedPattern, orient, write_meme, write_seqlets, write_table
from seqlift.motifs.seqlets import Seqlets, choose_seqlets
from seqlift.motifs.settings import ModiscoSettings, MotifSettings
from seqlift.scores.file import Scores, open_scores

_ROWS = 2048  # rows of a score file in memory at once


@dataclass(frozen=True)
class MotifSummary:
    """Summary of what was searched and found; written as motifs.json.

    Attributes
    ----------
    format, target, method : str
    fold : int or None
        Of the model explained, where it is that of one fold alone.
    regions : int
    seqlets : dict
        `positive`, `negative`: seqlets in the patterns; `found_positive`, `found_negative`: all seqlets found.
    patterns, named : int
        How many there are, and how many got a name.
    message : str
        Why nothing was found and what to try; "" if something was.
    background : dict of str to float
        Frequencies of A C G T in the parts searched, both strands together.
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
    background: dict[str, float]
    settings: dict
    database: dict


def discover(
    score_path: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    database: str | os.PathLike | Database,
    max_seqlets: int = MotifSettings.max_seqlets,
    window: int = MotifSettings.window,
    threshold: float = MotifSettings.threshold,
    seed: int = MotifSettings.seed,
    tfmodisco: ModiscoSettings | None = None,
) -> MotifSummary:
    """Find and name the patterns in a score file; all files of `output` are written to `output_dir`.

    Parameters
    ----------
    score_path, output_dir : path-like
    database : str, path-like or Database
        `jaspar:<group>`, the path of a MEME file, or one already loaded.
    max_seqlets : int
        Largest number of positive, and of negative, seqlets to cluster: half are the strongest of all regions, half
        come at even steps from the rest of the ranking.
    window : int, bp
        Width of the middle of each region that is searched; shorter regions are searched in full.
    threshold : float
        Largest q that gives a pattern a name.
    seed : int
    tfmodisco : ModiscoSettings, optional

    Returns
    -------
    MotifSummary

    Raises
    ------
    SeqliftError
        If a file is missing or wrong, a setting is out of range, scores are not finite or not hypothetical, or regions
        are too short.
    """
    settings = tfmodisco or ModiscoSettings()
    MotifSettings(max_seqlets=max_seqlets, window=window, threshold=threshold, seed=seed, tfmodisco=settings)
    if window < settings.shortest:
        raise SeqliftError(f"`window` (={window}) must be at least {settings.shortest} bp, the room TF-MoDISco needs")
    known = load_database(database)
    with open_scores(score_path) as scores:
        source, coords = source_of(scores.attributes), scores.coords
        if scores.attributes.get("hypothetical") == "unknown":
            raise SeqliftError(
                f"{score_path}: its hypothetical contributions are unknown (attribute `hypothetical`), and TF-MoDISco "
                "clusters by them; explain the model with `seqlift attribute`, or convert a file that has them"
            )
        middle = _Middle(scores, window, settings)
        try:
            seqlets = choose_seqlets(middle, len(coords), settings=settings, max_seqlets=max_seqlets, seed=seed)
        except SeqliftError as error:
            raise SeqliftError(f"{score_path}: {error}") from None
    found = modisco.find_patterns(seqlets, settings=settings, offset=middle.offset)
    matches = name_patterns([one.shown("pfm") for one in found.patterns], known, threshold=threshold, seed=seed)
    patterns = [orient(one, match) for one, match in zip(found.patterns, matches, strict=True)]
    used = {
        sign: sum(len(one.rows) for one in found.patterns if one.name.startswith(sign[:3]))
        for sign in ("positive", "negative")
    }
    summary = MotifSummary(
        format=FORMAT,
        target=source.output,
        method=source.method,
        fold=source.fold,
        regions=len(coords),
        seqlets={**used, "found_positive": seqlets.positive, "found_negative": seqlets.negative},
        patterns=len(patterns),
        named=sum(one.match.named for one in patterns),
        message="" if patterns else _why_nothing(len(coords), seqlets, settings),
        background=dict(zip("ACGT", _background(seqlets.composition), strict=True)),
        settings={
            "max_seqlets": max_seqlets,
            "window": middle.width,
            "offset": middle.offset,
            "threshold": threshold,
            "seed": seed,
            "shuffles": SHUFFLES,
            "tfmodisco": asdict(settings),
        },
        database={"name": known.name, "release": known.release, "motifs": len(known.ids)},
    )
    _write(Path(output_dir), summary, patterns, found, seqlets, coords)
    return summary


class _Middle:
    """The middle of all regions of a score file, block by block, as often as it is gone through.

    Attributes
    ----------
    offset, width : int, bp
        Where it starts, from the start of the region, and how wide it is.
    """

    def __init__(self, scores: Scores, window: int, settings: ModiscoSettings):
        n, _, length = scores.sequences.shape
        if n == 0:
            raise SeqliftError(f"{scores.path}: contains no regions, so there are no motifs to find")
        self.width = min(window, length)
        self.offset = (length - self.width) // 2
        self._scores = scores
        if self.width < settings.shortest:
            raise SeqliftError(
                f"TF-MoDISco needs {settings.shortest} bp, but each region has only {length} bp; "
                "make longer regions (`lengths`), or narrower patterns (`motifs: tfmodisco`)"
            )

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        part = slice(self.offset, self.offset + self.width)
        for row in range(0, len(self._scores.sequences), _ROWS):
            rows = slice(row, row + _ROWS)
            yield self._scores.sequences[rows, :, part], self._scores.hypothetical[rows, :, part]


def _background(composition: np.ndarray) -> list[float]:
    """Frequencies of A C G T on both strands, from counts on one; 1/4 each where there are only N."""
    both = composition + composition[::-1]
    return (both / both.sum()).round(6).tolist() if both.any() else [0.25] * 4


def _why_nothing(n: int, seqlets: Seqlets, settings: ModiscoSettings) -> str:
    """Why there are no patterns, and what to try."""
    least = settings.min_metacluster_size
    if seqlets.silent:
        return (
            "No patterns: all scores are zero, so the model's output does not depend on the sequence. "
            "Look at its AUROC and training curve, and train it again."
        )
    counts = f"{seqlets.positive} positive and {seqlets.negative} negative"
    if max(seqlets.positive, seqlets.negative) <= least:
        return (
            f"No patterns: in {n} regions {counts} seqlets differ from the background of the scores, and "
            f"TF-MoDISco clusters only more than {least} of a sign. Either there are too few regions (raise "
            "`attribution: max_regions`, or use more peaks), or the model has learnt no motif (look at its AUROC on "
            "held-out regions), or the motifs lie outside the middle of the regions (raise `motifs: window`)."
        )
    return (
        f"No patterns: in {n} regions {counts} seqlets were found, but they are too different to form a "
        f"cluster of {settings.final_min_cluster_size}. The scores may be noisy (look at the AUROC; use more "
        "references), the regions too few (raise `attribution: max_regions`), or each motif too rare among the seqlets "
        "used (raise `motifs: max_seqlets`)."
    )


def _write(
    folder: Path,
    summary: MotifSummary,
    patterns: list[NamedPattern],
    found: Discovery,
    seqlets: Seqlets,
    coords: pd.DataFrame,
) -> None:
    """All files; motifs.json last, so that a folder with it is whole."""
    from modiscolite.io import save_hdf5

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("motifs.json", "hits.json", "hits.bed.gz", "logos/logos.json"):
        (folder / name).unlink(missing_ok=True)  # of an earlier run, with the results of later stages
    with replacing(folder / "modisco.h5") as temporary:
        save_hdf5(temporary, *found.results, summary.settings["window"])
    background = np.array(list(summary.background.values()))
    for name, sign in (("patterns.meme", "pos"), ("patterns_negative.meme", "neg")):
        entries = [
            (one.name, match, one.shown("pfm"), len(one.rows)) for one, match in patterns if one.name.startswith(sign)
        ]
        write_meme(entries, background, folder / name)
    write_table(patterns, folder / "patterns.tsv")
    contributions = (seqlets.sequences * seqlets.hypothetical).sum(axis=1) if patterns else np.empty((0, 0))
    write_seqlets(patterns, coords, seqlets.rows, contributions, summary.settings["offset"], folder / "seqlets.bed.gz")
    with replacing(folder / "motifs.json") as temporary:
        temporary.write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
