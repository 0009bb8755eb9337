"""Hits and planted sites, compared with plain scans with the same number of calls.

A hit is right if it shares at least half of the shorter of both with a site of the motif of its pattern:
the planted motif that the pattern is most like, by TOMTOM. Each site counts once, for the strongest hit. Precision is
the share of hits that are right, recall the share of sites that are found. A higher or lower threshold moves both, so
the scans make the same number of calls, their best ones:

best   the likelihood ratio of each window, from the true matrix and the true background: no score that looks at the
       window alone separates sites from background better (Neyman and Pearson)
jaspar FIMO (Grant et al., Bioinformatics 27:1017, 2011; memelite) with the true matrix, by its p-values
pfm    FIMO with the PFMs of the run's own patterns

Of calls that overlap by more than half the better one is kept, as among hits.
"""

import bisect
from collections.abc import Iterable

import numpy as np
import pandas as pd

from seqlift.data.simulate import Motif, Simulation
from seqlift.motifs.database import Database
from seqlift.motifs.folder import MotifFolder
from seqlift.motifs.hits.call import read_hits
from seqlift.motifs.hits.fit import OVERLAP, not_overlapping
from seqlift.motifs.naming import name_patterns
from seqlift.scores.file import Scores
from seqlift.truth.likelihood import site_ratio
from seqlift.truth.sites import motifs_of, planted_sites

_LOOSEST = 0.01  # p of FIMO's calls, of which the best are taken; a site that is worse is hardly one
_CALL = ["chrom", "start", "end", "motif"]


def compare_hits(simulation: Simulation, motifs: MotifFolder, scores: Scores) -> dict:
    """Precision and recall of a folder's hits, and of scans of the same regions with the same number of calls.

    Parameters
    ----------
    simulation : Simulation
    motifs : MotifFolder
        With hits.bed.gz.
    scores : Scores
        That the hits were called in.

    Returns
    -------
    dict
        `sites`, `calls`, `precision`, `recall` (None without calls or sites), and the same of `scans`: best, jaspar,
        pfm.

    Raises
    ------
    SeqliftError
        If the hits are missing or broken, or the target is not one of the simulation.
    """
    path = motifs.folder / "hits.bed.gz"
    hits = read_hits(path)
    wanted = motifs_of(simulation, motifs.source.output, path)
    sites = sites_within(simulation, wanted, scores.coords)
    meant = meant_motifs(simulation, motifs)
    hits = hits.assign(motif=hits["pattern"].map(meant)).sort_values("score", ascending=False, kind="stable")
    scans = scan(simulation, motifs, wanted, scores.sequences[:])
    return {
        **judge(hits, sites),
        "scans": {name: judge(on_genome(calls, scores.coords).head(len(hits)), sites) for name, calls in scans.items()},
    }


def sites_within(simulation: Simulation, motifs: tuple[str, ...], regions: pd.DataFrame) -> pd.DataFrame:
    """The planted sites of these motifs that lie wholly in one of the regions, all of one length."""
    sites = planted_sites(simulation, motifs)
    inside = np.zeros(len(sites), bool)
    for chrom, here in regions.groupby("chrom"):
        starts = np.sort(here["start"].to_numpy())
        length = int((here["end"] - here["start"]).iloc[0])
        rows = np.flatnonzero(sites["chrom"] == chrom)
        # The last region that starts at or before the site reaches farthest
        last = np.searchsorted(starts, sites["start"].to_numpy()[rows], side="right") - 1
        inside[rows] = (last >= 0) & (sites["end"].to_numpy()[rows] <= starts[np.maximum(last, 0)] + length)
    return sites[inside]


def meant_motifs(simulation: Simulation, motifs: MotifFolder) -> dict[str, str]:
    """Pattern to the planted motif that it is most like."""
    names = tuple(simulation.motifs)
    known = Database("planted", "", names, names, tuple(motif.probabilities for motif in simulation.motifs.values()))
    matches = name_patterns([one.shown("pfm") for one in motifs.patterns], known)
    return {one.name: match.match_name for one, match in zip(motifs.patterns, matches, strict=True)}


