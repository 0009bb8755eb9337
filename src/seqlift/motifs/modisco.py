"""Cluster what the model uses into patterns, by TF-MoDISco (Shrikumar et al., arXiv 1811.00416; modisco-lite).

Seqlets are short stretches whose contributions stand out from the rest of the regions. TF-MoDISco compares them by
their hypothetical contributions and clusters those that look alike; a pattern is the mean of a cluster. Positive
patterns raise the model's output, negative ones lower it.

The package reports nothing when it finds nothing, and takes the first seqlets of the file when there are more than it
may use. Here the regions are put in a seeded random order first, so that the seqlets used are a sample of all regions
and not those of the first chromosomes; numbers of rows in the results are those of the score file again.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

from seqlift.errors import SeqliftError
from seqlift.motifs.folder import base_frequencies

# TF-MoDISco's settings: those of its own command line, but for those with a reason.
CORE = 20  # bp, the part of a seqlet that is scored
FLANK = 5  # bp on either side of the core
SETTINGS = {
    "sliding_window_size": CORE,
    "flank_size": FLANK,
    "target_seqlet_fdr": 0.05,
    "min_metacluster_size": 100,
    # Its patterns of 30 + 2 × 10 bp lose seqlets near the ends of a region, half of them in regions of 200 bp.
    # 24 + 2 × 3 bp hold nearly all known motifs.
    "trim_to_window_size": 24,
    "initial_flank_to_add": 3,
    "final_flank_to_add": 0,
    # Its 500 neighbours are meant for 20,000 seqlets; of 2,000 a quarter of all would count as neighbours. Clustering
    # runs to convergence; the better of two runs rarely differs. Both together halve the time.
    "nearest_neighbors_to_compute": 250,
    "n_leiden_runs": 1,
}
SHORTEST = 50  # bp; a pattern takes 30 bp and needs room to lie in different places


@dataclass(frozen=True)
class Pattern:
    """A cluster of seqlets; width W in bp, bases A C G T.

    Attributes
    ----------
    name : str
        `pos_0` is the positive pattern of most seqlets, `neg_0` the negative one.
    frequencies : numpy.ndarray, shape (4, W)
        PFM: share of each base; each column sums to 1.
    contributions : numpy.ndarray, shape (4, W)
        CWM: mean contribution of each base.
    hypothetical : numpy.ndarray, shape (4, W)
        hCWM: mean hypothetical contribution of each base.
    rows : numpy.ndarray, shape (S,), int
        Row of the score file that each seqlet lies in.
    starts : numpy.ndarray, shape (S,), int
        Where the seqlet starts, bp from the start of the region; it is W bp long.
    reverse : numpy.ndarray, shape (S,), bool
        The seqlet reads as the pattern does on the opposite strand.
    """

    name: str
    frequencies: np.ndarray
    contributions: np.ndarray
    hypothetical: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    reverse: np.ndarray


@dataclass(frozen=True)
class Discovery:
    """What TF-MoDISco found.

    Attributes
    ----------
    patterns : tuple of Pattern
        Positive ones, then negative ones, each by falling number of seqlets.
    positive, negative : int
        Seqlets that stood out, before `max_seqlets` cut them.
    results : tuple
        The package's own two lists of patterns, for its own file format.
    """

    patterns: tuple[Pattern, ...]
    positive: int
    negative: int
    results: tuple


def find_patterns(
    sequences: np.ndarray, hypothetical: np.ndarray, *, max_seqlets: int, seed: int, offset: int = 0
) -> Discovery:
    """Run TF-MoDISco on one thread; the same input and seed give the same patterns.

    Parameters
    ----------
    sequences : numpy.ndarray, shape (N, 4, W), one-hot
    hypothetical : numpy.ndarray, shape (N, 4, W), float32, finite
    max_seqlets : int
        Most positive, and most negative, seqlets used.
    seed : int
        Of the order of the regions; TF-MoDISco fixes its own seeds.
    offset : int, bp
        What to add to positions to count from the start of the region, if only its middle is given.

    Returns
    -------
    Discovery

    Raises
    ------
    SeqliftError
        If the sequences are too short for TF-MoDISco's windows.
    """
    length = sequences.shape[2]
    if length < SHORTEST:
        raise SeqliftError(
            f"TF-MoDISco's windows need {SHORTEST} bp, but only {length} bp of each region are searched; "
            "make longer regions (`lengths`), or raise `motifs: window` (--window)"
        )
    order = np.random.default_rng(seed).permutation(len(sequences))
    tracks = sequences[order].transpose(0, 2, 1), hypothetical[order].transpose(0, 2, 1)  # (N, W, 4)
    one_hot, scores = (np.ascontiguousarray(track, np.float32) for track in tracks)
    _keep_compiled()
    with _one_thread():
        positive, negative = _count_seqlets(one_hot, scores)
        if max(positive, negative) <= SETTINGS["min_metacluster_size"]:
            return Discovery((), positive, negative, (None, None))
        from modiscolite.tfmodisco import TFMoDISco

        results = TFMoDISco(one_hot, scores, max_seqlets_per_metacluster=max_seqlets, **SETTINGS)
    results = tuple(sorted(found, key=lambda one: -len(one.seqlets)) if found else None for found in results)
    for seqlet in {id(seqlet): seqlet for seqlet in _all_seqlets(results)}.values():
        seqlet.example_idx = int(order[seqlet.example_idx])
    patterns = [
        _pattern(f"{sign}_{i}", found, offset)
        for sign, several in zip(("pos", "neg"), results, strict=True)
        for i, found in enumerate(several or ())
    ]
    return Discovery(tuple(patterns), positive, negative, results)


@functools.cache
def _keep_compiled() -> None:
    """Let numba store TF-MoDISco's kernels on disk when they are compiled, as the package does if it may fork helpers.

    Without this every run on one thread compiles them again, which takes longer than the clustering.
    """
    from modiscolite import affinitymat, aggregator, gapped_kmer, util

    for module in (affinitymat, aggregator, gapped_kmer, util):
        for kernel in vars(module).values():
            if isinstance(kernel, Dispatcher) and not kernel.overloads:
                with contextlib.suppress(RuntimeError):  # nowhere to write: compile each time
                    kernel.enable_caching()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """A stage uses the threads its rule declares; and with one thread TF-MoDISco forks no helpers either."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(threads)


