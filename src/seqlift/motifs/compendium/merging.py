"""Merge similar patterns into motifs, and compute the consensus of each.

Discovery runs separately for each target, method and fold, and TF-MoDISco may split one motif into several patterns.
Two patterns are the same motif if both conditions are true:

- TOMTOM (Gupta et al., Genome Biology 8:R24, 2007; memelite) finds their PFMs alike beyond chance. Its p-value depends
  on which of the two is the query; the larger one counts, times the number of other patterns of that sign. The
  patterns and the database of known motifs together are its targets, so the background is broad also where a run has
  few patterns.
- The cosine of their CWMs, best over all offsets and both strands, reaches the threshold. Positions covered by
  only one of the two lower it. It measures how similar they are, not how significant this is: wide patterns that share
  half
  of their bases, such as a motif and a pair of motifs, are alike beyond chance and yet not the same.

Patterns that raise the output and patterns that lower it are never merged. Clusters are those of complete linkage: all
members of a motif are alike in pairs, so that no chain of small differences joins motifs that differ. Patterns are
put in an order of their own first, so the result does not depend on the order of the folders.

The consensus of a motif is the mean of its members' matrices over all seqlets, each member aligned with the one
of most seqlets. Positions covered by less than half of the seqlets are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqlift.motifs.alignment import align
from seqlift.motifs.database import Database
from seqlift.motifs.folder import Source, StoredPattern
from seqlift.motifs.information import informative_range
from seqlift.motifs.naming import Match, name_patterns, tomtom

_LEAST_COVERED = 0.5  # fraction of the seqlets that must cover a column of the consensus
_UNLIKE = 3.0  # a distance beyond every cosine's, which is at most 2
_KINDS = ("frequencies", "contributions", "hypothetical")


@dataclass(frozen=True)
class Found:
    """A pattern and where it comes from.

    Attributes
    ----------
    output, method : str
    fold : int or None
    pattern : StoredPattern
    """

    output: str
    method: str
    fold: int | None
    pattern: StoredPattern

    @property
    def source(self) -> Source:
        """What the pattern is of."""
        return Source(self.output, self.method, self.fold)

    @property
    def key(self) -> tuple:
        """The place in the order that all results follow."""
        sign, _, number = self.pattern.name.partition("_")
        return (*self.source.order, sign != "pos", int(number))

    @property
    def sign(self) -> str:
        """`positive` or `negative`."""
        return "positive" if self.pattern.name.startswith("pos") else "negative"

    @property
    def seqlets(self) -> int:
        """How many there are."""
        return len(self.pattern.rows)

    def whole(self, kind: str, reverse: bool) -> np.ndarray:
        """PFM, CWM or hCWM (`frequencies`, ...), untrimmed, as its logo reads or its reverse complement, (4, W)."""
        matrix = getattr(self.pattern, kind)
        return matrix[::-1, ::-1] if self.pattern.flipped != reverse else matrix

    def before(self, reverse: bool) -> int:
        """Where the trimmed part begins in `whole`."""
        pattern = self.pattern
        return pattern.frequencies.shape[1] - pattern.end if pattern.flipped != reverse else pattern.start


@dataclass(frozen=True)
class Member:
    """A pattern of a motif, laid on the consensus.

    Attributes
    ----------
    found : Found
    reverse : bool
        The pattern's logo is the reverse complement of the consensus.
    offset : int
        Position of the consensus (0-based; may be negative) on which the first base of the trimmed pattern lies, after
        reverse-complementing it where `reverse` is true.
    p : float
        The larger of TOMTOM's two p-values between pattern and consensus.
    """

    found: Found
    reverse: bool
    offset: int
    p: float


@dataclass(frozen=True)
class Motif:
    """Patterns that are the same motif.

    Attributes
    ----------
    name : str
        `m_0` is the motif of most seqlets.
    sign : str
        `positive` or `negative`.
    match : Match
    frequencies, contributions, hypothetical : numpy.ndarray, shape (4, w)
        Consensus PFM, CWM and hCWM, trimmed and oriented like the known motif.
    members : tuple of Member
        By falling number of seqlets.
    """

    name: str
    sign: str
    match: Match
    frequencies: np.ndarray
    contributions: np.ndarray
    hypothetical: np.ndarray
    members: tuple[Member, ...]

    @property
    def seqlets(self) -> int:
        """Of all members."""
        return sum(member.found.seqlets for member in self.members)

    @property
    def width(self) -> int:
        """Bp."""
        return self.frequencies.shape[1]


def merge(
    patterns: Sequence[Found],
    database: Database,
    *,
    threshold: float,
    similarity: float,
    naming_threshold: float,
    seed: int,
) -> list[Motif]:
    """Merge patterns that are the same motif and name the consensus.

    Parameters
    ----------
    patterns : sequence of Found
        In any order.
    database : Database
    threshold : float
        Largest TOMTOM p-value of a pair, times the number of other patterns of that sign.
    similarity : float
        Smallest cosine of their CWMs.
    naming_threshold : float
        Largest q that gives a name (`naming`).
    seed : int
        Of the null of the names.

    Returns
    -------
    list of Motif, by falling number of seqlets
    """
    patterns = sorted(patterns, key=lambda one: one.key)
    groups = [
        sorted(group, key=lambda one: (-one.seqlets, one.key))
        for sign in ("positive", "negative")
        for group in cluster([one for one in patterns if one.sign == sign], database, threshold, similarity)
    ]
    groups.sort(key=lambda group: (-sum(one.seqlets for one in group), group[0].key))
    drafts = [_consensus(group) for group in groups]
    matches = name_patterns([draft.frequencies for draft in drafts], database, threshold=naming_threshold, seed=seed)
    drafts = [
        draft.reverse_complement() if match.named and match.reverse else draft
        for draft, match in zip(drafts, matches, strict=True)
    ]
    p_values = _p_of_members(groups, drafts, database)
    return [
        Motif(
            name=f"m_{i}",
            sign=group[0].sign,
            match=match,
            frequencies=draft.frequencies,
            contributions=draft.contributions,
            hypothetical=draft.hypothetical,
            members=tuple(Member(*laid) for laid in zip(group, draft.reverse, draft.offsets, p, strict=True)),
        )
        for i, (group, draft, match, p) in enumerate(zip(groups, drafts, matches, p_values, strict=True))
    ]


def cluster(patterns: Sequence[Found], database: Database, threshold: float, similarity: float) -> list[list[Found]]:
    """Patterns of one sign, in the order of their keys, that are the same motif; parameters as of `merge`."""
    if len(patterns) < 2:
        return [[one] for one in patterns]
    # Half a second to import, which only this needs
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    pfms, cwms = ([one.pattern.shown(kind) for one in patterns] for kind in ("pfm", "cwm"))
    p_values = _p_values(pfms, pfms, database)
    cosines = np.stack([align(one, cwms)[0] for one in cwms])
    cosines = np.minimum(np.minimum(cosines, cosines.T), 1)  # equal, and at most 1, but for rounding
    alike = (np.maximum(p_values, p_values.T) * (len(patterns) - 1) <= threshold) & (cosines >= similarity)
    distance = np.where(alike, 1 - cosines, _UNLIKE)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="complete")
    labels = fcluster(tree, t=_UNLIKE - 0.5, criterion="distance")
    return [[one for one, own in zip(patterns, labels, strict=True) if own == label] for label in np.unique(labels)]


def _p_values(queries: Sequence[np.ndarray], targets: Sequence[np.ndarray], database: Database) -> np.ndarray:
    """TOMTOM's p-values, shape (queries, targets), with the database in the background."""
    return tomtom(queries, [*targets, *database.matrices])[0][:, : len(targets)]


