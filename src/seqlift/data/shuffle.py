"""Random sequences that keep the counts of all k-lets: dinucleotide shuffles are the usual references for DNA models.

A sequence is a walk over the graph whose vertices are the (k-1)-lets and whose edges are its k-lets, and it uses each
edge once: an Eulerian path. A shuffle is another Eulerian path of that graph, drawn uniformly (Altschul and Erickson
1985, doi:10.1093/oxfordjournals.molbev.a040370; Kandel, Matias, Unger and Winkler 1996,
doi:10.1016/S0166-218X(97)81456-4). By the BEST theorem the paths that end in vertex t correspond to a spanning tree
directed to t, which holds the last edge taken out of each other vertex, together with an order of the other edges of
each vertex. So a tree is drawn by Wilson's loop-erased random walk (1996, doi:10.1145/237814.237880) and the other
edges are taken in random order. Equal k-lets are interchangeable, and each distinct sequence corresponds to the same
number of paths: the shuffle is uniform over all sequences with the same counts of k-lets and the same first k-1 bases.
The last k-1 bases then are the same too. For k = 1 there is a single vertex and each base is an edge from it to itself:
all orders of the bases are equally likely.

Shuffle number i of a sequence is a pure function of (seed, content of the sequence, k, i). It does not depend on the
other sequences, their order, the number of shuffles asked for or the number of threads.
"""

import numba
import numpy as np

from seqlift.core.compiled import compiled, over_rows
from seqlift.errors import SeqliftError

N_CODE = 4
MAX_K = 6  # a word of six comes once in 4,096 bp: with longer ones there is next to nothing to choose
_BASES_WORTH_A_THREAD = 250_000  # below some 2 ms of work a second thread costs more than it saves


def dinucleotide_shuffle(sequences: np.ndarray, n: int, *, seed: int, start: int = 0) -> np.ndarray:
    """`klet_shuffle` with k = 2: keeps every dinucleotide count, and the first and the last base in their places."""
    return klet_shuffle(sequences, n, k=2, seed=seed, start=start)


def klet_shuffle(sequences: np.ndarray, n: int, *, k: int, seed: int, start: int = 0) -> np.ndarray:
    """Shuffles `start` to `start + n - 1` of each sequence, with the count of every k-let kept.

    Each shuffle is uniform over all sequences with the same counts of k-lets and the same first k - 1 bases; the last
    k - 1 bases also keep their places. An N keeps its place, and the stretches between N are shuffled each on its own.

    Parameters
    ----------
    sequences : array, shape (N, L), uint8
        Base codes: A, C, G, T = 0 to 3, N = 4.
    n : int
        Shuffles of each sequence.
    k : int
        1 to 6. 1 keeps the counts of the bases; 2 those of the dinucleotides, and with them those of the bases; and
        so on.
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
    if not (isinstance(k, int | np.integer) and 1 <= k <= MAX_K):
        raise SeqliftError(f"`k` (={k!r}) must be a whole number from 1 to {MAX_K}")
    for name, value, limit in (("n", n, 2**32), ("start", start, 2**63), ("seed", seed, 2**64)):
        if not 0 <= value < limit:
            raise SeqliftError(f"`{name}` (={value}) must be at least 0 and below {limit}")
    sequences = np.ascontiguousarray(sequences, dtype=np.uint8)
    shuffled = np.empty((len(sequences), n, sequences.shape[1]), dtype=np.uint8)
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    threads = min(most, len(sequences), shuffled.size // _BASES_WORTH_A_THREAD)
    keys, first = sequence_keys(sequences, seed), np.uint64(start)
    over_rows(lambda a, b: _shuffle_all(sequences[a:b], k, keys[a:b], first, shuffled[a:b]), len(sequences), threads)
    return shuffled


def sequence_keys(sequences: np.ndarray, seed: int) -> np.ndarray:
    """A random-looking number for each sequence, made of its content and the seed alone.

    Parameters
    ----------
    sequences : array, shape (N, L), uint8 codes 0..4, contiguous
    seed : int
        0 to 2**64 - 1.

    Returns
    -------
    array, shape (N,), uint64
    """
    return _keys(sequences, np.uint64(seed))


# Arithmetic below is on np.uint64 throughout: numba turns a mix of signed and unsigned 64-bit integers into floats.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@compiled
def _mix(value: np.uint64) -> np.uint64:
    """The output function of splitmix64 (Steele, Lea and Flood 2014): a bijection of 64-bit integers."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def _below(limit: np.integer, state: np.uint64) -> tuple[np.int64, np.uint64]:
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
def _keys(sequences: np.ndarray, seed: np.uint64) -> np.ndarray:
    n_sequences, length = sequences.shape
    keys = np.empty(n_sequences, dtype=np.uint64)
    for i in range(n_sequences):
        content = np.uint64(length)
        for j in range(length):
            content = _mix(content + _GOLDEN * np.uint64(sequences[i, j] + 1))
        keys[i] = _mix(_mix(seed + _GOLDEN) ^ content)
    return keys


