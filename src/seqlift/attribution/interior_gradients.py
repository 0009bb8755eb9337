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

from seqlift.attribution.batches import References, Request, Totals, default_batch_size, select
from seqlift.attribution.borrow import borrowed
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
    n, _, length = sequences.shape
    totals = Totals(request)
    shape = (n, steps)
    path = {name: torch.zeros(shape) for name in ("path_prediction", "path_slope", "path_gradient_size")}
    path_gradient = torch.zeros(n, steps, length) if keep_path else None
    with borrowed(model, device) as where:
        n_points = batch_size or default_batch_size(where, length)
        for rows, columns, x, r, extra in request.batches(max(1, n_points // steps), where):
            average = torch.zeros_like(r)
            share = (columns.stop - columns.start) / request.n_references
            with torch.no_grad():
                fx = select(model(x, *extra), target)
                repeated = tuple(arg.repeat_interleave(r.shape[1], 0) for arg in extra)
                fr = select(model(r.flatten(0, 1), *repeated), target).view(r.shape[:2])
            at_once = max(1, n_points // (len(x) * r.shape[1]))
            for first in range(0, steps, at_once):
                chosen = slice(first, min(first + at_once, steps))
                f, gradient = _along_path(model, x, r, alphas[chosen], target, extra)  # (B, R', K'), (B, R', K', 4, L)
                weight = weights[chosen].to(where, r.dtype)
                average += torch.einsum("brkal,k->bral", gradient, weight)
                moved = (gradient * (x[:, None] - r)[:, :, None]).sum(3).mean(1)  # (B, K', L)
                path["path_prediction"][rows, chosen] += (f.mean(1) * share).cpu()
                path["path_slope"][rows, chosen] += (moved.sum(-1) * share).cpu()
                path["path_gradient_size"][rows, chosen] += (moved.abs().sum(-1) * share).cpu()
                if keep_path:
                    path_gradient[rows, chosen] += (moved * share).cpu()
            totals.add(rows, columns, x, r, average, fx, fr)
    return InteriorGradients(**totals.result(), alphas=alphas, weights=weights, **path, path_gradient=path_gradient)


def _along_path(
    model: Callable, x: Tensor, r: Tensor, alphas: Tensor, target: int, args: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """f (B, R, K) and its gradient (B, R, K, 4, L) at the points r + α (x - r)."""
    alpha = alphas.to(r.device, r.dtype)[:, None, None]
    points = r[:, :, None] + alpha * (x[:, None] - r)[:, :, None]  # (B, R, K, 4, L)
    leaf = points.flatten(0, 2).requires_grad_()
    repeated = tuple(arg.repeat_interleave(len(leaf) // len(x), 0) for arg in args)
    with torch.enable_grad():
        f = select(model(leaf, *repeated), target)
        if not f.requires_grad:
            raise SeqliftError(
                "the model's output has no gradient with respect to its input (detached inside the model?)"
            )
        (gradient,) = torch.autograd.grad(f.sum(), leaf)
    return f.detach().view(points.shape[:3]), gradient.view(points.shape)
