"""DeepLIFT: contributions as differences from references (arXiv 1605.01713; newer version 1704.02685).

A base's contribution is its multiplier times its difference from the reference, and the contributions of a sequence add
up to the difference of the two predictions. The sequence is run once, its references once, and one backward pass
through the references gathers the multipliers of all pairs: R + 1 rows forward and R back for R references.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqlift.attribution.batches import References, Request, Totals, default_batch_size, select
from seqlift.attribution.borrow import borrowed
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


def deeplift(
    model: Callable,
    sequences: Tensor,
    references: References = None,
    *,
    n_references: int = 20,
    target: int = 0,
    rule: str = "rescale",
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
    rule : "rescale"
        Of arXiv 1704.02685; products by the product rule of 1605.01713.
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
    if rule != "rescale":
        raise SeqliftError(f'`rule` (={rule!r}) must be "rescale"')
    request = Request.check(sequences, references, n_references, args, seed)
    totals = Totals(request)
    with borrowed(model, device) as where:
        n_pairs = batch_size or default_batch_size(where, sequences.shape[-1])
        for rows, columns, x, r, extra in request.batches(n_pairs, where):
            m, fx, fr = multipliers(model, x, r, lambda output: select(output, target), extra)
            totals.add(rows, columns, x, r, m, fx, fr)
    return DeepLift(**totals.result())
