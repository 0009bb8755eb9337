"""Seqlets: short stretches with large contributions, chosen by their rank over all regions.

TF-MoDISco (Shrikumar et al., arXiv 1811.00416) slides a window over the contributions, learns from the sums what
background looks like (a Laplace distribution around their mode), and keeps the windows beyond it at a false discovery
rate. Its implementation keeps all regions in memory and, where there are more seqlets than it may cluster, takes the
first of the file. Here the rule is the same and the regions go by in blocks, three times: to learn the thresholds, from
all windows or a random million of them; to find what passes them; and to fetch the regions of the seqlets that are
kept, at most two for each of `max_seqlets`, however many regions there are.

Where there are too many, the strongest alone would not do: they all belong to one motif if it is long and occurs in
many
regions, and every other one would be lost. So half of those kept are the strongest, where a rare motif of great effect
is found, and half are taken at even steps from the ranking of the rest, where each motif is as frequent as among all.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seqlift.errors import SeqliftError
from seqlift.motifs.settings import ModiscoSettings

Blocks = Iterable[tuple[np.ndarray, np.ndarray]]
WINDOWS = 1_000_000  # at most this number is used to learn the thresholds, as in TF-MoDISco
_WEAK = 0.8  # TF-MoDISco's `weak_threshold_for_counting_sign`


@dataclass(frozen=True)
class Seqlets:
    """The chosen seqlets, and their regions; W bp are searched in each region.

    Attributes
    ----------
    rows : numpy.ndarray, shape (K,), int
        Rows of the score file with a chosen seqlet, ascending.
    sequences : numpy.ndarray, shape (K, 4, W), int8, one-hot
    hypothetical : numpy.ndarray, shape (K, 4, W), float32
    regions : numpy.ndarray, shape (S,), int
        Index into `rows` of each seqlet. The strongest come first.
    starts : numpy.ndarray, shape (S,), int
        Where the seqlet, its core with flanks, starts: bp from the start of the part that was searched.
    sums : numpy.ndarray, shape (S,)
        Contribution summed over the core; the sign says to which patterns it goes.
    positive, negative : int
        Seqlets found, before the cut to `max_seqlets`.
    composition : numpy.ndarray, shape (4,), int
        Bases A C G T in the parts of all regions that were searched.
    silent : bool
        All scores are zero.
    """

    rows: np.ndarray
    sequences: np.ndarray
    hypothetical: np.ndarray
    regions: np.ndarray
    starts: np.ndarray
    sums: np.ndarray
    positive: int
    negative: int
    composition: np.ndarray
    silent: bool


@dataclass(frozen=True)
class _Survey:
    """What the first pass learns: window sums of a sample of regions, and what all regions have together."""

    sums: np.ndarray  # (n, windows)
    composition: np.ndarray
    silent: bool


def choose_seqlets(
    blocks: Blocks,
    n_regions: int,
    *,
    settings: ModiscoSettings,
    max_seqlets: int,
    seed: int,
) -> Seqlets:
    """The seqlets of all regions, at most `max_seqlets` of each sign.

    Parameters
    ----------
    blocks : iterable that can be gone through three times
        Sequences, shape (n, 4, W) one-hot, and hypothetical contributions, shape (n, 4, W), of the regions in turn.
        How they are cut into blocks makes no difference.
    n_regions : int
    settings : ModiscoSettings
    max_seqlets : int
    seed : int
        Of the sample from which the thresholds are learnt, where there are more than `WINDOWS` windows.

    Raises
    ------
    SeqliftError
        If hypothetical contributions are not finite, or are zero wherever a base is not there.
    """
    survey = _survey(blocks, n_regions, settings.sliding_window_size, seed)
    found = np.empty((3, 0))  # row of the score file, start, sum
    thresholds = _thresholds(survey.sums, settings)
    if thresholds is not None:
        several, first = [found], 0
        for sequences, hypothetical in blocks:
            rows, starts, sums = _extract((sequences * hypothetical).sum(axis=1), thresholds, settings)
            several.append(np.stack([rows + first, starts, sums]))
            first += len(sequences)
        found = np.hstack(several)
    signs = found[:, found[2] > 0], found[:, found[2] < 0]
    row, start, size = np.hstack([_choose(one, max_seqlets) for one in signs])
    kept = np.unique(row.astype(int))
    sequences, hypothetical = _fetch(blocks, kept)
    return Seqlets(
        rows=kept,
        sequences=sequences.astype(np.int8),
        hypothetical=hypothetical.astype(np.float32),
        regions=np.searchsorted(kept, row.astype(int)),
        starts=start.astype(int),
        sums=size,
        positive=signs[0].shape[1],
        negative=signs[1].shape[1],
        composition=survey.composition,
        silent=survey.silent,
    )


def _survey(blocks: Blocks, n_regions: int, core: int, seed: int) -> _Survey:
    order = np.random.default_rng(seed).permutation(n_regions)
    sampled, sums, first = np.zeros(n_regions, bool), [], 0
    composition, silent, hypothetical_given = np.zeros(4, int), True, False
    for sequences, hypothetical in blocks:
        bad = np.flatnonzero(~np.isfinite(hypothetical).all(axis=(1, 2)))
        if len(bad):
            raise SeqliftError(
                f"the hypothetical contributions of row {first + bad[0]} are not finite numbers; make the score file "
                "again with `seqlift attribute`"
            )
        if first == 0:
            windows = sequences.shape[2] - core + 1
            sampled[order[: max(1, WINDOWS // windows)]] = True
        contributions = sequences * hypothetical
        silent &= not hypothetical.any()
        hypothetical_given |= bool((hypothetical != contributions).any())
        composition += sequences.sum(axis=(0, 2), dtype=int)
        sums.append(_window_sums(contributions.sum(axis=1)[sampled[first : first + len(sequences)]], core))
        first += len(sequences)
    if not (silent or hypothetical_given):
        raise SeqliftError(
            "`shap/seq` is zero at all bases that are not in the sequence: these are contributions, not hypothetical "
            "contributions, and TF-MoDISco needs what the other bases would contribute; store those in `shap/seq`"
        )
    return _Survey(np.concatenate(sums), composition, silent)


def _window_sums(contributions: np.ndarray, core: int) -> np.ndarray:
    """Contribution (n, W) summed over each window of `core` bp, (n, W - core + 1)."""
    totals = np.pad(np.cumsum(contributions, axis=1, dtype=float), ((0, 0), (1, 0)))
    return totals[:, core:] - totals[:, :-core]


def _thresholds(sums: np.ndarray, settings: ModiscoSettings) -> tuple[float, float, float] | None:
    """Least sum of a positive seqlet, largest of a negative one, and the least |sum| that gives a seqlet its sign.

    By TF-MoDISco's own functions. None where the windows do not have both signs, so that there is no background.
    """
    from modiscolite.extract_seqlets import _isotonic_thresholds, _laplacian_null, _refine_thresholds

    if sums.min() >= 0 or sums.max() <= 0:
        return None
    values = sums.ravel()
    upper, lower = np.sort(values[values >= 0]), np.sort(values[values < 0])[::-1]
    above, below = _laplacian_null(track=sums, window_size=settings.sliding_window_size, num_to_samp=10_000)
    fdr = settings.target_seqlet_fdr
    positive, negative = _refine_thresholds(
        vals=np.concatenate([upper, lower]),
        pos_threshold=_isotonic_thresholds(upper, above, increasing=True, target_fdr=fdr),
        neg_threshold=_isotonic_thresholds(lower, below, increasing=False, target_fdr=fdr),
        min_passing_windows_frac=settings.min_passing_windows_frac,
        max_passing_windows_frac=settings.max_passing_windows_frac,
    )
    sizes = np.sort(np.abs(values))
    rank = min(np.searchsorted(sizes, abs(positive)), np.searchsorted(sizes, abs(negative))) / len(sizes)
    return float(positive), float(negative), float(sizes[int(min(rank - 0.0001, _WEAK) * len(sizes))])


def _extract(
    contributions: np.ndarray, thresholds: tuple[float, float, float], settings: ModiscoSettings
) -> tuple[np.ndarray, ...]:
    """Rows, starts and sums of all seqlets of a block: in each region the strongest window, then the next apart."""
    from modiscolite.extract_seqlets import _iterative_extract_seqlets

    positive, negative, weak = thresholds
    core, flank = settings.sliding_window_size, settings.flank_size
    sums = _window_sums(contributions, core)
    passing = np.where((sums >= positive) | (sums <= negative), np.abs(sums), -np.inf)
    passing[:, :flank] = passing[:, passing.shape[1] - flank :] = -np.inf  # a seqlet has flanks inside the region
    found = _iterative_extract_seqlets(passing, window_size=core, flank=flank, suppress=core // 2 + flank)
    rows = np.array([seqlet.example_idx for seqlet in found], int)
    starts = np.array([seqlet.start for seqlet in found], int)
    size = sums[rows, starts + flank]
    signed = np.abs(size) > weak
    return rows[signed], starts[signed], size[signed]


def _choose(found: np.ndarray, most: int) -> np.ndarray:
    """Of seqlets (row, start, sum) of one sign, shape (3, n), at most `most`, strongest first.

    Half are the strongest, half come at even steps from the ranking of the rest.
    """
    row, start, size = found
    ranked = found[:, np.lexsort((start, row, -np.abs(size)))]
    rest = ranked.shape[1] - most // 2
    steps = most - most // 2
    if rest <= steps:
        return ranked
    return np.hstack([ranked[:, : most // 2], ranked[:, most // 2 + np.arange(steps) * rest // steps]])


def _fetch(blocks: Blocks, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sequences and hypothetical contributions (K, 4, W) of `rows`, which rise."""
    kept, first = [], 0
    for sequences, hypothetical in blocks:
        here = rows[(rows >= first) & (rows < first + len(sequences))] - first
        kept.append((sequences[here], hypothetical[here]))
        first += len(sequences)
    return np.concatenate([one for one, _ in kept]), np.concatenate([one for _, one in kept])
