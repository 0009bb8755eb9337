"""References: sequences, or averages of sequences, that carry no signal.

DeepLIFT explains the difference from a reference (arXiv 1605.01713 §"choosing a reference"), interior gradients follow
the path from one. The usual references for DNA are shuffles of the sequence itself that keep its dinucleotide counts:
they have its composition and none of its motifs. `docs/references.md` says when to choose another kind.

Each kind is a callable `(sequences, n_references, seed, start=0)` that gives references `start` to
`start + n_references - 1` of each sequence: (N, R, 4, L), with the type and device of `sequences`. Reference k of a
sequence depends only on the sequence, the seed and k, so results do not depend on batches, order or shards, and
references can be added later. Where a sequence has N (zeros), so do its references: nothing is explained there.
"""

import functools
import math
import os
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seqlift.attribution.checks import refuse_not_one_hot
from seqlift.attribution.reference_kinds import RULE
from seqlift.data.genome import Genome, codes, encode
from seqlift.data.intervals import read_lines
from seqlift.data.shuffle import MAX_K, klet_shuffle, sequence_keys
from seqlift.data.windows import one_hot
from seqlift.errors import SeqliftError
from seqlift.regions.splits import Splits
from seqlift.regions.windows import candidate_windows

Kind = Callable[..., Tensor]
GC_TOLERANCE = 0.02


def base_codes(sequences: Tensor) -> np.ndarray:
    """One-hot sequences as codes.

    Parameters
    ----------
    sequences : torch.Tensor, shape (N, 4, L), one-hot; a column of zeros is N

    Returns
    -------
    numpy.ndarray, shape (N, L), uint8
        0 to 3 for A C G T, 4 for N.

    Raises
    ------
    SeqliftError
        If a column is neither one-hot nor zeros.
    """
    values = sequences.detach().cpu()
    array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # numpy has no bfloat16
    there = array == 1
    a, c, g, t = there.view(np.uint8).swapaxes(0, 1)  # adding them up is several times faster than sum or argmax
    wrong = ~(there | (array == 0)).all(1) | (a + c + g + t > 1)
    why = "references made from a sequence need it one-hot: pass `references` yourself"
    refuse_not_one_hot(torch.from_numpy(wrong), values, why)
    return 4 - 4 * a - 3 * c - 2 * g - t


def references_of(codes: np.ndarray, like: Tensor) -> Tensor:
    """Codes (N, R, L), uint8, as one-hot references (N, R, 4, L) of the type and on the device of `like`."""
    return one_hot(torch.from_numpy(codes).to(like.device), like.dtype)


def klet_shuffles(k: int) -> Kind:
    """Shuffles of one-hot sequences that keep the count of every k-let (`seqlift.data.shuffle.klet_shuffle`).

    Parameters
    ----------
    k : int
        1 to 6: 1 keeps the counts of the bases, 2 those of the dinucleotides. With k > 1 the first and the last k - 1
        bases keep their places.
    """
    if not 1 <= k <= MAX_K:
        raise SeqliftError(f"`k` (={k}) of k-let shuffles must be from 1 to {MAX_K}")

    def draw(sequences: Tensor, n_references: int, seed: int, start: int = 0) -> Tensor:
        return references_of(klet_shuffle(base_codes(sequences), n_references, k=k, seed=seed, start=start), sequences)

    return draw


mononucleotide_shuffles = klet_shuffles(1)
dinucleotide_shuffles = klet_shuffles(2)


def background(frequencies: Sequence[float]) -> Kind:
    """The frequencies of the four bases at every position: the average of many sequences.

    Parameters
    ----------
    frequencies : sequence of 4 floats
        Frequencies of A, C, G and T, at least 0; divided by their sum, which must be 1 to within 0.01.
    """
    given = [float(frequency) for frequency in frequencies]
    if len(given) != 4 or not all(f >= 0 for f in given) or not math.isclose(sum(given), 1, abs_tol=0.01):
        raise SeqliftError(
            f"background frequencies ({', '.join(f'{f:g}' for f in given)}) must be four numbers, for A, C, G and T, "
            "that are 0 or more and sum to 1"
        )
    column = torch.tensor(given, dtype=torch.float64) / sum(given)

    def draw(sequences: Tensor, n_references: int, seed: int, start: int = 0) -> Tensor:
        filled = column.to(sequences)[:, None] * _known(sequences)
        return filled[:, None].expand(-1, n_references, -1, -1)  # all alike

    return draw


