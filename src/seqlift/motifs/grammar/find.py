"""The grammar of motifs: which motifs occur together more often than by chance, in which order and at which distance.

The sites come from the hits of each output and method, through the compendium, so that a motif is the same one
everywhere. `grammar_pairs` says what is counted and against which null, `grammar_figure` draws it. What it shows is how
the model reads its regions, which were chosen for their peaks: no proof that proteins meet.

Written to `motifs/compendium/`: grammar.tsv (one row for each output, method and pair of motifs, see `COLUMNS`),
grammar.svg and grammar.png.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from seqlift.core.files import replacing
from seqlift.errors import SeqliftError
from seqlift.motifs.compendium.build import Compendium, read_compendium
from seqlift.motifs.compendium.sites import motif_sites, read_called
from seqlift.motifs.folder import MotifFolder, Source, counted, read_different, source_of
from seqlift.motifs.grammar.figure import LeadingPair, choose_panels, draw_grammar
from seqlift.motifs.grammar.pairs import LEAST_REGIONS, MotifSites, Spacing, examine
from seqlift.motifs.logos import save_figure
from seqlift.scores.file import open_scores

_ROWS = 4096  # regions of a score file read at once

# Columns of grammar.tsv. Of `regions` that were searched, `regions_a` and `regions_b` have a site of each motif and
# `together` both, apart from each other; `expected` by chance, `enrichment` their quotient. Orientation and spacing
# (bp, from the middle of motif_a to that of motif_b in the direction of motif_a) are the most significant ones, empty
# below 20 pairs; `spacing_count` regions (copies of one sequence counted once) have motif_b at exactly that distance
# and in `spacing_orientation`, `spacing_expected` by chance. Each p is corrected for the orientations and distances
# tried within the row, each q for all rows (Benjamini & Hochberg 1995). motif_a and motif_b may be the same: two sites
# of one motif.
COLUMNS = [
    "output",
    "method",
    "motif_a",
    "motif_b",
    "name_a",
    "name_b",
    "regions",
    "regions_a",
    "regions_b",
    "together",
    "expected",
    "enrichment",
    "p",
    "q",
    "orientation",
    "orientation_p",
    "orientation_q",
    "spacing",
    "spacing_orientation",
    "spacing_count",
    "spacing_expected",
    "spacing_p",
    "spacing_q",
]


@dataclass(frozen=True)
class _Searched:
    """The regions of a score file: where each starts, by name."""

    path: Path
    source: Source
    start: pd.Series


def find_grammar(
    compendium_dir: str | os.PathLike,
    folders: Iterable[str | os.PathLike],
    score_paths: Iterable[str | os.PathLike],
    output_dir: str | os.PathLike,
    *,
    max_spacing: int = 150,
) -> pd.DataFrame:
    """Count pairs of motifs in the regions of every output and method, test them, and write table and figure.

    Parameters
    ----------
    compendium_dir : path-like
        Of `build_compendium`.
    folders : iterable of path-like
        The folders of motifs that it was made of, with their hits.
    score_paths : iterable of path-like
        Their score files: which regions there are, also those without hits.
    output_dir : path-like
    max_spacing : int, bp
        Distances up to this are tried one by one.

    Returns
    -------
    pandas.DataFrame
        grammar.tsv, numbers as numbers.

    Raises
    ------
    SeqliftError
        If a file is missing or wrong, two folders or two score files are of the same output, method and fold, a folder
        has no score file, or hits are of other regions than the scores.
    """
    if max_spacing < 1:
        raise SeqliftError(f"`max_spacing` (={max_spacing}) must be at least 1 bp")
    compendium = read_compendium(compendium_dir)
    searched = _read_searched(score_paths)
    read = read_different(folders)
    speaking = counted(one.source for one in read)
    rows: list[dict] = []
    leading: list[LeadingPair] = []
    for (output, method), own in itertools.groupby(read, key=lambda one: one.source[:2]):
        sites, paths = _sites([one for one in own if one.source in speaking], compendium, searched)
        codes = np.concatenate([_read_bases(path) for path in paths])
        for row, spacing in _pairs(sites, codes, max_spacing):
            rows.append({"output": output, "method": method, **row})
            if spacing is not None:
                one = LeadingPair(output, method, row["motif_a"], row["motif_b"], row["spacing_p"], spacing)
                leading = choose_panels([*leading, one])
    table = _table(rows, compendium)
    figure = draw_grammar(table, leading, max_spacing)
    with replacing(Path(output_dir) / "grammar.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n", float_format="%.6g")
    save_figure(figure, Path(output_dir) / "grammar")
    return table


def _read_searched(paths: Iterable[str | os.PathLike]) -> dict[Source, _Searched]:
    found: dict[Source, _Searched] = {}
    for path in paths:
        with open_scores(path) as scores:
            source, coords = source_of(scores.attributes), scores.coords
        if source in found:
            raise SeqliftError(f"{found[source].path} and {path} both contain the scores of {source}; name one of them")
        start = pd.Series(coords["start"].to_numpy(), index=coords["name"].astype(str))
        if not start.index.is_unique:
            name = start.index[start.index.duplicated()][0]
            raise SeqliftError(
                f"{path}: has several regions called {name!r}, so hits do not say in which they lie; give each a name "
                "of its own"
            )
        found[source] = _Searched(Path(path), source, start)
    return found


def _read_bases(path: Path) -> np.ndarray:
    """Bases of all regions, (N, L) uint8: 0 to 3 for A C G T, 4 for N; a byte a base, 50 MB for 100,000 of 500 bp."""
    with open_scores(path) as scores:
        n, _, length = scores.sequences.shape
        codes = np.empty((n, length), np.uint8)
        for row in range(0, n, _ROWS):
            one_hot = scores.sequences[row : row + _ROWS]
            codes[row : row + _ROWS] = np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), 4)
    return codes


def _sites(
    folders: Sequence[MotifFolder], compendium: Compendium, searched: dict[Source, _Searched]
) -> tuple[dict[str, MotifSites], list[Path]]:
    """Sites of each motif by one output and method, over all folds, and the score files that number their regions."""
    parts, paths, n_regions = [], [], 0
    for one in folders:
        if one.source not in searched:
            raise SeqliftError(
                f"{one.folder}: there is no score file of {one.source} among --scores; name the one that the motifs "
                "were found in"
            )
        start, path = searched[one.source].start, one.folder / "hits.bed.gz"
        sites = motif_sites(read_called(one.folder)[0], compendium.placements(one.source), path)
        number = start.index.get_indexer(sites["region"].cat.categories)
        if (number < 0).any():
            name = sites["region"].cat.categories[number < 0][0]
            raise SeqliftError(
                f"{path}: has hits in the region {name!r}, which is not among those of the score file; "
                "make the hits again with `seqlift hits`"
            )
        row = number[sites["region"].cat.codes]
        sites["start"] -= start.to_numpy()[row]
        parts.append(sites.assign(region=row + n_regions))
        n_regions += len(start)
        paths.append(searched[one.source].path)
    sites = pd.concat(parts).sort_values(["motif", "region", "start"], kind="stable")
    names, widths = compendium.motifs["motif"], compendium.motifs["width"]
    return {
        names[motif]: MotifSites(
            width=int(widths[motif]),
            region=own["region"].to_numpy(int),
            start=own["start"].to_numpy(int),
            forward=(own["strand"] == "+").to_numpy(),
            size=own["contribution"].abs().to_numpy(),
        )
        for motif, own in sites.groupby("motif")
    }, paths


def _pairs(sites: dict[str, MotifSites], codes: np.ndarray, max_spacing: int) -> Iterator[tuple[dict, Spacing | None]]:
    """Of each pair of motifs that enough regions have, its row of the table and the distances of its sites."""
    frequent = [name for name, one in sites.items() if len(np.unique(one.region)) >= LEAST_REGIONS]
    for i, first in enumerate(frequent):
        for second in frequent[i:]:
            together, found = examine(sites[first], sites[second], codes, max_spacing)
            arranged, spacing = found or (None, None)
            yield (
                {
                    "motif_a": first,
                    "motif_b": second,
                    "regions": len(codes),
                    **vars(together),
                    "enrichment": together.together / together.expected,
                    **(vars(arranged) if arranged else {}),
                },
                spacing,
            )


def _table(rows: list[dict], compendium: Compendium) -> pd.DataFrame:
    """All rows with names and q-values."""
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    name = dict(zip(compendium.motifs["motif"], compendium.motifs["name"], strict=True))
    for side in ("a", "b"):
        table[f"name_{side}"] = table[f"motif_{side}"].map(name)
    for key in ("", "orientation_", "spacing_"):
        tested = table[f"{key}p"].notna()
        p = table.loc[tested, f"{key}p"].to_numpy(float)
        table[f"{key}q"] = np.nan
        table.loc[tested, f"{key}q"] = stats.false_discovery_control(p) if len(p) else p
    return table.astype({"spacing_count": "Int64"})
