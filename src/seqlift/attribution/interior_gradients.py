"""Interior gradients: what the model's gradient says on the way from the reference to the sequence (arXiv 1611.02639).

At the sequence itself a network is often saturated: its gradient is small exactly where it is sure. The gradients at
interior points r + α (x - r) show where the score is won; their average times (x - r) is the integrated gradient, and
adds up to f(x) - f(r) as well as the quadrature resolves the path.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from seqlift.attribution.batches import References, Request, explain_pairs
from seqlift.attribution.model_state import in_evaluation_mode
from seqlift.attribution.output_layer import ExplainedModel, select
from seqlift.attribution.path import PathGradients
from seqlift.attribution.totals import Block, exact_type
from seqlift.errors import SeqliftError

FIRST_STEPS = 16  # of steps="auto"; doubled where they do not resolve a path


@dataclass(frozen=True)
class InteriorGradients:
    """What `interior_gradients` found; N sequences of length L, R references, K steps. Tensors lie on the CPU.

    Attributes
    ----------
    hypothetical, contributions, delta, prediction, reference_prediction, standard_error, n_references
        As in `seqlift.DeepLift`, with the average gradient along the path for the multipliers.
    steps : torch.Tensor, shape (N, R), int64
        How many gradients the average of each path was made from (0 where a sequence has fewer references).
    alphas, weights : torch.Tensor, shape (K,), float64
        Where on the path the gradient was taken (0 is the reference, 1 the sequence), and its weight in the average.
        With `steps="auto"` those of the first attempt, which all paths have in common.
    path_prediction : torch.Tensor, shape (N, K)
        f along the path, mean over references.
    path_slope : torch.Tensor, shape (N, K)
        df/dα: the sum over bases of gradient · (x - reference), mean over references.
    alpha_half, alpha_90 : torch.Tensor, shape (N,)
        The smallest α at which half, and 90 %, of the change from mean f(reference) to f(x) has happened on the mean
        path, linearly between the points where f is known; NaN where nothing changes.
    path_gradient_size : torch.Tensor, shape (N, K), or None
        The sum over positions of |gradient · (x - reference)|, mean over references; only with `keep_path`.
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
    steps: Tensor
    alphas: Tensor
    weights: Tensor
    path_prediction: Tensor
    path_slope: Tensor
    alpha_half: Tensor
    alpha_90: Tensor
    path_gradient_size: Tensor | None = None
    path_gradient: Tensor | None = None


@functools.lru_cache(maxsize=32)
def _nodes(steps: int, quadrature: str) -> tuple[Tensor, Tensor]:
    if quadrature == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
    return (torch.arange(steps, dtype=torch.float64) + 0.5) / steps, torch.full(
        (steps,), 1 / steps, dtype=torch.float64
    )


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

    Raises
    ------
    SeqliftError
        If there is no step, or no such quadrature.
    """
    if isinstance(steps, bool | str) or steps != int(steps) or steps < 1:
        raise SeqliftError(f'`steps` (={steps!r}) must be a whole number, at least 1, or "auto"')
    if quadrature not in ("gauss-legendre", "midpoint"):
        raise SeqliftError(f'`quadrature` (={quadrature!r}) must be "gauss-legendre" or "midpoint"')
    alphas, weights = _nodes(int(steps), quadrature)
    return alphas.clone(), weights.clone()


def interior_gradients(
    model: Callable,
    sequences: Tensor,
    references: References = None,
    *,
    n_references: int | str = 1,
    steps: int | str = 50,
    quadrature: str = "gauss-legendre",
    tolerance: float = 0.01,
    max_steps: int = 1000,
    target: int = 0,
    keep_path: bool = False,
    gradient_correction: bool = False,
    output: str = "logit",
    center_first_layer: bool = False,
    max_relative_error: float = 0.1,
    max_references: int = 200,
    args: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> InteriorGradients:
    """Explain one output of a model with the gradients along the path from reference to sequence (arXiv 1611.02639).

    The contribution of base b at position i is (x_bi - r_bi) · ∫ ∂f/∂x_bi (r + α (x - r)) dα, from 0 to 1, with a
    weighted sum over K points for the integral.

    Parameters
    ----------
    model, sequences, references, n_references, target, output, center_first_layer, max_relative_error, max_references
        As in `seqlift.deeplift`.
    steps : int or "auto"
        Points on each path; the completeness delta of a network of straight pieces falls about as 1 / steps. "auto":
        as many as each path needs, 16 to begin with and twice as many each time that |delta| is above `tolerance`.
    quadrature : "gauss-legendre" or "midpoint"
        Where the points lie and what they weigh.
    tolerance : float
        Of "auto": the largest |delta| as a share of |f(x) - f(reference)|, beyond the rounding of the floating type.
    max_steps : int
        Of "auto": no more than so many; the delta then says what is left.
    keep_path : bool
        Keep the gradient of every position at every step: N × K × L numbers, and the work of the first layer at each.
    gradient_correction : bool
        Subtract from the average gradient its mean over the four bases, wherever the reference does not sum to what the
        sequence sums to, as zeros do not (Majdandzic et al., Genome Biology 24:109, 2023). It has no effect elsewhere.
        `delta` is that of the gradient before.
    args, device, seed
        As in `seqlift.deeplift`.
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
    levels = _levels(steps, max_steps, tolerance)
    alphas, weights = quadrature_nodes(levels[0], quadrature)
    explained = ExplainedModel(model, output)

    def predict(x: Tensor, *extra: Tensor) -> Tensor:
        return select(explained(x, *extra), target)

    along = PathGradients(predict)

    def compute(x: Tensor, r: Tensor, extra: tuple[Tensor, ...], rows: int) -> Block:
        with torch.no_grad():  # on copies: a model may change its input in place
            fx = predict(x.clone(), *(arg.clone() for arg in extra))
            repeated = (arg.repeat_interleave(r.shape[1], 0) for arg in extra)
            fr = predict(r.flatten(0, 1).clone(), *repeated).view(r.shape[:2])
        first = along(x, r, alphas, weights, extra, n_points=rows, keep=keep_path)
        average, taken = first.average, torch.full(r.shape[:2], levels[0])
        for level in levels[1:]:
            again = _unresolved(x, r, average, fx, fr, tolerance)  # (B, R'), bool
            if not again.any():
                break
            of = again.nonzero()[:, 0]
            nodes = quadrature_nodes(level, quadrature)
            some = x[of], r[again][:, None], *nodes, tuple(arg[of] for arg in extra)
            average[again] = along(*some, n_points=rows).average[:, 0]
            taken[again.cpu()] = level
        path = {"path_prediction": first.prediction, "path_slope": first.slope}
        if first.moved is not None:
            path |= {"path_gradient_size": first.moved.abs().sum(-1), "path_gradient": first.moved}
        if not gradient_correction:
            return Block(average, fx, fr, path, taken)
        delta = _change(fx, fr) - _sum_of_contributions(x, r, average)
        return Block(_corrected(x, r, average), fx, fr, path, taken, delta=delta)

    with in_evaluation_mode(
        model, device, look_inside=False
    ) as where:  # gradients also come out of what hides its operations
        fields = explain_pairs(request, where, predict, compute, batch_size, points=levels[0])
    return InteriorGradients(**fields, **_milestones(fields, alphas), alphas=alphas, weights=weights)