@compiled
def _shuffle_all(sequences: np.ndarray, k: int, keys: np.ndarray, start: np.uint64, shuffled: np.ndarray) -> None:
    """Fill `shuffled` (N, n, L); each stretch between N is a graph of its own, counted once for all its shuffles."""
    length, n = sequences.shape[1], shuffled.shape[1]
    n_vertices = 4 ** (k - 1)
    counts = np.empty((n_vertices, 4), dtype=np.int64)  # of the edges from each vertex with each next base
    first = np.empty(n_vertices, dtype=np.int64)
    degree = np.empty(n_vertices, dtype=np.int64)
    edges = np.empty(length, dtype=np.uint16)
    left, exits = np.empty_like(degree), np.empty_like(degree)
    in_tree = np.empty(n_vertices, dtype=np.bool_)
    pool = np.empty_like(edges)
    states = np.empty(n, dtype=np.uint64)
    for i in range(len(sequences)):
        for j in range(n):
            states[j] = _mix(keys[i] + _GOLDEN * (start + np.uint64(j)))
        begin = 0
        while begin < length:
            if sequences[i, begin] == N_CODE:
                shuffled[i, :, begin] = N_CODE
                begin += 1
                continue
            end = begin
            while end < length and sequences[i, end] != N_CODE:
                end += 1
            if end - begin < k:  # no edge
                for j in range(n):
                    shuffled[i, j, begin:end] = sequences[i, begin:end]
            else:
                root = _count_edges(sequences[i, begin:end], k, counts, first, degree, edges)
                n_edges = end - begin - (k - 1)
                for j in range(n):
                    row = shuffled[i, j, begin:end]
                    row[: k - 1] = sequences[i, begin : begin + k - 1]
                    pool[:n_edges] = edges[:n_edges]
                    left[:] = degree
                    states[j] = _walk(k, root, counts, first, left, exits, in_tree, pool, row, states[j])
            begin = end


@compiled
def _count_edges(
    sequence: np.ndarray, k: int, counts: np.ndarray, first: np.ndarray, degree: np.ndarray, edges: np.ndarray
) -> int:
    """Lay out the graph of `sequence` (no N, more than k - 1 bases); returns the vertex that it ends in.

    A vertex is the number that its k - 1 bases make to the base of 4, an edge that of its k bases. The edges out of
    vertex v are edges[first[v] : first[v] + degree[v]], sorted by their last base.
    """
    last_vertex = 4 ** (k - 1) - 1  # all bits set
    counts[:] = 0
    at = 0
    for j in range(k - 1):
        at = at * 4 + sequence[j]
    for j in range(k - 1, len(sequence)):
        base = sequence[j]
        counts[at, base] += 1
        at = (at * 4 + base) & last_vertex
    filled = 0
    for v in range(last_vertex + 1):
        first[v] = filled
        for base in range(4):
            edges[filled : filled + counts[v, base]] = v * 4 + base
            filled += counts[v, base]
        degree[v] = filled - first[v]
    return at


@compiled
def _walk(
    k: int,
    root: int,
    counts: np.ndarray,
    first: np.ndarray,
    left: np.ndarray,
    exits: np.ndarray,
    in_tree: np.ndarray,
    pool: np.ndarray,
    row: np.ndarray,
    state: np.uint64,
) -> np.uint64:
    """Write a uniform Eulerian path to `root` into `row`, whose first k - 1 bases are there; returns the next state.

    `left` and `pool` hold the edges out of each vertex, as `_count_edges` lays them out, and are used up.
    """
    last_vertex = 4 ** (k - 1) - 1

    # Wilson's algorithm: from each vertex walk at random to the tree; the last exits taken are the loop-erased path.
    for v in range(last_vertex + 1):
        in_tree[v] = left[v] == 0
    in_tree[root] = True
    for v in range(last_vertex + 1):
        at = v
        while not in_tree[at]:
            # An edge back to the same vertex cannot be in a tree: leaving it out of the walk changes nothing but time.
            loop = at & 3 if (at * 4 + (at & 3)) & last_vertex == at else 4
            others = left[at] - counts[at, loop] if loop < 4 else left[at]
            draw, state = _below(others, state)
            base = 0
            while base == loop or draw >= counts[at, base]:
                if base != loop:
                    draw -= counts[at, base]
                base += 1
            exits[at] = at * 4 + base
            at = exits[at] & last_vertex
        at = v
        while not in_tree[at]:
            in_tree[at] = True
            at = exits[at] & last_vertex

    # Lay the last exit of each vertex at the end of its edges, where the walk comes to it last.
    for v in range(last_vertex + 1):
        if v != root and left[v] > 0:
            place = first[v]
            for base in range(exits[v] & 3):
                place += counts[v, base]
            last = first[v] + left[v] - 1
            pool[place], pool[last] = pool[last], pool[place]
            left[v] -= 1

    at = 0
    for j in range(k - 1):
        at = at * 4 + row[j]
    for j in range(k - 1, len(row)):
        if left[at] == 0:  # only the last exit remains
            edge = exits[at]
        else:
            draw, state = _below(left[at], state)
            left[at] -= 1
            place = first[at] + draw
            edge = np.int64(pool[place])
            pool[place] = pool[first[at] + left[at]]
        row[j] = edge & 3
        at = edge & last_vertex
    return state