uniform = background((0.25, 0.25, 0.25, 0.25))


def zeros(sequences: Tensor, n_references: int, seed: int, start: int = 0) -> Tensor:
    """No base anywhere: zeros, shape (N, R, 4, L)."""
    return sequences.new_zeros(len(sequences), n_references, *sequences.shape[1:])


def genomic_windows(
    genome: Genome,
    exclude: pd.DataFrame | None = None,
    *,
    tolerance: float = GC_TOLERANCE,
    min_distance: int = 0,
    max_n_fraction: float = 0.0,
) -> Kind:
    """Windows of the genome with the GC content of the sequence: real DNA, but not peaks.

    The genome away from `exclude` is divided into adjacent windows (`candidate_windows`); the references of a sequence
    are drawn from those with about its GC content, each at most once. The positions of the windows depend only on the
    genome, `exclude` and the length; they are found at the first call, which takes a minute for a human genome.

    Parameters
    ----------
    genome : Genome
        Must stay open while references are drawn.
    exclude : pandas.DataFrame, optional
        Columns `chrom`, `start`, `end` (bp, 0-based, end exclusive), usually the peaks.
    tolerance : float
        Largest difference in GC content between a reference and its sequence, both without their N.
    min_distance : int
        Smallest distance between a reference and any interval of `exclude`, bp.
    max_n_fraction : float
        Largest fraction of N in a reference.

    Raises
    ------
    SeqliftError
        If a number is out of range or `exclude` does not fit the genome; when called, if the genome has fewer windows
        with a sequence's GC content than references.
    """
    for name, value, largest in (
        ("tolerance", tolerance, 1),
        ("max_n_fraction", max_n_fraction, 1),
        ("min_distance", min_distance, 2**40),
    ):
        if not 0 <= value <= largest:
            raise SeqliftError(f"`{name}` (={value}) of genomic windows must be from 0 to {largest}")
    exclude = pd.DataFrame({"chrom": [], "start": [], "end": []}) if exclude is None else exclude
    missing = [column for column in ("chrom", "start", "end") if column not in exclude]
    if missing:
        raise SeqliftError(f"`exclude` has no column {missing[0]!r}; it must have chrom, start and end")
    if len(exclude) and not exclude["chrom"].isin(genome.sizes).any():
        raise SeqliftError(
            f"none of the chromosomes of `exclude` (first: {exclude['chrom'].iloc[0]!r}) is one of {genome.path} "
            f"(first: {next(iter(genome.sizes))!r}): nothing would be excluded"
        )

    blocked = exclude.assign(start=exclude["start"] - min_distance, end=exclude["end"] + min_distance)
    everywhere = Splits({chrom: [(0, size, "")] for chrom, size in genome.sizes.items()}, [""])

    @functools.lru_cache(maxsize=2)
    def windows(length: int) -> pd.DataFrame:
        found = candidate_windows(
            genome, blocked, length, max_n_fraction=max_n_fraction, splits=everywhere, margin=0, seed=0
        )
        return found.sort_values("gc", kind="stable", ignore_index=True)[["chrom", "start", "gc"]]

    def draw(sequences: Tensor, n_references: int, seed: int, start: int = 0) -> Tensor:
        coded = base_codes(sequences)
        length = coded.shape[1]
        table = windows(length)
        chroms, starts, gc = (table[column].to_numpy() for column in table)
        drawn = np.empty((len(coded), n_references, length), dtype=np.uint8)
        for i, key in enumerate(sequence_keys(coded, seed)):
            known = int(np.count_nonzero(coded[i] < 4))
            wanted = int(np.count_nonzero((coded[i] == 1) | (coded[i] == 2))) / max(known, 1)
            reach = tolerance + 1e-9 if known else 1  # a sequence of N takes any window, and hides all of it
            low, high = np.searchsorted(gc, (wanted - reach, wanted + reach), side="left")
            if high - low < start + n_references:
                raise SeqliftError(
                    f"{genome.path} has {high - low} windows of {length} bp away from peaks with a GC content within "
                    f"{tolerance:g} of that of sequence {i} ({wanted:.3f}), fewer than the {start + n_references} "
                    "references needed; raise `tolerance` (genomic:<tolerance>) or lower `n_references`"
                )
            random = np.random.default_rng(int(key))
            chosen: dict[int, None] = {}  # in the order drawn
            while len(chosen) < start + n_references:
                chosen[int(random.integers(low, high))] = None
            for k, place in enumerate(list(chosen)[start:]):
                at = int(starts[place])
                drawn[i, k] = codes(genome.fetch(chroms[place], at, at + length))
        return references_of(drawn, sequences) * _known(sequences)[:, None]

    return draw


