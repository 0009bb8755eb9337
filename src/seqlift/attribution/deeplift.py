"""DeepLIFT: contributions as differences from references (arXiv 1605.01713; newer version 1704.02685).

A base's contribution is its multiplier times its difference from the reference, and the contributions of a sequence add
up to the difference of the two predictions. The sequence is run once, its references once, and one backward pass
through the references gathers the multipliers of all pairs: R + 1 rows forward and R back for R references.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlift.attribution.batches import References, Request, explain_pairs
from seqlift.attribution.model_state import in_evaluation_mode
from seqlift.attribution.output_layer import ExplainedModel, select
from seqlift.attribution.rules import RULES
from seqlift.attribution.totals import Block, broken_completeness
from seqlift.attribution.trace import multipliers
from seqlift.errors import SeqliftError


@dataclass(frozen=True)
class DeepLift:
    """What `deeplift` found; N sequences of length L, at most R references each. Tensors lie on the CPU.

    They are float64 for float64 sequences and float32 for all others.

    Attributes
    ----------
    hypothetical : torch.Tensor, shape (N, 4, L)
        What each base would contribute: mean over references of Σ_a m[a] · (δ_ab - ref[a]).
    contributions : torch.Tensor, shape (N, 4, L)
        The hypothetical contribution of the base that is there.
    delta : torch.Tensor, shape (N, R)
        Completeness delta: (f(x) - f(reference)) - Σ m · (x - reference), over all bases. NaN where a sequence has
        fewer references than others.
    prediction : torch.Tensor, shape (N,)
        f(x), in the units of the output that is explained.
    reference_prediction : torch.Tensor, shape (N, R)
        f(reference); NaN where a sequence has fewer references than others.
    standard_error : torch.Tensor, shape (N, L)
        Of the contribution at each position, over references; NaN for one reference.
    n_references : torch.Tensor, shape (N,), int64
        How many references each sequence was held against.
    """

    hypothetical: Tensor
    contributions: Tensor
    delta: Tensor
    prediction: Tensor
    reference_prediction: Tensor
    standard_error: Tensor
    n_references: Tensor


def deeplift(
    model: Callable,
    sequences: Tensor,
    references: References = None,
    *,
    n_references: int | str = 20,
    target: int = 0,
    rule: str = "rescale",
    output: str = "logit",
    center_first_layer: bool = False,
    max_relative_error: float = 0.1,
    max_references: int = 200,
    args: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> DeepLift:
    """Explain one output of a model, base by base, with DeepLIFT.

    Parameters
    ----------
    model : torch.nn.Module or callable, (N, 4, L) [+ args] -> (N, T)
        Borrowed: explained in evaluation mode and left exactly as it was.
    sequences : torch.Tensor, shape (N, 4, L)
    references : torch.Tensor, shape (N, R, 4, L) or (R, 4, L), any values; or callable; or None
        A callable is given `(sequences, n_references, seed)` and returns (N, R, 4, L), reference k of a sequence being
        the same however many are asked for. If it takes `start=0` by keyword, it is asked for references from `start`
        on. None: dinucleotide shuffles.
    n_references : int or "auto"
        How many, where `references` is a callable or None. "auto": ten at a time, for each sequence by itself, until
        its largest standard error is at most `max_relative_error` of its largest |contribution|.
    target : int
        Which output to explain.
    rule : "rescale", "reveal-cancel" or "genomics"
        For activation functions, of arXiv 1704.02685; `genomics` is RevealCancel on dense layers and Rescale elsewhere.
        Products by the product rule of 1605.01713, whatever the rule.
    output : "logit" or "probability"
        Where the model ends in a sigmoid or softmax: its input (for a softmax minus the mean over classes), or what
        comes out of it. A model that ends otherwise is explained as it is, or, for "probability", the sigmoid of what
        it gives.
    center_first_layer : bool
        Give the scores that the model would have if the weights of its first layer had a mean of zero over the bases,
        which for one-hot input is another way to write the same function (arXiv 1605.01713 on constrained inputs). Each
        reference is completed by (Σx - Σr) / 4 of each base, so references that sum to one change nothing, and a
        reference of zeros becomes a quarter of each base.
    max_relative_error : float
        For `n_references="auto"`.
    max_references : int
        For `n_references="auto"`: no more than these, whether the error is small enough or not.
    args : tuple of torch.Tensor, shape (N, ...)
        Further inputs of the model, the same for a sequence and its references; they receive no contributions.
    batch_size : int, optional
        Pairs of sequence and reference at a time; by default chosen by the size of the model's activations, and smaller
        where they do not fit in the memory. Results do not depend on it beyond rounding.
    device : str or torch.device, optional
        Where to compute; by default where the model is.
    seed : int
        Given to `references`. Reference k of a sequence depends on the sequence, k and the seed alone.

    Returns
    -------
    DeepLift

    Raises
    ------
    SeqliftError
        If an argument is wrong, the model uses an operation that cannot be explained (named with its place), its output
        for a sequence depends on the others in the batch or is random, or a single pair does not fit in the memory.

    Warns
    -----
    UserWarning
        If contributions miss the change in prediction by more than rounding can.
    """
    if rule not in RULES:
        raise SeqliftError(f"`rule` (={rule!r}) must be one of {', '.join(RULES)}")
    request = Request.check(
        sequences,
        references,
        n_references,
        args,
        seed,
        max_relative_error=max_relative_error,
        max_references=max_references,
        center_first_layer=center_first_layer,
    )
    explained = ExplainedModel(model, output)

    def chosen(outputs: Tensor) -> Tensor:
        return select(outputs, target)

    def predict(x: Tensor, *extra: Tensor) -> Tensor:
        return chosen(explained(x, *extra))

    def compute(x: Tensor, r: Tensor, extra: tuple[Tensor, ...], rows: int) -> Block:
        return Block(*multipliers(explained, x, r, chosen, extra, rule))

    with in_evaluation_mode(model, device) as where:
        result = DeepLift(**explain_pairs(request, where, predict, compute, batch_size))
    _warn_if_broken(result, sequences.dtype)
    return result


def _warn_if_broken(result: DeepLift, dtype: torch.dtype) -> None:
    """The rules add up for every model that they accept: where they did not, something is wrong that nobody foresaw."""
    broken = broken_completeness(result, max(0.01, 4 * torch.finfo(dtype).eps ** 0.5))
    if broken.any():
        row, column = (int(i) for i in broken.nonzero()[0])
        warnings.warn(
            f"the contributions do not add up for {int(broken.sum())} of {int(result.n_references.sum())} pairs of "
            f"sequence and reference, the first being sequence {row} and reference {column}, where they miss the "
            f"change in prediction by {float(result.delta[row, column]):.4g} (`delta`): values so large, or of so low "
            "a precision, that rounding is most of them, or else an error in seqlift, which please report",
            stacklevel=3,
        )
