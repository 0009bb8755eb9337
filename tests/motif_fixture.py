"""Score files whose truth is known: random sequences with planted motifs, scored by the motif's own weights."""

import numpy as np
import pandas as pd

from seqlift.scores.file import create_scores

# Frequencies of made-up factors, A C G T down, positions across: none is self-complementary or like the other.
FIRST = "TGACCGTTA"
SECOND = "CCATATGGAAC"


def frequencies(consensus: str, share: float = 0.91) -> np.ndarray:
    """A matrix (4, w) that holds `share` of the consensus base and the rest evenly."""
    matrix = np.full((4, len(consensus)), (1 - share) / 3)
    matrix[["ACGT".index(base) for base in consensus], np.arange(len(consensus))] = share
    return matrix


def reverse_complement(matrix: np.ndarray) -> np.ndarray:
    return matrix[::-1, ::-1]


def one_hot(codes: np.ndarray) -> np.ndarray:
    """(N, L) codes, 4 = N, to (N, 4, L) int8."""
    return (codes[:, None, :] == np.arange(4)[None, :, None]).astype(np.int8)


def write_scores(path, coords, sequences, hypothetical, *, target="factor", method="deeplift"):
    """A score file of given one-hot sequences (N, 4, L) and hypothetical contributions (N, 4, L)."""
    n, _, length = sequences.shape
    hypothetical = hypothetical.astype(np.float32)
    contributions = hypothetical * sequences
    attributes = {"target": target, "method": method}
    with create_scores(path, coords, length=length, attributes=attributes) as writer:
        writer.append(
            sequences=sequences,
            hypothetical=hypothetical,
            contributions=contributions,
            prediction=contributions.sum(axis=(1, 2)),
            n_references=np.ones(n),
            delta=np.zeros((n, 1)),
            reference_prediction=np.zeros((n, 1)),
            standard_error=np.full((n, length), np.nan),
        )
    return path


def place(n, length, chrom="chr1", gap=0):
    """Coordinates of n regions, one after another."""
    start = np.arange(n) * (length + gap)
    return pd.DataFrame(
        {
            "chrom": chrom,
            "start": start,
            "end": start + length,
            "name": [f"region_{i}" for i in range(n)],
            "strand": "+",
        }
    )


def planted(n=600, length=120, motifs=(FIRST, SECOND), *, seed=0, noise=0.02, weight=0.15):
    """Sequences with one instance of each motif on either strand, and the scores a model that knows them would give.

    Returns
    -------
    sequences (n, 4, length) int8, hypothetical (n, 4, length), instances: list of (row, start, strand, motif index)
    """
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length))
    hypothetical = rng.normal(0, noise, (n, 4, length))
    instances = []
    for row in range(n):
        half = length // len(motifs)
        for index, consensus in enumerate(motifs):
            matrix = frequencies(consensus)
            strand = "+-"[rng.integers(2)]
            if strand == "-":
                matrix = reverse_complement(matrix)
            width = matrix.shape[1]
            start = index * half + int(rng.integers(15, half - width - 15))
            codes[row, start : start + width] = [rng.choice(4, p=column) for column in matrix.T]
            hypothetical[row, :, start : start + width] += weight * np.log2(matrix / 0.25)
            instances.append((row, start, strand, index))
    return one_hot(codes), hypothetical, instances
