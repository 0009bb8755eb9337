"""DeepLIFT: contributions as differences from references (arXiv 1605.01713; newer version 1704.02685).

A base's contribution is its multiplier times its difference from the reference, and the contributions of a sequence add
up to the difference of the two predictions. The sequence is run once, its references once, and one backward pass
through the references gathers the multipliers of all pairs: R + 1 rows forward and R back for R references.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlift.attribution.batches import References, Request, explain_pairs
from seqlift.attribution.borrow import borrowed
from seqlift.attribution.output import Explained, select
from seqlift.attribution.rules import RULES
from seqlift.attribution.totals import Block
from seqlift.attribution.trace import multipliers
from seqlift.errors import SeqliftError


@dataclass(frozen=True)
class DeepLift:
    """What `deeplift` found; N sequences of length L, R references each. Tensors lie on the CPU.

    Attributes
    ----------
    hypothetical : torch.Tensor, shape (N, 4, L)
        What each base would contribute: mean over references of Σ_a m[a] · (δ_ab - ref[a]).
    contributions : torch.Tensor, shape (N, 4, L)
        The hypothetical contribution of the base that is there.
    delta : torch.Tensor, shape (N, R)
        Completeness delta: (f(x) - f(reference)) - Σ m · (x - reference), over all bases.
    prediction : torch.Tensor, shape (N,)
    reference_prediction : torch.Tensor, shape (N, R)
    standard_error : torch.Tensor, shape (N, L)
        Of the contribution at each position, over references; NaN for one reference.
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
    error_share: float = 0.1,
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
        A callable is given `(sequences, n_references, seed)` and returns (N, R, 4, L). None: dinucleotide shuffles.
    n_references : int
        How many, where `references` is a callable or None.
    target : int
        Which output to explain. Where the output is a probability, let the model return its logit.
    rule : "rescale", "reveal-cancel" or "genomics"
        For activation functions, of arXiv 1704.02685; `genomics` is RevealCancel on dense layers and Rescale elsewhere.
        Products by the product rule of 1605.01713, whatever the rule.
    args : tuple of torch.Tensor, shape (N, ...)
        Further inputs of the model, the same for a sequence and its references; they receive no contributions.
    batch_size : int, optional
        Pairs of sequence and reference at a time. Results do not depend on it beyond rounding.
    device : str or torch.device, optional
        Where to compute; by default where the model is.
    seed : int
        Of the shuffles.

    Returns
    -------
    DeepLift

    Raises
    ------
    SeqliftError
        If an argument is wrong, or the model uses an operation that cannot be explained (named with its place).
    """
    if rule not in RULES:
        raise SeqliftError(f"`rule` (={rule!r}) must be one of {', '.join(RULES)}")
    request = Request.check(
        sequences,
        references,
        n_references,
        args,
        seed,
        error_share=error_share,
        max_references=max_references,
        center_first_layer=center_first_layer,
    )
    explained = Explained(model, output)

    def chosen(outputs: Tensor) -> Tensor:
        return select(outputs, target)

    def predict(x: Tensor, *extra: Tensor) -> Tensor:
        return chosen(explained(x, *extra))

    def compute(x: Tensor, r: Tensor, extra: tuple[Tensor, ...], rows: int) -> Block:
        return Block(*multipliers(explained, x, r, chosen, extra, rule))

    with borrowed(model, device) as where:
        return DeepLift(**explain_pairs(request, where, predict, compute, batch_size))
