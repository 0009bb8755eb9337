"""Interior gradients: what the model's gradient says on the way from the reference to the sequence (arXiv 1611.02639).

At the sequence itself a network is often saturated: its gradient is small exactly where it is sure. The gradients at
interior points r + α (x - r) show where the score is won; their average times (x - r) is the integrated gradient, and
adds up to f(x) - f(r) as well as the quadrature resolves the path.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqlift.attribution.batches import References, Request, explain_pairs
from seqlift.attribution.borrow import borrowed
from seqlift.attribution.output import Explained, select
from seqlift.attribution.totals import Block
from seqlift.errors import SeqliftError


@dataclass(frozen=True)
class InteriorGradients:
    """What `interior_gradients` found; N sequences of length L, R references, K steps. Tensors lie on the CPU.

    Attributes
    ----------
    hypothetical, contributions, delta, prediction, reference_prediction, standard_error
        As in `seqlift.DeepLift`, with the average gradient along the path for the multipliers.
    alphas, weights : torch.Tensor, shape (K,), float64
        Where on the path the gradient was taken (0 is the reference, 1 the sequence), and its weight in the average.
    path_prediction : torch.Tensor, shape (N, K)
        f along the path, mean over references.
    path_slope : torch.Tensor, shape (N, K)
        df/dα: the sum over bases of gradient · (x - reference), mean over references.
    path_gradient_size : torch.Tensor, shape (N, K)
        The sum over positions of |gradient · (x - reference)|, mean over references.
    path_gradient : torch.Tensor, shape (N, K, L), or None
        gradient · (x - reference) at each position, mean over references; only with `keep_path`.
    """

    hypothetical: Tensor
    contributions: Tensor
    delta: Tensor
    prediction: Tensor
    reference_prediction: Tensor
    standard_error: Tensor
    n_references: Tensor
    alphas: Tensor
    weights: Tensor
    path_prediction: Tensor
    path_slope: Tensor
    path_gradient_size: Tensor
    path_gradient: Tensor | None


def quadrature_nodes(steps: int, quadrature: str = "gauss-legendre") -> tuple[Tensor, Tensor]:
    """Nodes and weights for an average over [0, 1].

    Parameters
    ----------
    steps : int
    quadrature : "gauss-legendre" or "midpoint"
        The midpoint rule is the evenly spaced sum of arXiv 1611.02639.

    Returns
    -------
    alphas, weights : torch.Tensor, shape (K,), float64
    """
    if steps < 1:
        raise SeqliftError(f"`steps` (={steps}) must be at least 1")
    if quadrature == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
    if quadrature == "midpoint":
        return (torch.arange(steps, dtype=torch.float64) + 0.5) / steps, torch.full((steps,), 1 / steps).double()
    raise SeqliftError(f'`quadrature` (={quadrature!r}) must be "gauss-legendre" or "midpoint"')


def interior_gradients(
    model: Callable,
    sequences: Tensor,
    references: References = None,
    *,
    n_references: int = 1,
    steps: int = 50,
    quadrature: str = "gauss-legendre",
    target: int = 0,
    keep_path: bool = False,
    args: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> InteriorGradients:
    """Explain one output of a model with the gradients along the path from reference to sequence.

    Parameters
    ----------
    model, sequences, references, n_references, target, args, device, seed
        As in `seqlift.deeplift`.
    steps : int
        Points on each path; the completeness delta of a network of straight pieces falls about as 1 / steps.
    quadrature : "gauss-legendre" or "midpoint"
        Where the points lie and what they weigh.
    keep_path : bool
        Keep the gradient of every position at every step: N × K × L numbers.
    batch_size : int, optional
        Points (a sequence, a reference, a step) at a time.

    Returns
    -------
    InteriorGradients

    Raises
    ------
    SeqliftError
        If an argument is wrong, or the model's output does not depend on its input.
    """
    request = Request.check(sequences, references, n_references, args, seed)
    alphas, weights = quadrature_nodes(steps, quadrature)
    explained = Explained(model)

    def predict(x: Tensor, *extra: Tensor) -> Tensor:
        return select(explained(x, *extra), target)

    def compute(x: Tensor, r: Tensor, extra: tuple[Tensor, ...], rows: int) -> Block:
        average, path = torch.zeros_like(r), []
        with torch.no_grad():
            fx = predict(x, *extra)
            repeated = tuple(arg.repeat_interleave(r.shape[1], 0) for arg in extra)
            fr = predict(r.flatten(0, 1), *repeated).view(r.shape[:2])
        at_once = max(1, rows // (len(x) * r.shape[1]))
        for some, weight in zip(alphas.split(at_once), weights.to(r.device, r.dtype).split(at_once), strict=True):
            f, gradient = _along_path(predict, x, r, some, extra)  # (B, R', K'), (B, R', K', 4, L)
            average += torch.einsum("brkal,k->bral", gradient, weight)
            moved = (gradient * (x[:, None] - r)[:, :, None]).sum(3)  # (B, R', K', L)
            summaries = {
                "path_prediction": f,
                "path_slope": moved.sum(-1),
                "path_gradient_size": moved.abs().sum(-1),
            }
            path.append(summaries | {"path_gradient": moved} if keep_path else summaries)
        path = {name: torch.cat([part[name] for part in path], 2) for name in path[0]}
        return Block(average, fx, fr, path)

    with borrowed(model, device) as where:
        fields = explain_pairs(request, where, predict, compute, batch_size, points=steps)
    if not keep_path:
        fields["path_gradient"] = None
    return InteriorGradients(**fields, alphas=alphas, weights=weights)


def _along_path(
    predict: Callable, x: Tensor, r: Tensor, alphas: Tensor, args: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """f (B, R, K) and its gradient (B, R, K, 4, L) at the points r + α (x - r)."""
    alpha = alphas.to(r.device, r.dtype)[:, None, None]
    points = r[:, :, None] + alpha * (x[:, None] - r)[:, :, None]  # (B, R, K, 4, L)
    leaf = points.flatten(0, 2).requires_grad_()
    repeated = tuple(arg.repeat_interleave(len(leaf) // len(x), 0) for arg in args)
    with torch.enable_grad():
        f = predict(leaf, *repeated)
        if not f.requires_grad:
            raise SeqliftError(
                "the model's output has no gradient with respect to its input (detached inside the model?)"
            )
        (gradient,) = torch.autograd.grad(f.sum(), leaf)
    return f.detach().view(points.shape[:3]), gradient.view(points.shape)
