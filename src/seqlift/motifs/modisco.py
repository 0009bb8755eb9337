"""Cluster seqlets into patterns with TF-MoDISco (Shrikumar et al., arXiv 1811.00416; modisco-lite).

Seqlets are short stretches with larger contributions than the rest of the regions. TF-MoDISco compares them by
their hypothetical contributions and clusters those that look alike; a pattern is the mean of a cluster. Positive
patterns raise the model's output, negative ones lower it.

Its command takes seqlets in file order where there are more than it may use, and reports nothing when it finds nothing.
Here it gets seqlets chosen by their strength (`seqlets`) and only their regions, so its memory and time depend on the
number of seqlets, not of regions. Row numbers in the results are those of the score file.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

from seqlift.motifs.folder import StoredPattern, base_frequencies
from seqlift.motifs.information import informative_range
from seqlift.motifs.seqlets import Seqlets
from seqlift.motifs.settings import ModiscoSettings


@dataclass(frozen=True)
class Discovery:
    """What TF-MoDISco found.

    Attributes
    ----------
    patterns : tuple of StoredPattern
        Positive ones, then negative ones, each by falling number of seqlets; none is flipped.
    results : tuple
        The package's own two lists of patterns, for its own file format.
    """

    patterns: tuple[StoredPattern, ...]
    results: tuple


def find_patterns(seqlets: Seqlets, *, settings: ModiscoSettings, offset: int = 0) -> Discovery:
    """Cluster seqlets by TF-MoDISco on one thread; the same input gives the same patterns.

    Parameters
    ----------
    seqlets : Seqlets
    settings : ModiscoSettings
    offset : int, bp
        What to add to positions to count from the start of the region, if only its middle was searched.

    Returns
    -------
    Discovery
    """
    if len(seqlets.rows) == 0:
        return Discovery((), (None, None))
    from modiscolite.core import TrackSet

    one_hot, scores = (
        np.ascontiguousarray(values.transpose(0, 2, 1), np.float32)  # (K, W, 4)
        for values in (seqlets.sequences, seqlets.hypothetical)
    )
    tracks = TrackSet(one_hot=one_hot, contrib_scores=one_hot * scores, hypothetical_contribs=scores)
    _keep_compiled()
    with _one_thread():
        results = tuple(_cluster(seqlets, tracks, sign, settings) for sign in (1, -1))
    for seqlet in {id(seqlet): seqlet for seqlet in _all_seqlets(results)}.values():
        seqlet.example_idx = int(seqlets.rows[seqlet.example_idx])
    patterns = [
        _pattern(f"{sign}_{i}", found, offset)
        for sign, several in zip(("pos", "neg"), results, strict=True)
        for i, found in enumerate(several or ())
    ]
    return Discovery(tuple(patterns), results)


def _cluster(seqlets: Seqlets, tracks: Any, sign: int, settings: ModiscoSettings) -> list | None:
    """TF-MoDISco's patterns of one sign, most seqlets first; None if there are too few seqlets."""
    from modiscolite.core import Seqlet
    from modiscolite.tfmodisco import seqlets_to_patterns

    chosen = np.flatnonzero(np.sign(seqlets.sums) == sign)
    if len(chosen) <= settings.min_metacluster_size:
        return None
    length = settings.sliding_window_size + 2 * settings.flank_size
    places = zip(seqlets.regions[chosen].tolist(), seqlets.starts[chosen].tolist(), strict=True)
    found = seqlets_to_patterns(
        tracks.create_seqlets([Seqlet(region, start, start + length, False) for region, start in places]),
        track_set=tracks,
        track_signs=sign,
        min_overlap_while_sliding=0.7,
        nearest_neighbors_to_compute=settings.nearest_neighbors_to_compute,
        n_leiden_runs=settings.n_leiden_runs,
        trim_to_window_size=settings.trim_to_window_size,
        initial_flank_to_add=settings.initial_flank_to_add,
        final_flank_to_add=settings.final_flank_to_add,
        final_min_cluster_size=settings.final_min_cluster_size,
    )
    return sorted(found, key=lambda pattern: -len(pattern.seqlets)) if found else None


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


def _all_seqlets(results: tuple) -> Iterator:
    stack = [pattern for several in results for pattern in several or ()]
    while stack:
        pattern = stack.pop()
        yield from pattern.seqlets
        if pattern.subclusters is not None:
            stack += pattern.subcluster_to_subpattern.values()


def _pattern(name: str, found: Any, offset: int) -> StoredPattern:
    contributions = np.asarray(found.contrib_scores, float).T
    start, end = informative_range(contributions)
    return StoredPattern(
        name=name,
        frequencies=base_frequencies(np.asarray(found.sequence, float).T),  # below 1 where some seqlets hold N
        contributions=contributions,
        hypothetical=np.asarray(found.hypothetical_contribs, float).T,
        start=start,
        end=end,
        flipped=False,
        rows=np.array([seqlet.example_idx for seqlet in found.seqlets], int),
        starts=np.array([seqlet.start for seqlet in found.seqlets], int) + offset,
        reverse=np.array([bool(seqlet.is_revcomp) for seqlet in found.seqlets]),
    )
