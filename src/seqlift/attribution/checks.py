"""Checks of a call that all methods share: the shapes of the inputs, and a model that treats each row by itself."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqlift.errors import SeqliftError


def check_inputs(sequences: Tensor, args: tuple) -> tuple[Tensor, ...]:
    """Check sequences (N, 4, L) and further inputs of the model (N, ...); returns the latter.

    Raises
    ------
    SeqliftError
        Names the argument, its shape or value, and the rule.
    """
    if not isinstance(sequences, Tensor) or sequences.ndim != 3 or sequences.shape[1] != 4:
        shape = tuple(getattr(sequences, "shape", ()))
        raise SeqliftError(f"`sequences` must be a tensor of shape (N, 4, L), not {type(sequences).__name__} {shape}")
    if not len(sequences):
        raise SeqliftError(f"`sequences` of shape {tuple(sequences.shape)} holds no sequence")
    if not sequences.is_floating_point():
        raise SeqliftError(f"`sequences` (type {sequences.dtype}) must have a floating type, as the model's input does")
    check_finite(sequences, torch.arange(len(sequences)), "`sequences`:")
    args = tuple(args)
    for i, arg in enumerate(args):
        if not isinstance(arg, Tensor) or arg.ndim == 0 or len(arg) != len(sequences):
            raise SeqliftError(f"`args[{i}]` must be a tensor with a row for each of the {len(sequences)} sequences")
    return args


def check_finite(values: Tensor, rows: Tensor, what: str) -> None:
    """Raise an error that names the first sequence, of those in `rows` (B,), whose values (B, ...) are not all finite.

    `what` is what the values are, as "the model's output for".
    """
    wrong = ~values.isfinite().flatten(1).all(1).cpu() if values.ndim > 1 else ~values.isfinite().cpu()
    if wrong.any():
        row = int(wrong.nonzero()[0])
        kind = "NaN" if values[row].isnan().any() else "infinite"
        raise SeqliftError(
            f"{what} sequence {int(rows[row])} is {kind}, so there is nothing to explain: look for NaN among the "
            "weights, and for logarithms, divisions and exponentials that leave the range of "
            f"{str(values.dtype).removeprefix('torch.')}"
        )


def refuse_not_one_hot(wrong: Tensor, sequences: Tensor, why: str) -> None:
    """Raise an error that names the first of the wrong columns (N, L) of sequences (N, 4, L), if there is one."""
    if wrong.any():
        row, position = (int(i) for i in wrong.nonzero()[0])
        column = [round(float(value), 4) for value in sequences[row, :, position]]
        raise SeqliftError(
            f"{int(wrong.sum())} columns of `sequences` are neither one-hot nor zeros (N), the first at sequence "
            f"{row}, position {position}: {column}; {why}"
        )


def check_one_hot(sequences: Tensor, why: str) -> None:
    """Refuse sequences (N, 4, L) with a column that is neither one-hot nor zeros; `why` ends the message."""
    refuse_not_one_hot(((sequences != 0) & (sequences != 1)).any(1) | (sequences.sum(1) > 1), sequences, why)


def check_independence(predict: Callable[..., Tensor], sequences: Tensor, args: tuple[Tensor, ...] = ()) -> None:
    """Refuse a model whose output for one sequence depends on the others in its batch, or is random.

    Two sequences are run together, and each beside a copy of itself. A model that takes rows one by one computes the
    same for a row in both, so its two outputs are the same to the last digits, whatever the floating type.

    Parameters
    ----------
    predict : callable, (B, 4, L), *args -> (B,)
    sequences : torch.Tensor, shape (2, 4, L)
        Two that differ; two equal ones reveal nothing, and nothing is refused.
    args : tuple of torch.Tensor, shape (2, ...)

    Raises
    ------
    SeqliftError
        If the outputs differ; gives both.
    """

    def run(*rows: int) -> Tensor:
        chosen = torch.tensor(rows, device=sequences.device)
        return predict(sequences[chosen], *(arg[chosen] for arg in args))

    with torch.no_grad():
        together, alone = run(0, 1), torch.stack([run(0, 0)[0], run(1, 1)[1]])
    both = torch.stack([together, alone]).to("cpu", torch.float64)
    eps = torch.finfo(together.dtype).eps
    rounding = min(eps**0.5, 1e-3) * (both[1, 0] - both[1, 1]).abs() + eps * both.abs().max()
    wrong = (both[0] - both[1]).abs() > rounding
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise SeqliftError(
            f"the model's output for a sequence depends on the others in its batch, or is random: one sequence gives "
            f"{float(alone[row]):.6g} beside a copy of itself and {float(together[row]):.6g} beside another. Look for "
            "operations along the first axis (`mean(0)`, `flip(0)`, an LSTM without `batch_first=True`) and for random "
            "numbers drawn in evaluation"
        )