def from_fasta(path: str | os.PathLike) -> Kind:
    """The sequences of a FASTA file (`read_references`): record k is reference k of every sequence."""
    records = read_references(path)

    def draw(sequences: Tensor, n_references: int, seed: int, start: int = 0) -> Tensor:
        if records.shape[2] != sequences.shape[2]:
            raise SeqliftError(
                f"{path}: its sequences have {records.shape[2]} bp, those to explain {sequences.shape[2]} bp; "
                "references must have the same length"
            )
        if start + n_references > len(records):
            raise SeqliftError(
                f"{path}: holds {len(records)} sequences, fewer than the {start + n_references} references needed; "
                "lower `n_references`, or add sequences"
            )
        return records[start : start + n_references].to(sequences) * _known(sequences)[:, None]

    return draw


def read_references(path: str | os.PathLike) -> Tensor:
    """Read references from a FASTA file, plain or gzipped.

    Parameters
    ----------
    path : path of the FASTA file
        Records of one length, in letters A, C, G, T, N, upper or lower case; lines of any length.

    Returns
    -------
    torch.Tensor, shape (R, 4, L), float32
        One-hot, N all zeros; what `seqlift.deeplift` takes as `references`.

    Raises
    ------
    SeqliftError
        If the file is missing or holds anything else; names the line.
    """
    records: list[str] = []
    lines: list[int] = []  # of their headers
    for number, line in read_lines(path):
        line = line.strip()
        if line.startswith(">"):
            records.append("")
            lines.append(number)
        elif line and not records:
            raise SeqliftError(f"{path}:{number}: a FASTA file starts with a header, '>name'; found {line[:40]!r}")
        elif line:
            wrong = line.upper().strip("ACGTN")
            if wrong:
                raise SeqliftError(f"{path}:{number}: letter {wrong[0]!r}; references are written in A, C, G, T and N")
            records[-1] += line
    if not records:
        raise SeqliftError(f"{path}: holds no sequence; a FASTA file of references is needed")
    length = len(records[0])
    for record, number in zip(records, lines, strict=True):
        if not record:
            raise SeqliftError(f"{path}:{number}: a header without a sequence")
        if len(record) != length:
            raise SeqliftError(
                f"{path}:{number}: the sequence has {len(record)} bp, the first of the file {length} bp; references "
                "must have the length of the sequences to explain"
            )
    return torch.from_numpy(encode(np.stack([codes(record) for record in records])))


KINDS: dict[str, Kind] = {
    "dinucleotide": dinucleotide_shuffles,
    "mononucleotide": mononucleotide_shuffles,
    "uniform": uniform,
    "zeros": zeros,
}


def reference_kind(text: str, *, genome: Genome | None = None, exclude: pd.DataFrame | None = None) -> Kind:
    """The kind of reference that a config or a command line names.

    Parameters
    ----------
    text : str
        One of `seqlift.attribution.reference_kinds.KINDS`: "dinucleotide", "klet:3", "background:0.3,0.2,0.2,0.3", ...
    genome : Genome, optional
        Needed by "genomic".
    exclude : pandas.DataFrame, optional
        Columns `chrom`, `start`, `end`: where genomic windows must not lie.

    Raises
    ------
    SeqliftError
        If there is no such kind, or its argument is wrong.
    """
    if text in KINDS:
        return KINDS[text]
    name, colon, rest = text.partition(":")
    try:
        if name == "klet" and colon:
            return klet_shuffles(int(rest))
        if name == "background" and colon:
            return background([float(part) for part in rest.split(",")])
        tolerance = float(rest) if name == "genomic" and colon else GC_TOLERANCE
    except ValueError:
        raise SeqliftError(f"references {text!r}: {rest!r} is not a number") from None
    if name == "genomic":
        if genome is None:
            raise SeqliftError(f"references {text!r} need a genome to draw windows from")
        return genomic_windows(genome, exclude, tolerance=tolerance)
    if name == "fasta" and rest:
        return from_fasta(rest)
    raise SeqliftError(f"references {text!r} do not exist; choose from {RULE}")


def _known(sequences: Tensor) -> Tensor:
    """1 where a sequence has a base, 0 where it has none, (N, 1, L), in the type of `sequences`."""
    return (sequences != 0).any(1, keepdim=True).to(sequences)