def scan(
    simulation: Simulation, motifs: MotifFolder, wanted: tuple[str, ...], one_hot: np.ndarray
) -> dict[str, pd.DataFrame]:
    """Calls of the three scans in these sequences (N, 4, L), the best first: row, start, end, motif."""
    planted = {name: simulation.motifs[name] for name in wanted}
    frequencies = {one.name: one.shown("pfm") for one in motifs.patterns}
    return {
        "best": _likelihood_scan(one_hot, planted, simulation.background),
        "jaspar": _fimo({name: motif.probabilities for name, motif in planted.items()}, one_hot),
        "pfm": _fimo(frequencies, one_hot).replace({"motif": meant_motifs(simulation, motifs)}),
    }


def _likelihood_scan(one_hot: np.ndarray, motifs: dict[str, Motif], background: np.ndarray) -> pd.DataFrame:
    """Windows by falling likelihood ratio, either strand: row, start, end, motif."""
    codes = one_hot.argmax(axis=1).astype(np.uint8)
    tables = []
    for name, motif in motifs.items():
        ratio = site_ratio(codes, motif, background)
        rows, starts = np.nonzero(ratio > 1)
        tables.append(
            pd.DataFrame(
                {
                    "row": rows,
                    "start": starts,
                    "end": starts + motif.width,
                    "motif": name,
                    "rank": -ratio[rows, starts],
                }
            )
        )
    return _best_first(tables, ["rank"])


def _fimo(matrices: dict[str, np.ndarray], one_hot: np.ndarray) -> pd.DataFrame:
    """Calls by rising p-value: row, start, end, motif (the key of its matrix)."""
    import memelite

    if not matrices:
        return pd.DataFrame(columns=["row", "start", "end", "motif"])
    motifs = {name: np.ascontiguousarray(matrix, float) for name, matrix in matrices.items()}
    found = memelite.fimo(motifs, one_hot.astype(np.int8), threshold=_LOOSEST)
    tables = [
        pd.DataFrame(
            {
                "row": table["sequence_name"].astype(int),
                "start": table["start"].astype(int),
                "end": table["end"].astype(int),
                "motif": name,
                "rank": table["p-value"].astype(float),
                "tie": -table["score"].astype(float),
            }
        )
        for name, table in zip(motifs, found, strict=True)
    ]
    return _best_first(tables, ["rank", "tie"])


def _best_first(tables: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Calls of all tables that overlap no better one by too much, the best first."""
    table = pd.concat(tables, ignore_index=True).sort_values(["row", *keys], kind="stable", ignore_index=True)
    start = table["start"].to_numpy(int)
    kept = not_overlapping(table["row"].to_numpy(int), start, table["end"].to_numpy(int) - start, OVERLAP)
    return table[kept].sort_values(keys, kind="stable", ignore_index=True)


def on_genome(calls: pd.DataFrame, coords: pd.DataFrame) -> pd.DataFrame:
    """The same calls in genome coordinates."""
    region = coords.iloc[calls["row"].astype(int)]
    return calls.assign(
        chrom=region["chrom"].to_numpy(),
        start=calls["start"] + region["start"].to_numpy(),
        end=calls["end"] + region["start"].to_numpy(),
    )


def judge(calls: pd.DataFrame, sites: pd.DataFrame) -> dict:
    """Precision and recall of calls (chrom, start, end, motif), the best first."""
    right = sum(_find(calls[_CALL].itertuples(index=False), sites))
    return {
        "sites": len(sites),
        "calls": len(calls),
        "precision": right / len(calls) if len(calls) else None,
        "recall": right / len(sites) if len(sites) else None,
    }


def _find(calls: Iterable[tuple], sites: pd.DataFrame) -> Iterable[bool]:
    """Of each call, in order, whether it finds a site of its motif that no earlier one found."""
    groups: dict[tuple[str, str], tuple[list[int], list[int], np.ndarray]] = {}
    for key, here in sites.groupby(["chrom", "name"]):
        here = here.sort_values("start")
        groups[key] = here["start"].tolist(), here["end"].tolist(), np.zeros(len(here), bool)
    widest = int((sites["end"] - sites["start"]).max()) if len(sites) else 0
    for chrom, start, end, motif in calls:
        starts, ends, found = groups.get((chrom, motif), ([], [], np.zeros(0, bool)))
        best, most = None, 0
        for i in range(bisect.bisect_left(starts, start - widest), bisect.bisect_left(starts, end)):
            common = min(end, ends[i]) - max(start, starts[i])
            if not found[i] and common > most and 2 * common >= min(end - start, ends[i] - starts[i]):
                best, most = i, common
        if best is not None:
            found[best] = True
        yield best is not None
