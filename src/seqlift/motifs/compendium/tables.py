"""The tables of the compendium: motifs, their members, how often and where they are used."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqlift.motifs.compendium.merging import Motif
from seqlift.motifs.folder import Source
from seqlift.motifs.information import information_content
from seqlift.motifs.output import consensus

BIN = 10  # bp, of positions.tsv

# Columns of compendium.tsv. `name` and `match_id` are empty unless q is at most the threshold of names; `closest` says
# which known motif p and q are about. `gc` and `information` (bits) are those of the consensus PFM. `outputs` and
# `methods` are those with a member, with ';' between them. `seqlets` and `hits` are sums over them, `regions` counts
# each region once in which any of them has a site.
MOTIF_COLUMNS = [
    "motif",
    "sign",
    "name",
    "match_id",
    "p",
    "q",
    "closest",
    "consensus",
    "width",
    "gc",
    "information",
    "members",
    "outputs",
    "methods",
    "seqlets",
    "hits",
    "regions",
]

# Columns of members.tsv. `strand`: '-' if the pattern's logo is the reverse complement of the consensus. `offset`:
# position of the consensus, 0-based, at the first base of the logo, oriented like it; negative where the logo begins
# before the consensus. `p`: TOMTOM's between pattern and consensus; empty for a motif of one pattern. `hits` and
# `regions` are the pattern's own.
MEMBER_COLUMNS = [
    "motif",
    "output",
    "method",
    "fold",
    "pattern",
    "strand",
    "offset",
    "p",
    "seqlets",
    "hits",
    "regions",
]

# Columns of usage.tsv: `regions` of `regions_searched` (their `share`) have a site, `hits` sites in all, which change
# the output by `mean_contribution` each; the median of their distances to the region's centre (bp, positive to the
# right), and of the distances without their sign; empty where there are no sites.
USAGE_COLUMNS = [
    "motif",
    "output",
    "method",
    "regions_searched",
    "regions",
    "share",
    "hits",
    "mean_contribution",
    "distance_median",
    "distance_abs_median",
]

# Columns of positions.tsv: sites whose middle lies at least bin_start and less than bin_end bp right of the region's
# centre. Every motif has the same bins; empty ones are included.
POSITION_COLUMNS = ["motif", "output", "method", "bin_start", "bin_end", "hits"]


@dataclass(frozen=True)
class Usage:
    """What the hits of one folder say. Those of all folders are in memory at once, some 20 bytes a site.

    Attributes
    ----------
    source : Source
    sites : pandas.DataFrame
        Columns motif, region (a number, the same in all folders), contribution, distance.
    members : pandas.DataFrame
        By pattern: hits, regions.
    regions_searched : int
    """

    source: Source
    sites: pd.DataFrame
    members: pd.DataFrame
    regions_searched: int


def motif_table(motifs: Sequence[Motif], usage: Sequence[Usage]) -> pd.DataFrame:
    """One row a motif, with the columns `MOTIF_COLUMNS`."""
    regions, hits = _regions_of_motifs(len(motifs), usage)
    rows = [
        {
            **motif.match.columns,
            "motif": motif.name,
            "sign": motif.sign,
            "consensus": consensus(motif.frequencies),
            "width": motif.width,
            "gc": f"{motif.frequencies[1:3].sum() / motif.width:.3f}",
            "information": f"{information_content(motif.frequencies).sum():.3f}",
            "members": len(motif.members),
            "outputs": ";".join(sorted({member.found.output for member in motif.members})),
            "methods": ";".join(sorted({member.found.method for member in motif.members})),
            "seqlets": motif.seqlets,
            "hits": hits[number],
            "regions": regions[number],
        }
        for number, motif in enumerate(motifs)
    ]
    return pd.DataFrame(rows, columns=MOTIF_COLUMNS)


def _regions_of_motifs(n: int, usage: Sequence[Usage]) -> tuple[list[int], list[int]]:
    """Of each motif: regions with a site of any output and method, and sites of all of them together."""
    regions, hits = [], []
    for number in range(n):
        sites = [used.sites.loc[used.sites["motif"] == number, "region"].to_numpy() for used in usage]
        regions.append(len(np.unique(np.concatenate(sites))))
        hits.append(sum(map(len, sites)))
    return regions, hits


def member_table(motifs: Sequence[Motif], usage: Sequence[Usage]) -> pd.DataFrame:
    """One row a pattern, with the columns `MEMBER_COLUMNS`."""
    counts = {used.source: used.members.to_dict("index") for used in usage}
    rows = []
    for motif in motifs:
        for member in motif.members:
            found = member.found
            own = counts[found.source].get(found.pattern.name, {"hits": 0, "regions": 0})
            rows.append(
                {
                    "motif": motif.name,
                    "output": found.output,
                    "method": found.method,
                    "fold": "" if found.fold is None else found.fold,
                    "pattern": found.pattern.name,
                    "strand": "-" if member.reverse else "+",
                    "offset": member.offset,
                    "p": f"{member.p:.3g}" if len(motif.members) > 1 else "",
                    "seqlets": found.seqlets,
                    **own,
                }
            )
    return pd.DataFrame(rows, columns=MEMBER_COLUMNS)


def usage_table(motifs: Sequence[Motif], usage: Sequence[Usage]) -> pd.DataFrame:
    """One row for each motif, output and method with a member, with the columns `USAGE_COLUMNS`."""
    rows = []
    for number, motif in enumerate(motifs):
        for output, method in _used_in(motif):
            folds = [one for one in usage if one.source[:2] == (output, method)]
            searched = sum(one.regions_searched for one in folds)
            of_fold = [one.sites[one.sites["motif"] == number] for one in folds]
            regions, sites = sum(one["region"].nunique() for one in of_fold), pd.concat(of_fold)
            rows.append(
                {
                    "motif": motif.name,
                    "output": output,
                    "method": method,
                    "regions_searched": searched,
                    "regions": regions,
                    "share": f"{regions / searched:.4g}" if searched else "",
                    "hits": len(sites),
                    "mean_contribution": _number(sites["contribution"].mean()),
                    "distance_median": _number(sites["distance"].median()),
                    "distance_abs_median": _number(sites["distance"].abs().median()),
                }
            )
    return pd.DataFrame(rows, columns=USAGE_COLUMNS)


def _used_in(motif: Motif) -> list[tuple[str, str]]:
    return sorted({(member.found.output, member.found.method) for member in motif.members})


def _number(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else ""


def position_table(motifs: Sequence[Motif], usage: Sequence[Usage]) -> pd.DataFrame:
    """How many sites lie in which bin of `BIN` bp, with the columns `POSITION_COLUMNS`."""
    distances = [one.sites["distance"] for one in usage if len(one.sites)]
    if not distances:
        return pd.DataFrame(columns=POSITION_COLUMNS)
    first = int(min(one.min() for one in distances) // BIN)
    bins = np.arange(first, int(max(one.max() for one in distances) // BIN) + 1)
    tables = []
    for number, motif in enumerate(motifs):
        for output, method in _used_in(motif):
            counts = np.zeros(len(bins), int)
            for one in usage:
                if one.source[:2] == (output, method):
                    own = one.sites.loc[one.sites["motif"] == number, "distance"] // BIN
                    counts += np.bincount(own.to_numpy(int) - first, minlength=len(bins))
            table = pd.DataFrame({"bin_start": bins * BIN, "bin_end": bins * BIN + BIN, "hits": counts})
            tables.append(table.assign(motif=motif.name, output=output, method=method)[POSITION_COLUMNS])
    return pd.concat(tables, ignore_index=True)