@dataclass(frozen=True)
class _Draft:
    """A consensus, and how its members align with it: strand, first position and width."""

    frequencies: np.ndarray
    contributions: np.ndarray
    hypothetical: np.ndarray
    reverse: list[bool]
    offsets: list[int]
    widths: list[int]

    def reverse_complement(self) -> "_Draft":
        """The consensus and its members on the other strand."""
        width = self.frequencies.shape[1]
        matrices = {kind: getattr(self, kind)[::-1, ::-1] for kind in _KINDS}
        offsets = [width - offset - own for offset, own in zip(self.offsets, self.widths, strict=True)]
        return _Draft(**matrices, reverse=[not back for back in self.reverse], offsets=offsets, widths=self.widths)


def _consensus(group: list[Found]) -> _Draft:
    """Mean over the seqlets of all members, laid on the first one."""
    _, offsets, reverse = align(group[0].pattern.shown("cwm"), [one.pattern.shown("cwm") for one in group])
    laid = list(zip(group, offsets.tolist(), reverse.tolist(), strict=True))
    # Whole patterns are averaged: from the trimmed part's place to the place of the whole pattern.
    starts = [offset - one.before(back) for one, offset, back in laid]
    widths = [one.pattern.frequencies.shape[1] for one in group]
    first = min(starts)
    length = max(start + width for start, width in zip(starts, widths, strict=True)) - first
    weight, sums = np.zeros(length), {kind: np.zeros((4, length)) for kind in _KINDS}
    for (one, _, back), start, width in zip(laid, starts, widths, strict=True):
        place = slice(start - first, start - first + width)
        weight[place] += one.seqlets
        for kind, total in sums.items():
            total[:, place] += one.seqlets * one.whole(kind, back)
    covered = np.flatnonzero(weight >= _LEAST_COVERED * weight.max())
    kept = slice(int(covered[0]), int(covered[-1]) + 1)
    means = {kind: total[:, kept] / weight[kept] for kind, total in sums.items()}
    start, end = informative_range(means["contributions"])
    begin = first + kept.start + start  # of the consensus, in positions of the first member's trimmed part
    trimmed = {kind: matrix[:, start:end] for kind, matrix in means.items()}
    return _Draft(
        **trimmed,
        reverse=reverse.tolist(),
        offsets=(offsets - begin).tolist(),
        widths=[one.pattern.shown_width for one in group],
    )


def _p_of_members(groups: list[list[Found]], drafts: list[_Draft], database: Database) -> list[list[float]]:
    """The larger of TOMTOM's two p-values between each pattern and the consensus of its motif."""
    if not groups:
        return []
    consensus = [draft.frequencies for draft in drafts]
    members = [one.pattern.shown("pfm") for group in groups for one in group]
    of_motif = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    to, back = _p_values(members, consensus, database), _p_values(consensus, members, database)
    each = np.arange(len(members))
    larger = np.maximum(to[each, of_motif], back[of_motif, each])
    return [larger[of_motif == i].tolist() for i in range(len(groups))]
