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

from seqlift.attribution.batches import Pairs, References, Request
from seqlift.attribution.model_state import in_evaluation_mode
from seqlift.attribution.options import DeepLiftOptions
from seqlift.attribution.output_layer import ExplainedModel, select
from seqlift.attribution.rules import RULES
from seqlift.attribution.totals import Block, beyond_rounding
from seqlift.attribution.trace import multipliers
from seqlift.errors import SeqliftError


@dataclass(frozen=True)
class DeepLift:
    """Result of `deeplift` for N sequences of length L with at most R references each.

    Tensors lie on the CPU, in float64 for float64 sequences and in float32 for all others. Contributions are in the
    units of the output that is explained (`output`).

    Attributes
    ----------
    hypothetical : torch.Tensor, shape (N, 4, L)
        Hypothetical contribution of each of the four bases: the mean over references of Σ_a m[a] · (δ_ab - ref[a]).
    contributions : torch.Tensor, shape (N, 4, L)
        Hypothetical contribution of the base in the sequence, 0 for the other three.
    delta : torch.Tensor, shape (N, R)
        Completeness delta (f(x) - f(reference)) - Σ m · (x - reference). NaN beyond a sequence's `n_references`.
    prediction : torch.Tensor, shape (N,)
        f(x).
    reference_prediction : torch.Tensor, shape (N, R)
        f(reference). NaN beyond a sequence's `n_references`.
    standard_error : torch.Tensor, shape (N, L)
        Standard error over references of the contribution at each position; NaN for one reference.
    n_references : torch.Tensor, shape (N,), int64
        Number of references of each sequence.
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
    args: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    options: DeepLiftOptions = DeepLiftOptions(),
) -> DeepLift:
    """Explain one output of a model at base resolution with DeepLIFT.

    Each input element has a multiplier, its share of the change in output divided by its change from the reference.
    Multipliers follow from the output to the input by a chain rule (arXiv 1704.02685, equation 3). Contributions add up
    to f(x) - f(reference).

    Parameters
    ----------
    model : torch.nn.Module or callable, (N, 4, L) [+ args] -> (N, T)
        The model is not modified. It is explained in evaluation mode.
    sequences : torch.Tensor, shape (N, 4, L)
        Bases in the order A, C, G, T; N is a column of zeros. A floating type.
    references : torch.Tensor, shape (N, R, 4, L) or (R, 4, L); callable; or None
        None: dinucleotide shuffles of each sequence. A callable gets `(sequences, n_references, seed)` and returns
        (N, R, 4, L); reference k of a sequence must not depend on their number. If it has a parameter `start=0`, it
        returns the references from `start` on.
    n_references : int or "auto"
        Number of references, if `references` is a callable or None. "auto": ten at a time, for each sequence by
        itself, until its largest standard error is at most `max_relative_error` (0.1) of its largest |contribution|.
    target : int
        Index of the output to explain.
    rule : "rescale", "reveal-cancel" or "genomics"
        Rule for activation functions (arXiv 1704.02685, section 3.5). "genomics": RevealCancel on dense layers and
        Rescale elsewhere. Products have the product rule of arXiv 1605.01713 with each of them.
    args : tuple of torch.Tensor, shape (N, ...)
        Further inputs of the model, the same for a sequence and its references. They get no contributions.
    batch_size : int, optional
        Pairs of sequence and reference at a time. The default depends on the size of the model's activations. It is
        lowered if a batch does not fit into memory. Results do not depend on it beyond rounding.
    device : str or torch.device, optional
        Where to compute; by default where the model is.
    seed : int
        Seed of `references`. Reference k of a sequence depends only on the sequence, k and the seed.
    options : DeepLiftOptions
        Rarely changed options: probability or logit (by default the logit), centring of the first layer, and the limits
        of `n_references="auto"`.

    Returns
    -------
    DeepLift

    Raises
    ------
    SeqliftError
        If an argument is wrong, the model uses an operation without a rule (named with its place in the model), the
        output for a sequence depends on the other rows of its batch or is random, or one pair does not fit into memory.

    Warns
    -----
    UserWarning
        If contributions miss the change in prediction by more than rounding.

    Examples
    --------
    >>> import seqlift, torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(48, 1))
    >>> sequences = torch.eye(4)[torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]])].mT  # ACGTACGTAC
    >>> result = seqlift.deeplift(model, sequences, n_references=5)
    >>> result.contributions.shape
    torch.Size([1, 4, 10])
    >>> change = result.prediction - result.reference_prediction.mean(1)
    >>> torch.allclose(result.contributions.sum((1, 2)), change, atol=1e-5)
    True
    """
    if rule not in RULES:
        raise SeqliftError(f"`rule` (={rule!r}) must be one of {', '.join(RULES)}")
    request = Request.check(sequences, references, n_references, args, seed, options)
    explained = ExplainedModel(model, options.output)

    def chosen(outputs: Tensor) -> Tensor:
        return select(outputs, target)

    def predict(x: Tensor, *extra: Tensor) -> Tensor:
        return chosen(explained(x, *extra))

    def compute(x: Tensor, r: Tensor, extra: tuple[Tensor, ...], rows: int) -> Block:
        return Block(*multipliers(explained, x, r, chosen, extra, rule))

    with in_evaluation_mode(model, device) as where:
        result = DeepLift(**Pairs(request, where, predict, compute, batch_size).explain())
    _warn_if_broken(result, sequences.dtype, where)
    return result


def _warn_if_broken(result: DeepLift, dtype: torch.dtype, where: torch.device) -> None:
    """The rules are complete for every model that they accept: a broken pair is rounding or an error of ours."""
    eps = torch.finfo(dtype).eps
    if where.type == "cuda" and dtype == torch.float32 and torch.backends.cudnn.allow_tf32:
        eps = 2**-10  # of TF32, in which such a GPU computes convolutions unless told not to
    broken = beyond_rounding(result, eps)
    if broken.any():
        row, column = (int(i) for i in broken.nonzero()[0])
        warnings.warn(
            f"the contributions do not add up for {int(broken.sum())} of {int(result.n_references.sum())} pairs of "
            f"sequence and reference, the first being sequence {row} and reference {column}, where they miss the "
            f"change in prediction by {float(result.delta[row, column]):.4g} (`delta`): rounding of very large values "
            "or of a low precision, or else an error in seqlift, which please report",
            stacklevel=3,
        )
