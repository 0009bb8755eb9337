"""The stretches of sequence that a pattern was made from, read back from the score file: the rows of a heat map."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from seqlift.motifs.folder import StoredPattern
from seqlift.report.read.entries import Member
from seqlift.report.read.run import Run
from seqlift.report.regions.data import row_blocks
from seqlift.scores.file import open_scores

ROWS = 60  # seqlets of a heat map
FLANK = 8  # bp on either side of the part of the pattern that is shown


@dataclass(frozen=True)
class Windows:
    """Seqlets with their surroundings, oriented by the strand of the motif.

    Attributes
    ----------
    bases : numpy.ndarray, shape (S, W)
        0 to 3 for A, C, G, T; 4 for N and beyond the region.
    contributions : numpy.ndarray, shape (S, W)
    first : int
        The column at which the shown part of the pattern begins.
    total : int
        Number of all seqlets, of which S are here: evenly spaced by falling sum of contributions where they are more.
    """

    bases: np.ndarray
    contributions: np.ndarray
    first: int
    total: int


def read_windows(run: Run, members: list[Member], rows: int = ROWS) -> list[Windows]:
    """The seqlets of each member, in one pass over each score file, a block of rows at a time."""
    found: dict[int, Windows] = {}
    of_file = defaultdict(list)
    for i, member in enumerate(members):
        of_file[run.scores(member.output, member.method, member.fold)].append(i)
    for path, numbers in of_file.items():
        wanted = {i: _spread(members[i].pattern, rows) for i in numbers}
        cut: dict[int, dict[int, tuple[np.ndarray, np.ndarray]]] = {i: {} for i in wanted}
        with open_scores(path) as scores:
            needed = np.unique(np.concatenate([members[i].pattern.rows[chosen] for i, chosen in wanted.items()]))
            for start, here in row_blocks(len(scores.coords), needed):
                block = slice(start, int(here[-1]) + 1)
                sequences, contributions = scores.sequences[block], scores.contributions[block].sum(axis=1)
                bases = np.where(sequences.any(axis=1), sequences.argmax(axis=1), 4)
                for i, chosen in wanted.items():
                    pattern = members[i].pattern
                    inside = (pattern.rows[chosen] >= start) & (pattern.rows[chosen] < block.stop)
                    for k in np.flatnonzero(inside):
                        row = pattern.rows[chosen[k]] - start
                        cut[i][int(k)] = _cut(bases[row], contributions[row], members[i], chosen[k])
        for i, pairs in cut.items():
            in_turn = (pairs[k] for k in range(len(wanted[i])))
            bases, contributions = (np.array(values) for values in zip(*in_turn, strict=True))
            order = np.argsort(-np.abs(contributions[:, FLANK:-FLANK].sum(axis=1)), kind="stable")
            found[i] = Windows(bases[order], contributions[order], FLANK, len(members[i].pattern.rows))
    return [found[i] for i in range(len(members))]


def _spread(pattern: StoredPattern, rows: int) -> np.ndarray:
    """At most `rows` of the seqlets, evenly spaced in TF-MoDISco's order, which begins with the most typical ones."""
    n = len(pattern.rows)
    return np.unique(np.linspace(0, n - 1, min(rows, n)).round().astype(int))


def _cut(bases: np.ndarray, contributions: np.ndarray, member: Member, k: int) -> tuple[np.ndarray, np.ndarray]:
    pattern = member.pattern
    low = int(pattern.shown_starts[k]) - FLANK
    high = low + pattern.shown_width + 2 * FLANK
    inside = slice(max(low, 0), min(high, len(bases)))
    beyond = inside.start - low, high - inside.stop
    bases = np.pad(bases[inside], beyond, constant_values=4)
    contributions = np.pad(contributions[inside], beyond)
    if bool(pattern.reverse[k]) ^ pattern.flipped ^ member.reverse:
        return np.array([3, 2, 1, 0, 4])[bases[::-1]], contributions[::-1]
    return bases, contributions
