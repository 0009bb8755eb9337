"""The motifs of a run as the report lists them: those of the compendium, or where there is none, each pattern."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.motifs.folder import StoredPattern
from seqlift.report.read.findings import Compendium
from seqlift.report.read.run import Run


@dataclass(frozen=True)
class Member:
    """One pattern of one output and method, as a member of a motif."""

    output: str
    method: str
    fold: str
    pattern: StoredPattern
    row: dict  # of patterns.tsv
    reverse: bool = False  # the pattern, as it is shown, reads on the other strand than the motif
    # Position of the motif on which the first base of the pattern lies, as it is shown and oriented like the motif's
    # strand; negative where it begins before the motif
    offset: int = 0

    def shown(self, kind: str) -> np.ndarray:
        """The member's matrix, shape (4, w), oriented by the strand of the motif."""
        matrix = self.pattern.shown(kind)
        return matrix[::-1, ::-1] if self.reverse else matrix


@dataclass(frozen=True)
class Entry:
    """A motif of the page; numbers that no stage has found are None."""

    key: str
    sign: str
    name: str
    match_id: str
    closest: str
    p: float
    q: float
    consensus: str
    seqlets: int
    information: float
    members: list[Member]
    gc: float | None = None
    hits: int | None = None
    regions: int | None = None
    usage: list[dict] = field(default_factory=list)
    positions: pd.DataFrame | None = None
    matrices: dict | None = None

    def shown(self, kind: str) -> np.ndarray:
        """The `cwm`, `hcwm` or `pfm` that its logos show, shape (4, w): the consensus of its members."""
        return self.members[0].shown(kind) if self.matrices is None else np.array(self.matrices[kind], float)

    @property
    def label(self) -> str:
        """What to call it in a sentence: its name, or its consensus between the outermost bases that are not N."""
        return self.name or self.consensus.strip("N") or self.key

    @property
    def leading(self) -> Member:
        """The member of most seqlets, those of single folds last."""
        return max(self.members, key=lambda member: (not member.fold, len(member.pattern.rows)))

    @property
    def outputs(self) -> list[str]:
        """Outputs with a member, in their order."""
        return list(dict.fromkeys(member.output for member in self.members))

    @property
    def methods(self) -> list[str]:
        """Methods with a member."""
        return sorted({member.method for member in self.members})


def entries_of(run: Run) -> list[Entry]:
    """The motifs of a run, by falling number of seqlets.

    Raises
    ------
    SeqliftError
        If the compendium and the run have different patterns.
    """
    stored = {}
    folders = {(*key, ""): motifs for key, motifs in run.motifs.items()} | run.fold_motifs
    for key, motifs in folders.items():
        rows = motifs.table.to_dict("records")
        for pattern, row in zip(motifs.patterns, rows, strict=True):
            stored[*key, pattern.name] = Member(*key, pattern, row)
    whole = {(output, method, name) for output, method, fold, name in stored if not fold}
    if run.compendium is None:
        found = [_single((*key[:2], key[3]), member) for key, member in stored.items() if not member.fold]
        return sorted(found, key=lambda entry: (entry.sign == "negative", -entry.seqlets, entry.key))
    found = [_merged(row, run.compendium, stored) for row in run.compendium.table.to_dict("records")]
    left = whole - set(key_of(found))
    if left:
        raise SeqliftError(
            f"{run.compendium.folder / 'members.tsv'}: {' '.join(min(left))} of this run is no member of any motif; "
            "make it again with `seqlift compendium`"
        )
    return found


def key_of(entries: list[Entry]) -> dict[tuple[str, str, str], int]:
    """(output, method, pattern) -> number of its motif in `entries`; without the patterns of single folds."""
    return {
        (member.output, member.method, member.pattern.name): i
        for i, entry in enumerate(entries)
        for member in entry.members
        if not member.fold
    }


def _single(key: tuple[str, str, str], member: Member) -> Entry:
    row = member.row
    sign = "positive" if key[2].startswith("pos") else "negative"
    return Entry(".".join(key), sign, members=[member], seqlets=int(row["seqlets"]), **_described(row))


def _described(row: dict) -> dict[str, Any]:
    """What it is called and how sure that is, from a row of patterns.tsv or compendium.tsv."""
    words = {name: row[name] for name in ("name", "match_id", "closest", "consensus")}
    return words | {name: float(row[name]) for name in ("p", "q", "information")}


def _merged(row: dict, compendium: Compendium, stored: dict) -> Entry:
    members = []
    for item in compendium.members[compendium.members["motif"] == row["motif"]].to_dict("records"):
        key = item["output"], item["method"], str(item["fold"]), item["pattern"]
        if key not in stored:
            raise SeqliftError(
                f"{compendium.folder / 'members.tsv'}: {' '.join(filter(None, key))} is no pattern of this run; make "
                "it again with `seqlift compendium`"
            )
        base = stored[key]
        reverse = item["strand"] == "-"
        members.append(Member(*key[:3], base.pattern, base.row, reverse, int(item["offset"])))
    usage = compendium.usage[compendium.usage["motif"] == row["motif"]]
    positions = compendium.positions[compendium.positions["motif"] == row["motif"]]
    return Entry(
        row["motif"],
        row["sign"],
        members=members,
        seqlets=int(row["seqlets"]),
        hits=int(row["hits"]),
        regions=int(row["regions"]),
        usage=usage.to_dict("records"),
        positions=positions if len(positions) else None,
        matrices=compendium.matrices[row["motif"]],
        gc=float(row["gc"]),
        **_described(row),
    )
