"""Deletion and insertion curves: does the output follow the bases that the scores call important?

Deletion replaces the k bases with the largest contributions by those of a reference, insertion puts them alone into the
reference. Let f(s) be the output when a share s of the bases has been treated. Scores that are true make f fall at once
on deletion, and rise at once on insertion; with bases in random order it takes much longer. So the area between the two
curves says how much better than chance the order is:

    deletion area = ∫ (f_random(s) - f(s)) ds / (f(x) - f(reference))
    insertion area = ∫ (f(s) - f_random(s)) ds / (f(x) - f(reference))

both with s from 0 to 1, and positive where the order is better than a random one. Over regions, numerator and
denominator are summed up before they are divided: a region in which there is next to nothing to explain then counts for
next to nothing, instead of dividing by it. The order is that of the signed contributions, because a base that speaks
against the output must not be counted as one that makes it.

References are of the kind that the method used, but newly drawn, so that no method is evaluated on the references
that it was fitted to. Area under such curves: Samek et al., IEEE TNNLS 28:2660 (2017); Petsiuk et al., BMVC (2018).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqlift.attribution.batch_size import BatchSize, default_batch_size, in_batches
from seqlift.attribution.explained_output import ExplainedOutput
from seqlift.attribution.model_state import in_evaluation_mode
from seqlift.attribution.references import Kind, base_codes
from seqlift.core.metrics import LEVEL, RESAMPLES
from seqlift.data.shuffle import sequence_keys

# Dense where the curves bend: the site of one factor is 2 to 5 % of a region
SHARES = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6, 0.8, 1)
REFERENCES = 3  # of each region: regions differ much more than the references of one do
RANDOM_ORDERS = 3
SHUFFLES = "dinucleotide"  # the kind with which every method is judged too, so that methods can be compared


@dataclass(frozen=True)
class Curves:
    """f of N regions at each of the S shares of `SHARES`, mean over references (and over random orders).

    Attributes
    ----------
    deletion, insertion : numpy.ndarray, shape (N, S), float64
        In units of the output. The first column of `deletion` is f(x), its last one f(reference), those of `insertion`
        the other way round.
    """

    deletion: np.ndarray
    insertion: np.ndarray


class Estimate(NamedTuple):
    """A number over regions with the ends of its 95 % bootstrap interval; NaN where it cannot be told."""

    value: float
    low: float
    high: float


def order_ranks(scores: np.ndarray, sequences: Tensor, seed: int) -> np.ndarray:
    """The place of each base when those with the largest scores come first.

    Parameters
    ----------
    scores : numpy.ndarray, shape (N, L)
    sequences : torch.Tensor, shape (N, 4, L), one-hot, N all zeros
    seed : int
        Bases of equal score come in random order, or the order would be that of the positions.

    Returns
    -------
    numpy.ndarray, shape (N, 1, L), int64
        0 for the largest score; N come last.
    """
    return _ranks(scores[:, None], _random_numbers(sequences, 1, seed), sequences)


def random_ranks(sequences: Tensor, n: int, seed: int) -> np.ndarray:
    """Ranks of the bases in n random orders, each a function of the sequence (4, L) and the seed: (N, n, L), int64."""
    numbers = _random_numbers(sequences, n + 1, seed)[:, 1:]  # the first ones break ties of scores
    return _ranks(np.zeros_like(numbers), numbers, sequences)


def _random_numbers(sequences: Tensor, n: int, seed: int) -> np.ndarray:
    keys = sequence_keys(base_codes(sequences), seed)
    return np.stack([np.random.default_rng(int(key)).random((n, sequences.shape[2])) for key in keys])


def _ranks(scores: np.ndarray, ties: np.ndarray, sequences: Tensor) -> np.ndarray:
    unknown = np.broadcast_to((sequences == 0).all(1).numpy()[:, None], scores.shape)
    return np.argsort(np.lexsort((ties, -scores, unknown), axis=-1), axis=-1)


def ablation_curves(
    output: ExplainedOutput,
    sequences: Tensor,
    references: Kind,
    orders: dict[str, np.ndarray],
    *,
    n_references: int,
    seed: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[str, Curves]:
    """Delete and insert the bases of each sequence in several orders.

    Parameters
    ----------
    output : ExplainedOutput
        f. Weights of a profile stay those of the whole sequence.
    sequences : torch.Tensor, shape (N, 4, L)
    references : callable
        A kind of reference (`seqlift.attribution.references`).
    orders : dict of numpy.ndarray, each of shape (N, Q, L)
        By name the ranks of the bases in Q orders. Order q of a region is taken with reference q, and where there are
        more of the ones than of the others, these are taken again from the first on.
    n_references : int
    seed : int
        Of the references.
    device : torch.device
    advance : callable
        Told of each sequence that is done.

    Returns
    -------
    dict of Curves
        By the name of the order.
    """
    found = {name: np.empty((2, len(sequences), len(SHARES))) for name in orders}
    args = output.args(sequences, device)
    with in_evaluation_mode(output.module, device, look_inside=False) as where, torch.no_grad():

        def predict(x: Tensor, *extra: Tensor) -> Tensor:
            return output.module(x, *extra)[:, output.target]

        first = sequences[:1].to(where), tuple(arg[:1].to(where) for arg in args)
        size = BatchSize(default_batch_size(predict, *first))
        for i, sequence in enumerate(sequences):
            drawn = references(sequence[None], n_references, seed)[0].to(where)  # (R, 4, L)
            extra = tuple(arg[i : i + 1].to(where) for arg in args)
            ranks = {name: _paired(of[i], len(drawn)) for name, of in orders.items()}
            values = _ablate(predict, sequence.to(where), drawn, np.concatenate(list(ranks.values())), extra, size)
            done = 0
            for name, pairs in ranks.items():
                found[name][:, i] = values[:, done : done + len(pairs)].mean(1)
                done += len(pairs)
            advance(1)
    return {name: Curves(*both) for name, both in found.items()}


def _paired(ranks: np.ndarray, n_references: int) -> np.ndarray:
    """Ranks (Q, L) for a whole number of rounds through the references: (P, L); reference p % R belongs to pair p."""
    pairs = n_references * -(-len(ranks) // n_references)
    return ranks[np.arange(pairs) % len(ranks)]


def _ablate(
    predict: Callable[..., Tensor],
    x: Tensor,
    references: Tensor,
    ranks: np.ndarray,
    args: tuple[Tensor, ...],
    size: BatchSize,
) -> np.ndarray:
    """Deletion and insertion of x (4, L) for P pairs of order and reference (R, 4, L): (2, P, S)."""
    known = int((x != 0).any(0).sum())
    inner = SHARES[1:-1]
    counts = torch.tensor([round(share * known) for share in inner], device=x.device)
    places = torch.from_numpy(ranks).to(x.device)  # (P, L)
    shape = (2, len(ranks), len(inner))
    own = torch.arange(len(ranks)) % len(references)  # the reference of each pair

    def treated(some: Tensor) -> Tensor:
        inserted, pair, share = torch.unravel_index(some, shape)
        chosen = places[pair] < counts[share][:, None]  # (B, L)
        kept = torch.where(inserted.bool()[:, None], chosen, ~chosen)
        return torch.where(kept[:, None], x, references[own.to(x.device)[pair]])  # (B, 4, L)

    def ask(make: Callable[[Tensor], Tensor], n: int) -> Tensor:
        """f of n rows that `make` puts together from their numbers, (n,)."""

        def predicted(some: Tensor) -> Tensor:
            return predict(make(some), *(arg.expand(len(some), *arg.shape[1:]) for arg in args))

        return in_batches(predicted, torch.arange(n, device=x.device), size).cpu().double()

    ends = ask(lambda some: torch.cat([x[None], references])[some], 1 + len(references))
    whole, gone = ends[:1].expand(len(ranks)), ends[1:][own]  # nothing treated, everything treated
    between = ask(treated, math.prod(shape)).reshape(shape)
    deletion = torch.cat([whole[:, None], between[0], gone[:, None]], 1)
    insertion = torch.cat([gone[:, None], between[1], whole[:, None]], 1)
    return torch.stack([deletion, insertion]).numpy()


def change(curves: Curves) -> np.ndarray:
    """f(x) - mean f(reference) of each region, (N,): what there is to lose and to win."""
    return curves.deletion[:, 0] - curves.deletion[:, -1]


def areas(curves: Curves) -> tuple[np.ndarray, np.ndarray]:
    """∫ (f(s) - f(reference)) ds of the deletion and the insertion curve of each region, by trapezoids: two of (N,)."""
    base = curves.deletion[:, -1:]
    return tuple(np.trapezoid(f - base, SHARES, axis=1) for f in (curves.deletion, curves.insertion))


def areas_beyond(curves: Curves, random: Curves, seed: int) -> tuple[Estimate, Estimate]:
    """Deletion and insertion area: between an order and the random ones, as a share of the change (see above).

    Parameters
    ----------
    curves, random : Curves
        Of the same regions and references.
    seed : int
        Of the bootstrap over regions.
    """
    (deleted, inserted), (by_chance, by_chance_inserted) = areas(curves), areas(random)
    whole = change(random)
    return share_of(by_chance - deleted, whole, seed), share_of(inserted - by_chance_inserted, whole, seed)


def share_of(parts: np.ndarray, whole: np.ndarray, seed: int) -> Estimate:
    """Σ parts / Σ whole over regions, each (N,), with the percentile bootstrap over regions.

    NaN where the whole is not clearly above 0, that is, in every bootstrap sample: a share of what may as well be
    nothing can be any number.
    """
    n = len(whole)
    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    sums = whole[drawn].sum(1)
    if not whole.sum() > 0 or not (sums > 0).all():
        return Estimate(np.nan, np.nan, np.nan)
    value = float(parts.sum() / whole.sum())
    low, high = np.quantile(parts[drawn].sum(1) / sums, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def normalised(f: np.ndarray, curves: Curves) -> tuple[np.ndarray, np.ndarray]:
    """A curve as a share of the change, over all regions, and its standard error.

    Parameters
    ----------
    f : numpy.ndarray, shape (N, S)
        Deletion or insertion curve of each region.
    curves : Curves
        Which it belongs to.

    Returns
    -------
    mean, standard_error : numpy.ndarray, shape (S,)
        1 is f(x), 0 f(reference). The error is that of a ratio of two means over regions, to first order; NaN for one
        region. All NaN where f(x) is not above f(reference).
    """
    part, whole = f - curves.deletion[:, -1:], change(curves)[:, None]
    n = len(part)
    if not n or not whole.sum() > 0:
        return np.full(f.shape[1], np.nan), np.full(f.shape[1], np.nan)
    mean = part.sum(0) / whole.sum()
    if n == 1:
        return mean, np.full(f.shape[1], np.nan)
    rest = part - mean * whole
    return mean, np.sqrt((rest**2).sum(0) / (n * (n - 1))) / whole.mean()


def half_way(mean: np.ndarray) -> float:
    """The smallest share at which a normalised curve (S,) has gone half of its way, linearly between the shares.

    What goes the other way has not gone. NaN where there is no curve.
    """
    if not np.isfinite(mean).all():
        return np.nan
    gone = (mean - mean[0]) / (mean[-1] - mean[0])
    after = int(np.argmax(gone >= 0.5))
    part = (0.5 - gone[after - 1]) / (gone[after] - gone[after - 1])
    return float(SHARES[after - 1] + part * (SHARES[after] - SHARES[after - 1]))
