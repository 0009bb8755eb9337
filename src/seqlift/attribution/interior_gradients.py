"""Interior gradients: gradients along the path from a reference to the sequence (arXiv 1611.02639).

At the sequence itself a network is often saturated: its gradient is small exactly where the prediction is certain. The
gradients at interior points r + α (x - r) show where the output rises; their average times (x - r) is the integrated
gradient, and adds up to f(x) - f(r) as precisely as the quadrature resolves the path.
"""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from seqlift.attribution.batches import Pairs, References, Request
from seqlift.attribution.model_state import in_evaluation_mode
from seqlift.attribution.options import InteriorGradientsOptions
from seqlift.attribution.output_layer import ExplainedModel, select
from seqlift.attribution.path import PathGradients, Paths
from seqlift.attribution.references import reference_kind
from seqlift.attribution.totals import Block, broken_completeness, exact_type
from seqlift.errors import SeqliftError

FIRST_STEPS = 16  # with steps="auto"; doubled where they do not resolve a path


@dataclass(frozen=True)
class InteriorGradients:
    """Result of `interior_gradients` for N sequences of length L, at most R references and K steps.

    Tensors lie on the CPU, in float64 for float64 sequences and in float32 for all others.

    Attributes
    ----------
    hypothetical : torch.Tensor, shape (N, 4, L)
        Hypothetical contribution of each of the four bases: the mean over references of Σ_a g[a] · (δ_ab - ref[a]),
        with g the average gradient along the path.
    contributions : torch.Tensor, shape (N, 4, L)
        Hypothetical contribution of the base in the sequence, 0 for the other three.
    delta : torch.Tensor, shape (N, R)
        Completeness delta (f(x) - f(reference)) - Σ g · (x - reference). NaN beyond a sequence's `n_references`.
    prediction : torch.Tensor, shape (N,)
        f(x).
    reference_prediction : torch.Tensor, shape (N, R)
        f(reference). NaN beyond a sequence's `n_references`.
    standard_error : torch.Tensor, shape (N, L)
        Standard error over references of the contribution at each position; NaN for one reference.
    n_references : torch.Tensor, shape (N,), int64
        Number of references of each sequence.
    steps : torch.Tensor, shape (N, R), int64
        Number of gradients in the average of each path; 0 beyond a sequence's `n_references`.
    alphas, weights : torch.Tensor, shape (K,), float64
        Positions of the gradients on the path (0 is the reference, 1 the sequence) and their weights in the average.
        With `steps="auto"`, those of the first attempt, which all paths share.
    path_prediction : torch.Tensor, shape (N, K)
        f along the path, mean over references.
    path_slope : torch.Tensor, shape (N, K)
        df/dα, the sum over bases of gradient · (x - reference), mean over references.
    alpha_half, alpha_90 : torch.Tensor, shape (N,)
        Smallest α at which 50 % and 90 % of the change from mean f(reference) to f(x) are reached on the mean path,
        interpolated linearly; NaN where nothing changes.
    path_gradient_size : torch.Tensor, shape (N, K), or None
        Sum over positions of |gradient · (x - reference)|, mean over references; only with `keep_path`.
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
    """Nodes and weights, shape (K,), float64, for an average over [0, 1]."""
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
    target: int = 0,
    args: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    options: InteriorGradientsOptions = InteriorGradientsOptions(),
) -> InteriorGradients:
    """Explain one output of a model with the gradients along the path from a reference to the sequence.

    The contribution of base b at position i is (x_bi - r_bi) · ∫ ∂f/∂x_bi (r + α (x - r)) dα, from 0 to 1 (arXiv
    1611.02639, equation 2), with a weighted sum over K points for the integral.

    Parameters
    ----------
    model : torch.nn.Module or callable, (N, 4, L) [+ args] -> (N, T)
        The model is not modified. It is explained in evaluation mode.
    sequences : torch.Tensor, shape (N, 4, L)
        Bases in the order A, C, G, T; N is a column of zeros. A floating type.
    references : torch.Tensor, shape (N, R, 4, L) or (R, 4, L); callable; or None
        Where paths start. None: uniform bases, from which one path is enough. A callable gets `(sequences,
        n_references, seed)` and returns (N, R, 4, L); reference k of a sequence must not depend on their number. If it
        has a parameter `start=0`, it returns the references from `start` on.
    n_references : int or "auto"
        Number of references, if `references` is a callable or None. "auto": ten at a time, for each sequence by
        itself, until its largest standard error is at most `max_relative_error` (0.1) of its largest |contribution|.
    steps : int or "auto"
        Points on each path; the completeness delta of a piecewise linear network falls about as 1 / steps. "auto":
        16 to begin with, doubled each time that |delta| of a path is above `step_tolerance` (0.01).
    target : int
        Index of the output to explain.
    args : tuple of torch.Tensor, shape (N, ...)
        Further inputs of the model, the same for a sequence and its references. They get no contributions.
    batch_size : int, optional
        Points (a sequence, a reference, a step) at a time. The default depends on the size of the model's activations.
        It is lowered if a batch does not fit into memory. Results do not depend on it beyond rounding.
    device : str or torch.device, optional
        Where to compute; by default where the model is.
    seed : int
        Seed of `references`. Reference k of a sequence depends only on the sequence, k and the seed.
    options : InteriorGradientsOptions
        Rarely changed options: probability or logit (by default the logit), the quadrature, keeping the gradients along
        the path, gradient correction, centring of the references, and the limits of `n_references` and `steps="auto"`.

    Returns
    -------
    InteriorGradients

    Raises
    ------
    SeqliftError
        If an argument is wrong, the output does not depend on the input, the output for a sequence depends on the other
        rows of its batch or is random, or one point does not fit into memory.

    Examples
    --------
    >>> import seqlift, torch
    >>> from seqlift.attribution.references import uniform
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.GELU(), nn.Flatten(), nn.Linear(48, 1))
    >>> sequences = torch.eye(4)[torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]])].mT  # ACGTACGTAC
    >>> result = seqlift.interior_gradients(model, sequences, uniform, steps=20)
    >>> result.path_prediction.shape
    torch.Size([1, 20])
    >>> bool(result.delta.abs().max() < 1e-5)
    True
    """
    if references is None:
        references = reference_kind("uniform")
    request = Request.check(sequences, references, n_references, args, seed, options)
    levels = _levels(steps, options)
    alphas, weights = quadrature_nodes(levels[0], options.quadrature)
    explained = ExplainedModel(model, options.output)

    def predict(x: Tensor, *extra: Tensor) -> Tensor:
        return select(explained(x, *extra), target)

    along = PathGradients(predict)

    def compute(x: Tensor, r: Tensor, extra: tuple[Tensor, ...], rows: int) -> Block:
        with torch.no_grad():  # on copies: a model may change its input in place
            fx = predict(x.clone(), *(arg.clone() for arg in extra))
            repeated = (arg.repeat_interleave(r.shape[1], 0) for arg in extra)
            fr = predict(r.flatten(0, 1).clone(), *repeated).view(r.shape[:2])
        first = along(Paths(x, r, alphas, weights, extra), n_points=rows, keep=options.keep_path)
        average, taken = first.average, torch.full(r.shape[:2], levels[0])
        for level in levels[1:]:
            again = _unresolved(x, r, average, fx, fr, options.step_tolerance)  # (B, R'), bool
            if not again.any():
                break
            of = again.nonzero()[:, 0]
            nodes = quadrature_nodes(level, options.quadrature)
            some = Paths(x[of], r[again][:, None], *nodes, tuple(arg[of] for arg in extra))
            average[again] = along(some, n_points=rows).average[:, 0]
            taken[again.cpu()] = level
        path = {"path_prediction": first.prediction, "path_slope": first.slope}
        if first.moved is not None:
            path |= {"path_gradient_size": first.moved.abs().sum(-1), "path_gradient": first.moved}
        if not options.gradient_correction:
            return Block(average, fx, fr, path, taken)
        delta = _change(fx, fr) - _sum_of_contributions(x, r, average)
        return Block(_corrected(x, r, average), fx, fr, path, taken, delta=delta)

    with in_evaluation_mode(
        model, device, look_inside=False
    ) as where:  # gradients also come out of what hides its operations
        fields = Pairs(request, where, predict, compute, batch_size, points=levels[0]).explain()
    result = InteriorGradients(**fields, **_milestones(fields, alphas), alphas=alphas, weights=weights)
    _warn_if_incomplete(result, options.step_tolerance if steps == "auto" else _LARGE_DELTA)
    return result


_LARGE_DELTA = 0.1  # as a share of what is explained; 50 points on paths of ReLU networks leave 0.01


def _warn_if_incomplete(result: InteriorGradients, tolerance: float) -> None:
    broken = broken_completeness(result, tolerance)
    if broken.any():
        row, column = (int(i) for i in broken.nonzero()[0])
        warnings.warn(
            f"the contributions of {int(broken.sum())} of {int(result.n_references.sum())} paths miss the change in "
            f"prediction by more than {tolerance:.4g} of it, the first that of sequence {row} and reference {column}, "
            f"by {float(result.delta[row, column]):.4g} (`delta`): take more `steps`; if that does not help, part of "
            "the model has no gradient (`detach`, `round`, NumPy), or jumps",
            stacklevel=3,
        )


def _levels(steps: int | str, options: InteriorGradientsOptions) -> list[int]:
    """The numbers of steps to try, one after the other."""
    if steps != "auto":
        return [cast(int, steps)]  # other words are refused with the nodes
    if options.max_steps < 1:
        raise SeqliftError(f"`max_steps` (={options.max_steps}) must be at least 1")
    if not options.step_tolerance > 0:
        raise SeqliftError(f"`step_tolerance` (={options.step_tolerance}) must be positive")
    levels = [min(FIRST_STEPS, options.max_steps)]
    while levels[-1] < options.max_steps:
        levels.append(min(2 * levels[-1], options.max_steps))
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
    """Average gradients minus their mean over the four bases, where references and sequence have different sums."""
    apart = x.sum(1)[:, None] - r.sum(2)  # (B, R', L)
    differ = apart.abs() > torch.finfo(apart.dtype).eps ** 0.5
    return average - (average.mean(2) * differ)[:, :, None]


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
