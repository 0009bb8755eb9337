"""Random sequences that keep every dinucleotide count: the usual references for explaining DNA models.

A sequence is a walk over the graph whose vertices are the four bases and whose edges are its dinucleotides, and it uses
each edge once: an Eulerian path. A shuffle is another Eulerian path of that graph, drawn uniformly (Altschul and
Erickson 1985, doi:10.1093/oxfordjournals.molbev.a040370; Kandel, Matias, Unger and Winkler 1996,
doi:10.1016/S0166-218X(97)81456-4). By the BEST theorem the paths that end in base t correspond to a spanning tree
directed to t, which holds the last edge taken out of each other base, together with an order of the other edges of
each base. So a tree is drawn by Wilson's loop-erased random walk (1996, doi:10.1145/237814.237880) and the other edges
are taken in random order. Equal dinucleotides are interchangeable, and each distinct sequence stands for the same
number of paths: the shuffle is uniform over all sequences with the same dinucleotide counts and the same first base.
The last base then is the same too.

Shuffle k of a sequence is a pure function of (seed, content of the sequence, k). It does not depend on the other
sequences, their order, the number of shuffles asked for or the number of threads.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from seqlift.errors import SeqliftError

N_CODE = 4
_BASES_WORTH_A_THREAD = 2_000_000  # below some 10 ms of work a second thread costs more than it saves


def compiled(function):
    """Compile `function` with numba, released from the interpreter's lock, cached on disk where a folder allows it."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder to write to: a read-only installation and no home folder
        return numba.njit(nogil=True)(function)


