"""In-silico saturation mutagenesis: the change in prediction for every other base at every position.

It needs only predictions, no rule, gradient or reference, so the other methods are compared with it. One change at a
time does not reveal redundancy: of two sites of which one suffices, each seems to matter little, because the other is
still there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlift.attribution.batch_size import BatchSize, default_batch_size, in_batches
from seqlift.attribution.checks import check_finite, check_independence, check_inputs, check_one_hot
from seqlift.attribution.model_state import in_evaluation_mode
from seqlift.attribution.output_layer import ExplainedModel, select

_GROUP = 16  # batches whose changes are listed together, so that few batches are short and lists stay small


@dataclass(frozen=True)
class Mutagenesis:
    """Result of `mutagenesis` for N sequences of length L. Tensors lie on the CPU.

    Attributes
    ----------
    effects : torch.Tensor, shape (N, 4, L)
        f(sequence with base b at position i) - f(sequence): 0 for the base in the sequence, four changes at an N.
    hypothetical : torch.Tensor, shape (N, 4, L)
        Effect of each base minus the mean effect of the four bases at its position.
    contributions : torch.Tensor, shape (N, 4, L)
        Hypothetical contribution of the base in the sequence; 0 for the other bases and at N.
    prediction : torch.Tensor, shape (N,)
        f(sequence).
    """

    effects: Tensor
    hypothetical: Tensor
    contributions: Tensor
    prediction: Tensor


def mutagenesis(
    model: Callable,
    sequences: Tensor,
    *,
    target: int = 0,
    output: str = "logit",
    args: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
) -> Mutagenesis:
    """Predict the effect of every single-base change: 3 L + 1 predictions for each sequence.

    Parameters
    ----------
    model : torch.nn.Module or callable, (N, 4, L) [+ args] -> (N, T)
        The model is not modified. It is run in evaluation mode. Scripted and compiled modules work too, as only the
        output is used.
    sequences : torch.Tensor, shape (N, 4, L), one-hot
        Bases in the order A, C, G, T. A column of zeros is N and is changed to all four bases. A floating type.
    target : int
        Index of the output to explain.
    output : "logit" or "probability"
        For a model that ends in a sigmoid or softmax, explain the input of this layer (for a softmax minus the mean
        over classes) or its output. For other models: the output as it is, or its sigmoid.
    args : tuple of torch.Tensor, shape (N, ...)
        Further inputs of the model, the same for a sequence and all its changes.
    batch_size : int, optional
        Changed sequences at a time. It is lowered if a batch does not fit into memory. Results do not depend on it
        beyond rounding.
    device : str or torch.device, optional
        Where to compute; by default where the model is.

    Returns
    -------
    Mutagenesis

    Raises
    ------
    SeqliftError
        If an argument is wrong, a column of `sequences` is neither one-hot nor zeros, or the output for a sequence
        depends on the other rows of its batch or is random.

    Examples
    --------
    >>> import seqlift, torch
    >>> sequences = torch.eye(4)[torch.tensor([[0, 1, 2, 3]])].mT  # ACGT
    >>> result = seqlift.mutagenesis(lambda x: 3 * x[:, 0, :1], sequences)  # 3 for an A at the first position
    >>> result.effects[0, :, 0]
    tensor([ 0., -3., -3., -3.])
    """
    args = check_inputs(sequences, args)
    sequences = sequences.detach()
    check_one_hot(sequences, "mutagenesis replaces bases")
    explained = ExplainedModel(model, output)
    n, _, length = sequences.shape
    precise = torch.float64 if sequences.dtype == torch.float64 else torch.float32

    def predict(x: Tensor, *extra: Tensor) -> Tensor:
        return select(explained(x, *extra), target).to(precise)

    effects, prediction = torch.zeros(n, 4, length, dtype=precise), torch.zeros(n, dtype=precise)
    with in_evaluation_mode(model, device, look_inside=False) as where, torch.no_grad():
        one, of_one = sequences[:1].to(where), tuple(arg[:1].to(where) for arg in args)
        size = BatchSize(default_batch_size(predict, one, of_one) if batch_size is None else batch_size)
        other = one.roll(1, 1)  # another base at every position
        check_independence(predict, torch.cat([one, other]), tuple(arg.repeat_interleave(2, 0) for arg in of_one))
        first = 0
        while first < n:
            block = slice(first, first + max(1, _GROUP * size.rows // (3 * length + 1)))
            extra = tuple(arg[block].to(where) for arg in args)
            found = _effects(predict, sequences[block].to(where), extra, size)
            effects[block], prediction[block] = (values.cpu() for values in found)
            rows = torch.arange(n)[block]
            check_finite(prediction[block], rows, "the model's output for")
            check_finite(effects[block], rows, "the model's output for a mutant of")
            first = block.stop
    hypothetical = effects - effects.mean(1, keepdim=True)
    return Mutagenesis(effects, hypothetical, hypothetical * sequences.to("cpu", precise), prediction)


def _effects(
    predict: Callable[..., Tensor], x: Tensor, args: tuple[Tensor, ...], size: BatchSize
) -> tuple[Tensor, Tensor]:
    """The effects of all changes of x, (B, 4, L), and f(x), (B,)."""

    def changed(changes: Tensor) -> Tensor:
        row, base, position = changes.T
        sequences, each = x[row], torch.arange(len(row), device=x.device)
        sequences[each, :, position] = 0
        sequences[each, base, position] = 1
        return predict(sequences, *(arg[row] for arg in args))

    def unchanged(row: Tensor) -> Tensor:
        return predict(x[row], *(arg[row] for arg in args))

    f = in_batches(unchanged, torch.arange(len(x), device=x.device), size)
    changes = (x == 0).nonzero()  # (M, 3): row, base, position
    effects = f.new_zeros(x.shape)
    effects[tuple(changes.T)] = in_batches(changed, changes, size) - f[changes[:, 0]]
    return effects, f