def _count_seqlets(one_hot: np.ndarray, scores: np.ndarray) -> tuple[int, int]:
    """How many stretches stand out, positive and negative, by TF-MoDISco's own first step."""
    from modiscolite.extract_seqlets import extract_seqlets

    contributions = (one_hot * scores).sum(axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(contributions, CORE, axis=1).sum(axis=2)
    if np.ptp(windows) == 0:
        return 0, 0
    if windows.min() >= 0 or windows.max() <= 0:
        # It needs both signs to tell signal from background, and divides by zero without.
        return 0, 0
    seqlets, threshold = extract_seqlets(
        attribution_scores=contributions,
        window_size=CORE,
        flank=FLANK,
        suppress=CORE // 2 + FLANK,
        target_fdr=SETTINGS["target_seqlet_fdr"],
        min_passing_windows_frac=0.03,
        max_passing_windows_frac=0.2,
        weak_threshold_for_counting_sign=0.8,
    )
    sums = np.array([contributions[s.example_idx, s.start + FLANK : s.end - FLANK].sum() for s in seqlets], dtype=float)
    return int((sums > threshold).sum()), int((sums < -threshold).sum())


def _all_seqlets(results: tuple) -> Iterator:
    stack = [pattern for several in results for pattern in several or ()]
    while stack:
        pattern = stack.pop()
        yield from pattern.seqlets
        if pattern.subclusters is not None:
            stack += pattern.subcluster_to_subpattern.values()


def _pattern(name: str, found, offset: int) -> Pattern:
    return Pattern(
        name=name,
        frequencies=base_frequencies(np.asarray(found.sequence, float).T),  # below 1 where some seqlets hold N
        contributions=np.asarray(found.contrib_scores, float).T,
        hypothetical=np.asarray(found.hypothetical_contribs, float).T,
        rows=np.array([seqlet.example_idx for seqlet in found.seqlets], int),
        starts=np.array([seqlet.start for seqlet in found.seqlets], int) + offset,
        reverse=np.array([bool(seqlet.is_revcomp) for seqlet in found.seqlets]),
    )