def dinucleotide_shuffle(sequences, n: int, *, seed: int, start: int = 0) -> np.ndarray:
    """Shuffles `start` to `start + n - 1` of each sequence, with every dinucleotide count kept.

    Each shuffle is uniform over all sequences with the same dinucleotide counts and the same first base; the last base
    also keeps its place. An N keeps its place, and the stretches between N are shuffled each on its own.

    Parameters
    ----------
    sequences : array, shape (N, L), uint8
        Base codes: A, C, G, T = 0 to 3, N = 4.
    n : int
        Shuffles of each sequence.
    seed : int
        0 to 2**64 - 1.
    start : int
        Number of the first shuffle: `n=5` and then `n=5, start=5` give the same as `n=10`.

    Returns
    -------
    array, shape (N, n, L), uint8
        Base codes.

    Raises
    ------
    SeqliftError
        If `sequences` is not a 2-dimensional array of codes 0 to 4, or a number is out of range.
    """
    sequences = np.asarray(sequences)
    if sequences.ndim != 2 or sequences.dtype.kind not in "iu":
        raise SeqliftError(
            f"`sequences` must be integer base codes of shape (N, L), not {sequences.dtype} of shape {sequences.shape}"
        )
    if sequences.size and (sequences.min() < 0 or sequences.max() > N_CODE):
        raise SeqliftError(
            f"`sequences` holds codes {sequences.min()} to {sequences.max()}; A, C, G, T, N are 0 to {N_CODE}"
        )
    for name, value, limit in (("n", n, 2**32), ("start", start, 2**63), ("seed", seed, 2**64)):
        if not 0 <= value < limit:
            raise SeqliftError(f"`{name}` (={value}) must be at least 0 and below {limit}")
    sequences = np.ascontiguousarray(sequences, dtype=np.uint8)
    shuffled = np.empty((len(sequences), n, sequences.shape[1]), dtype=np.uint8)
    # Threads live only as long as the call, so that a process forked afterwards (a data loader) inherits none.
    threads = min(numba.config.NUMBA_NUM_THREADS, len(sequences), shuffled.size // _BASES_WORTH_A_THREAD)
    seed, start = np.uint64(seed), np.uint64(start)
    if threads <= 1:
        _shuffle_all(sequences, seed, start, shuffled)
    else:
        edges = np.linspace(0, len(sequences), threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            parts = [
                pool.submit(_shuffle_all, sequences[a:b], seed, start, shuffled[a:b])
                for a, b in itertools.pairwise(edges)
            ]
            for part in parts:
                part.result()
    return shuffled


# Arithmetic below is on np.uint64 throughout: numba turns a mix of signed and unsigned 64-bit integers into floats.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@compiled
def _mix(value):
    """The output function of splitmix64 (Steele, Lea and Flood 2014): a bijection of 64-bit integers."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def _below(limit, state):
    """A uniform integer in [0, limit), limit < 2**32, and the next state of the counter (Lemire 2019)."""
    limit = np.uint64(limit)
    low_bits = np.uint64(0xFFFFFFFF)
    while True:
        state += _GOLDEN
        product = (_mix(state) >> np.uint64(32)) * limit
        low = product & low_bits
        # Rejecting the first 2**32 mod limit makes every value equally likely; the division is rarely reached.
        if low >= limit or low >= (low_bits + np.uint64(1) - limit) % limit:
            return np.int64(product >> np.uint64(32)), state


@compiled
def _shuffle_all(sequences, seed, start, shuffled):
    n_sequences, length = sequences.shape
    pool = np.empty(length, dtype=np.uint8)
    for i in range(n_sequences):
        content = np.uint64(length)
        for j in range(length):
            content = _mix(content + _GOLDEN * np.uint64(sequences[i, j] + 1))
        key = _mix(_mix(seed + _GOLDEN) ^ content)
        for k in range(shuffled.shape[1]):
            state = _mix(key + _GOLDEN * (start + np.uint64(k)))
            row = shuffled[i, k]
            begin = 0
            while begin < length:
                if sequences[i, begin] == N_CODE:
                    row[begin] = N_CODE
                    begin += 1
                    continue
                end = begin
                while end < length and sequences[i, end] != N_CODE:
                    end += 1
                state = _shuffle_segment(sequences[i, begin:end], row[begin:end], pool, state)
                begin = end


@compiled
def _shuffle_segment(sequence, row, pool, state):
    """Write a uniform Eulerian path of `sequence` (no N, at least one base) into `row`; returns the next state."""
    length = len(sequence)
    counts = np.zeros((4, 4), dtype=np.int64)
    for j in range(length - 1):
        counts[sequence[j], sequence[j + 1]] += 1

    # The edges out of base a are pool[first[a] : first[a] + left[a]], sorted by the base they lead to.
    first = np.zeros(4, dtype=np.int64)
    left = np.zeros(4, dtype=np.int64)
    filled = 0
    for a in range(4):
        first[a] = filled
        for b in range(4):
            pool[filled : filled + counts[a, b]] = b
            filled += counts[a, b]
        left[a] = filled - first[a]

    # Wilson's algorithm: from each base walk at random to the tree; the last exits taken are the loop-erased path.
    root = sequence[length - 1]
    exits = np.zeros(4, dtype=np.int64)
    in_tree = left == 0
    in_tree[root] = True
    for a in range(4):
        at = a
        while not in_tree[at]:
            # An edge back to the same base cannot be in a tree: leaving it out of the walk changes nothing but time.
            draw, state = _below(left[at] - counts[at, at], state)
            to = 0
            while to == at or draw >= counts[at, to]:
                if to != at:
                    draw -= counts[at, to]
                to += 1
            exits[at] = to
            at = to
        at = a
        while not in_tree[at]:
            in_tree[at] = True
            at = exits[at]

    # Lay the last exit of each base at the end of its edges, where the walk comes to it last.
    for a in range(4):
        if a != root and left[a] > 0:
            place = first[a]
            for b in range(exits[a]):
                place += counts[a, b]
            last = first[a] + left[a] - 1
            pool[place], pool[last] = pool[last], pool[place]
            left[a] -= 1

    at = np.int64(sequence[0])
    row[0] = at
    for j in range(1, length):
        if left[at] == 0:  # only the last exit remains
            to = exits[at]
        else:
            draw, state = _below(left[at], state)
            left[at] -= 1
            place = first[at] + draw
            to = np.int64(pool[place])
            pool[place] = pool[first[at] + left[at]]
        row[j] = to
        at = to
    return state
