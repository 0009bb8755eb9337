"""References: sequences that stand for "no signal".

DeepLIFT explains the difference from a reference (arXiv 1605.01713 §"choosing a reference"). For DNA the usual ones are
shuffles of the sequence itself that keep its dinucleotide counts: they have its composition and none of its motifs.

Each kind here is a function of `(sequences, n_references, seed)`; reference k of a sequence depends on the sequence, k
and the seed, and on nothing else, so results do not depend on batches, order or shards.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from seqlift.errors import SeqliftError
from seqlift.shuffle import dinucleotide_shuffle


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
    total, highest = sequences.sum(1), sequences.amax(1)
    wrong = ~(((total == 1) & (highest == 1)) | ((sequences == 0).all(1)))
    if wrong.any():
        row, position = (int(i) for i in wrong.nonzero()[0])
        column = [round(float(value), 4) for value in sequences[row, :, position]]
        raise SeqliftError(
            f"{int(wrong.sum())} columns are not one-hot, the first at sequence {row}, position {position}: {column}; "
            "shuffled references need one-hot sequences (zeros for N): pass `references` yourself"
        )
    return torch.where(total == 0, 4, sequences.argmax(1)).to(torch.uint8).cpu().numpy()


def dinucleotide_shuffles(sequences: Tensor, n_references: int, seed: int) -> Tensor:
    """Shuffles that keep every dinucleotide count (see `seqlift.shuffle`).

    Parameters
    ----------
    sequences : torch.Tensor, shape (N, 4, L), one-hot
    n_references : int
    seed : int

    Returns
    -------
    torch.Tensor, shape (N, R, 4, L), of the type and on the device of `sequences`
    """
    codes = torch.from_numpy(dinucleotide_shuffle(base_codes(sequences), n_references, seed=seed))
    one_hot = torch.nn.functional.one_hot(codes.to(sequences.device, torch.int64), 5)[..., :4]
    return one_hot.transpose(-1, -2).to(sequences.dtype).contiguous()  # (N, R, 4, L)


def zeros(sequences: Tensor, n_references: int, seed: int) -> Tensor:
    """No base anywhere: (N, R, 4, L) of zeros, all R of them alike."""
    return sequences.new_zeros(len(sequences), n_references, *sequences.shape[1:])


def uniform(sequences: Tensor, n_references: int, seed: int) -> Tensor:
    """A quarter of each base wherever the sequence has one (N stays zeros); all R of them alike."""
    present = (sequences != 0).any(1, keepdim=True).to(sequences.dtype)
    return (present / 4).expand_as(sequences)[:, None].expand(-1, n_references, -1, -1)


KINDS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "dinucleotide": dinucleotide_shuffles,
    "uniform": uniform,
    "zeros": zeros,
}
