"""Name patterns after known motifs, and only where the similarity is significant.

TOMTOM (Gupta et al., Genome Biology 8:R24, 2007; memelite) gives the p-value of a pattern's likeness to each known
motif. That p-value assumes independent columns from the database, and the best of a thousand motifs is taken; for wide
patterns of little information it is wrong by orders of magnitude (of random matrices from a flat
Dirichlet, 8 to 50 bp wide, 92 % reach E < 0.05 against JASPAR's vertebrates). So the best p-value over the whole
database is compared with its own null: the same pattern with its columns shuffled, compared with the same database
in the same way. Width, information and base composition stay the same; only the order of the columns, which makes
it a motif, changes.

-log10 of the best p-value is a maximum over many alignments, so its null follows a Gumbel distribution. One is fitted
to the shuffles of each pattern by maximum likelihood, and its upper tail is the calibrated p: the chance that a pattern
of such columns is as like *any* known motif. The fit resolves p far below one over the number of shuffles. Shuffles of
short or simple patterns may spell the pattern again; they stay in the null, so such patterns must be more like a motif
before they get its name: the cautious side. q is p corrected for the number of patterns (Benjamini & Hochberg 1995).

Numbers here are those of benchmarks/results/naming.md, where 1.2 % of patterns that are no motif get a name.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqlift.motifs.database import Database

SHUFFLES = 500  # of each pattern that may get a name; p then varies by a factor of 1.5 with the seed
# The others stop here: a p above HOPELESS after FIRST_SHUFFLES stays far from a threshold (Besag &
# Clifford 1991 end a Monte Carlo test in the same way), and TOMTOM's time grows with the square of the width.
FIRST_SHUFFLES, HOPELESS = 100, 0.2
# Seqlets are chosen by their scores, so their consensus is purer than that of the sites known motifs are made of, and
# TOMTOM would take the difference for a difference in sequence. This fraction of flat background is mixed in first; of
# patterns made of the strongest sites it takes the median p from 1.3e-5 to 7.7e-6, and the null goes through the same.
FLAT_SHARE = 0.1
_SMALLEST = 1e-300  # TOMTOM's p may underflow to 0


@dataclass(frozen=True)
class Match:
    """The known motif that a pattern is most like.

    Attributes
    ----------
    index : int
        In the database.
    match_id, match_name : str
    p_tomtom : float
        TOMTOM's own p-value of this one comparison, not corrected for the number of motifs.
    p : float
        Calibrated: chance that a pattern of the same columns in random order is as like any motif of the database.
    q : float
        p corrected for the number of patterns compared together.
    reverse : bool
        The likeness is to the pattern's reverse complement.
    named : bool
        q is at most the threshold.
    """

    index: int
    match_id: str
    match_name: str
    p_tomtom: float
    p: float
    q: float
    reverse: bool
    named: bool

    @property
    def columns(self) -> dict[str, str]:
        """Columns of a table: `name` and `match_id` (empty without a name), `p`, `q` and `closest`."""
        return {
            "name": self.match_name if self.named else "",
            "match_id": self.match_id if self.named else "",
            "p": f"{self.p:.3g}",
            "q": f"{self.q:.3g}",
            "closest": f"{self.match_id} {self.match_name}",
        }


def name_patterns(
    patterns: Sequence[np.ndarray],
    database: Database,
    *,
    threshold: float = 0.01,
    seed: int = 1,
    shuffles: int = SHUFFLES,
) -> list[Match]:
    """Compare patterns with a database of known motifs.

    Parameters
    ----------
    patterns : sequence of numpy.ndarray, each of shape (4, w)
        Base frequencies A C G T of the informative part; columns sum to 1.
    database : Database
    threshold : float
        Largest q that gives a name.
    seed : int
        Of the shuffles. They depend on the seed and the pattern's width alone.
    shuffles : int
        Of each pattern's columns.

    Returns
    -------
    list of Match, one for each pattern
    """
    if not patterns:
        return []
    found = []
    p_values = np.empty(len(patterns))
    for i, frequencies in enumerate(patterns):
        pattern = (1 - FLAT_SHARE) * frequencies + FLAT_SHARE / 4
        p_tomtom, score, reverse = _compare([pattern], database)
        # The smallest p; if several share it the highest score, then the first of the database.
        best = int(np.lexsort((-score[0], p_tomtom[0]))[0])
        found.append((best, float(p_tomtom[0, best]), bool(reverse[0, best])))
        p_values[i] = calibrated_p(pattern, float(p_tomtom[0, best]), database, seed=seed, shuffles=shuffles)
    from scipy.stats import false_discovery_control  # a second to import, for many who only read this module's names

    q_values = false_discovery_control(p_values)
    return [
        Match(
            index=best,
            match_id=database.ids[best],
            match_name=database.names[best],
            p_tomtom=p_tomtom,
            p=float(p),
            q=float(q),
            reverse=reverse,
            named=bool(q <= threshold),
        )
        for (best, p_tomtom, reverse), p, q in zip(found, p_values, q_values, strict=True)
    ]


def calibrated_p(
    pattern: np.ndarray, best_p: float, database: Database, *, seed: int, shuffles: int = SHUFFLES
) -> float:
    """Chance that the pattern, its columns shuffled, has a best TOMTOM p-value over the database of at most `best_p`.

    Parameters
    ----------
    pattern : numpy.ndarray, shape (4, w)
        As compared, that is with `FLAT_SHARE` mixed in.
    best_p : float
        The smallest TOMTOM p-value of the pattern itself.
    database : Database
    seed, shuffles : int

    Returns
    -------
    float, in [0, 1]; the upper tail of the Gumbel distribution fitted to the shuffles, 1 if shuffling changes nothing.
    """
    width = pattern.shape[1]
    rng = np.random.default_rng([seed, width])
    null, p = np.empty(0), 1.0
    for number in (min(FIRST_SHUFFLES, shuffles), shuffles):
        more = [pattern[:, rng.permutation(width)] for _ in range(number - len(null))]
        if more:
            smallest = tomtom(more, database.matrices, 1)[0][:, 0]
            null = np.concatenate([null, -np.log10(np.maximum(smallest, _SMALLEST))])
        if np.ptp(null) < 1e-9:
            return 1.0
        from scipy.stats import gumbel_r

        location, scale = gumbel_r.fit(null)
        p = max(_SMALLEST, float(gumbel_r.sf(-np.log10(max(best_p, _SMALLEST)), location, scale)))
        if p > HOPELESS:
            break
    return p


def _compare(patterns: Sequence[np.ndarray], database: Database) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TOMTOM's p-values and scores, and whether it matched the reverse complement, each of shape (n, motifs)."""
    p_values, scores, _offsets, _overlaps, strands = tomtom(patterns, database.matrices)
    return p_values, scores, strands == 1


def tomtom(
    queries: Sequence[np.ndarray], targets: Sequence[np.ndarray], nearest: int | None = None
) -> tuple[np.ndarray, ...]:
    """TOMTOM on one thread.

    Parameters
    ----------
    queries, targets : sequence of numpy.ndarray, each of shape (4, w)
        Base frequencies.
    nearest : int, optional
        Return only this number of targets, those of the smallest p-values.

    Returns
    -------
    tuple of numpy.ndarray, each of shape (queries, targets or `nearest`)
        memelite's: p-values, scores, offsets, overlaps and strands come first.
    """
    import memelite

    with warnings.catch_warnings():
        # It warns of p-values that depend on few targets, as in a small database. Those of names are calibrated
        # on the same targets, and the compendium also requires a cosine.
        warnings.filterwarnings("ignore", message="tomtom was given", category=UserWarning)
        return memelite.tomtom(
            [np.ascontiguousarray(query, float) for query in queries],
            [np.ascontiguousarray(target, float) for target in targets],
            n_nearest=nearest,
            n_jobs=1,
        )