def _levels(steps: int | str, max_steps: int, tolerance: float) -> list[int]:
    """How many steps to try, one after the other."""
    if steps != "auto":
        return [cast(int, steps)]  # other words are refused with the nodes
    if max_steps < 1:
        raise SeqliftError(f"`max_steps` (={max_steps}) must be at least 1")
    if not tolerance > 0:
        raise SeqliftError(f"`tolerance` (={tolerance}) must be positive")
    levels = [min(FIRST_STEPS, max_steps)]
    while levels[-1] < max_steps:
        levels.append(min(2 * levels[-1], max_steps))
    return levels


def _change(fx: Tensor, fr: Tensor) -> Tensor:
    """f(x) - f(reference), (B, R')."""
    exact = exact_type(fx.device)
    return fx.to(exact)[:, None] - fr.to(exact)


def _sum_of_contributions(x: Tensor, r: Tensor, average: Tensor) -> Tensor:
    return (average * (x[:, None] - r)).to(exact_type(x.device)).sum((2, 3))  # (B, R')


def _unresolved(x: Tensor, r: Tensor, average: Tensor, fx: Tensor, fr: Tensor, tolerance: float) -> Tensor:
    """Pairs whose delta is larger than `tolerance` times their change, and than rounding explains: (B, R'), bool."""
    change = _change(fx, fr)
    delta = change - _sum_of_contributions(x, r, average)
    size = torch.maximum(fx.abs()[:, None], fr.abs()) + (average * (x[:, None] - r)).abs().sum((2, 3))
    return delta.abs() > tolerance * change.abs() + 16 * torch.finfo(average.dtype).eps * size


def _corrected(x: Tensor, r: Tensor, average: Tensor) -> Tensor:
    """Without the component that leads off the plane in which the four bases of a position have their sum."""
    apart = x.sum(1)[:, None] - r.sum(2)  # (B, R', L)
    off_plane = apart.abs() > torch.finfo(apart.dtype).eps ** 0.5
    return average - (average.mean(2) * off_plane)[:, :, None]


def _milestones(fields: dict[str, Tensor], alphas: Tensor) -> dict[str, Tensor]:
    """`alpha_half` and `alpha_90`."""
    start, end = fields["reference_prediction"].double().nanmean(1), fields["prediction"].double()
    f = torch.cat([start[:, None], fields["path_prediction"].double(), end[:, None]], 1)  # (N, K + 2)
    at = torch.cat([alphas.new_zeros(1), alphas, alphas.new_ones(1)])
    change = end - start
    rounding = 16 * torch.finfo(fields["prediction"].dtype).eps * torch.maximum(start.abs(), end.abs())
    done = (f - start[:, None]) / torch.where(change.abs() > rounding, change, torch.nan)[:, None]
    return {
        name: _first_crossing(at, done, share).to(fields["prediction"].dtype)
        for name, share in (("alpha_half", 0.5), ("alpha_90", 0.9))
    }


def _first_crossing(at: Tensor, values: Tensor, level: float) -> Tensor:
    """Where values (N, M), that start at 0 and end at 1 (or are NaN), first reach `level`: (N,)."""
    after = (values >= level).int().argmax(1).clamp(min=1)[:, None]
    low, high = values.gather(1, after - 1)[:, 0], values.gather(1, after)[:, 0]
    before, there = at[after[:, 0] - 1], at[after[:, 0]]
    return before + (there - before) * (level - low) / (high - low)
