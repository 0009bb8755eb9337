"""The loss of each head, and whether a model has learned more than a constant prediction.

Every head has a loss for each region and target; training minimises their mean over all known entries. Entries without
a label or without a signal are masked: they change neither the loss nor a gradient.

`classes`: the logistic loss of a label. With balanced class weights the positives and the negatives of a target have
the same total weight, however rare the positives are.

`counts`: the squared error of log(1 + count), where the count is the total signal in the window.

`profile`: independent reads in a window are, given their total n, a multinomial sample of its positions (and strands,
together), so the loss is the negative log-likelihood of that multinomial plus λ · (log(1 + n) − prediction)² (BPNet:
Avsec et al., Nature Genetics 53:354, 2021). The total of independent reads is Poisson distributed, and near its mean n
the negative log-likelihood of a Poisson count is n/2 times the squared error of its logarithm. So with λ = n̄/2, where n̄
is the mean total of the training regions, the sum is the likelihood of the reads themselves; `count_weight` multiplies
that (BPNet's α: below 1, the shape of the profile has more weight).

A model has learned something if its validation loss is better than that of the best constant prediction (the base rate,
the mean log count, the mean profile of the training regions), and that is not chance: by more than three standard
errors, or because its predictions rank the regions as the truth does (Spearman's correlation, for labels the same test
as that of Mann and Whitney, more than three standard errors above 0). With few validation regions the second is needed:
a model that is right about nineteen of twenty and very wrong about the last has a loss with a large standard error.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqlift.training.dataset import Batch

CLASS_WEIGHTS = ("none", "balanced")
STANDARD_ERRORS = 3  # by which a model must be better than the constant prediction
EVEN_SHARE = 1e-3  # of the mean profile is spread evenly, so that positions without training reads are possible


class Losses(NamedTuple):
    """Losses of a batch.

    Attributes
    ----------
    parts : torch.Tensor, shape (N, T, Q)
        Loss of each of the head's `quantities`; 0 where masked.
    weights : torch.Tensor, shape (N, T)
        0 where masked.
    known : torch.Tensor, shape (N, T), bool
    """

    parts: Tensor
    weights: Tensor
    known: Tensor

    @property
    def values(self) -> Tensor:
        """Sum over the quantities, (N, T)."""
        return self.parts.sum(2)

    @property
    def total(self) -> Tensor:
        """Weighted sum over all regions and targets, ()."""
        return (self.values * self.weights).sum()


class Objective(nn.Module):
    """The loss of one head. Subclasses define `losses`, `truth`, `scalar` and `constant`.

    `quantities` are what the head predicts for a target: the ends of the names of outputs (`seqlift.models.outputs`).
    """

    head: str
    quantities: tuple[str, ...] = ("",)

    def losses(self, output: Any, batch: Batch) -> Losses:
        """Losses of a model's output for a batch, in the precision of the output, at least 32 bits."""
        raise NotImplementedError

    def mean(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean of the weighted loss over all N · T entries (0 where masked), and the number of known entries."""
        losses = self.losses(output, batch)
        return (losses.values * losses.weights).mean(), losses.known.sum()

    def truth(self, batch: Batch) -> Tensor:
        """Truth of what `scalar` predicts, (N, T): label or log(1 + count); NaN where unknown."""
        raise NotImplementedError

    def scalar(self, output: Any) -> Tensor:
        """One predicted number per target, (N, T): logit or log(1 + count)."""
        return output

    def constant(self, batch: Batch) -> Any:
        """The best constant prediction for the training regions, as an output for a batch."""
        raise NotImplementedError


class ClassesObjective(Objective):
    """Logistic loss.

    Parameters
    ----------
    labels : numpy.ndarray, shape (N, T)
        Labels of the training regions: 1, 0, or NaN where unknown.
    class_weights : {"none", "balanced"}
        "balanced": for each target n / (2 · positives) and n / (2 · negatives), whose mean over its n regions is 1.
    """

    head = "classes"
    class_weights: Tensor
    base_logit: Tensor

    def __init__(self, labels: np.ndarray, *, class_weights: str = "none"):
        super().__init__()
        positives, negatives = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
        weights = np.ones((2, labels.shape[1]))
        if class_weights == "balanced":
            weights = (positives + negatives) / (2 * np.maximum([negatives, positives], 1))
        weighted = weights * [negatives, positives]
        rate = (weighted[1] / np.maximum(weighted.sum(axis=0), 1)).clip(1e-6, 1 - 1e-6)
        self.register_buffer("class_weights", torch.tensor(weights, dtype=torch.float32), persistent=False)
        self.register_buffer("base_logit", torch.tensor(np.log(rate / (1 - rate))), persistent=False)

    def losses(self, output: Tensor, batch: Batch) -> Losses:
        """See `Objective.losses`; `output` holds logits (N, T)."""
        logits, labels, weights, known = self._entries(output, batch)
        values = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return Losses(torch.where(known, values, 0)[:, :, None], weights, known)

    def mean(self, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Objective.mean`; in one pass over memory, and rounded like the usual logistic loss."""
        logits, labels, weights, known = self._entries(output, batch)
        return F.binary_cross_entropy_with_logits(logits, labels, weight=weights), known.sum()

    def _entries(self, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, labels and weights (0 where unknown), and whether labels are known, all (N, T)."""
        logits = _full_precision(output)
        known = ~batch.labels.isnan()
        labels = torch.where(known, batch.labels, 0).to(logits.dtype)
        weights = torch.where(labels > 0.5, self.class_weights[1], self.class_weights[0]).to(logits.dtype)
        return logits, labels, torch.where(known, weights, 0), known

    def truth(self, batch: Batch) -> Tensor:
        """Labels (N, T)."""
        return batch.labels

    def constant(self, batch: Batch) -> Tensor:
        """Logit of the base rate, (N, T) float64."""
        return self.base_logit.expand(len(batch.labels), -1)


class CountsObjective(Objective):
    """Squared error of log(1 + count).

    Parameters
    ----------
    totals : numpy.ndarray, shape (N, T)
        Total signal in the window of the training regions, NaN where unknown.
    """

    head = "counts"
    base_log_count: Tensor

    def __init__(self, totals: np.ndarray):
        super().__init__()
        mean = np.nanmean(np.log1p(totals), axis=0)
        self.register_buffer("base_log_count", torch.tensor(mean, dtype=torch.float64), persistent=False)

    def losses(self, output: Tensor, batch: Batch) -> Losses:
        """See `Objective.losses`; `output` holds log counts (N, T)."""
        predicted = _full_precision(output)
        truth = self.truth(batch).to(predicted.dtype)
        known = ~truth.isnan()
        values = (predicted - torch.where(known, truth, 0)) ** 2
        return Losses(torch.where(known, values, 0)[:, :, None], known.to(values.dtype), known)

    def truth(self, batch: Batch) -> Tensor:
        """log(1 + total signal), (N, T)."""
        assert batch.signal is not None and batch.known is not None
        return torch.where(batch.known, torch.log1p(batch.signal.sum((2, 3))), torch.nan)

    def constant(self, batch: Batch) -> Any:
        """Mean log count, (N, T) float64."""
        return self.base_log_count.expand(len(batch.labels), -1)


class ProfileObjective(CountsObjective):
    """Multinomial likelihood of the profile and squared error of the log count.

    Parameters
    ----------
    totals : numpy.ndarray, shape (N, T)
        See `CountsObjective`.
    profile : numpy.ndarray, shape (T, S, W)
        Sum of the signal of the training regions at each position.
    count_weight : float
        α in λ = α · (mean total) / 2; each target has its own λ.
    """

    head = "profile"
    quantities = (".counts", ".profile")
    base_logits: Tensor
    count_weight: Tensor

    def __init__(self, totals: np.ndarray, profile: np.ndarray, *, count_weight: float = 1.0):
        super().__init__(totals)
        shares = profile / np.maximum(profile.sum((1, 2), keepdims=True), 1e-300)
        shares = (1 - EVEN_SHARE) * shares + EVEN_SHARE / shares[0].size
        weight = count_weight * np.nanmean(totals, axis=0) / 2
        self.register_buffer("base_logits", torch.tensor(np.log(shares)), persistent=False)
        self.register_buffer("count_weight", torch.tensor(weight, dtype=torch.float64), persistent=False)

    def losses(self, output: Any, batch: Batch) -> Losses:
        """See `Objective.losses`; `output` holds logits (N, T, S, W) and log counts (N, T)."""
        logits, log_counts = output
        counts = super().losses(log_counts, batch)
        assert batch.signal is not None
        shape = multinomial_loss(_full_precision(logits), batch.signal)
        counted = self.count_weight.to(shape.dtype) * counts.values
        return counts._replace(parts=torch.stack([counted, torch.where(counts.known, shape, 0)], 2))

    def scalar(self, output: Any) -> Tensor:
        """Log counts (N, T)."""
        return output[1]

    def constant(self, batch: Batch) -> Any:
        """Logits (N, T, S, W) of the mean profile and the mean log count (N, T), float64."""
        return self.base_logits.expand(len(batch.labels), -1, -1, -1), super().constant(batch)


def multinomial_loss(logits: Tensor, counts: Tensor) -> Tensor:
    """Negative log-likelihood of counts under one multinomial over all strands and positions.

    Parameters
    ----------
    logits : torch.Tensor, shape (N, T, S, W)
    counts : torch.Tensor, shape (N, T, S, W)
        At least 0, not necessarily whole numbers (factorials are gamma functions).

    Returns
    -------
    torch.Tensor, shape (N, T)
    """
    counts = counts.to(logits.dtype).flatten(2)  # (N, T, S * W)
    with torch.no_grad():  # log of the number of orders of the reads, with its sign
        orders = torch.lgamma(counts.sum(2) + 1) - torch.lgamma(counts + 1).sum(2)
    return -(counts * logits.flatten(2).log_softmax(2)).sum(2) - orders


def make_objective(
    head: str,
    labels: np.ndarray,
    signals: Iterable[Tensor],
    known: np.ndarray | None,
    *,
    class_weights: str,
    count_weight: float,
) -> Objective:
    """The objective of a head, with weights and constant prediction from the training regions.

    Parameters
    ----------
    head : {"classes", "counts", "profile"}
    labels : numpy.ndarray, shape (N, T)
        Used by `classes`.
    signals : iterable of torch.Tensor, shape (n, T, S, W)
        Signal of all training regions, in their order, in pieces; used by the other heads.
    known : numpy.ndarray, shape (N, T), bool
        Where the signal was measured.
    class_weights, count_weight
        See `ClassesObjective` and `ProfileObjective`.
    """
    if head == "classes":
        return ClassesObjective(labels, class_weights=class_weights)
    assert known is not None
    pieces: list[Tensor] = []
    profile, start = torch.zeros(()).double(), 0
    for piece in signals:
        mask = torch.from_numpy(known[start : start + len(piece)])[:, :, None, None]
        piece = piece.double() * mask
        profile = profile + piece.sum(0)  # (T, S, W)
        pieces.append(piece.sum((2, 3)))
        start += len(piece)
    totals = np.where(known, torch.cat(pieces).numpy(), np.nan)
    if head == "counts":
        return CountsObjective(totals)
    return ProfileObjective(totals, profile.numpy(), count_weight=count_weight)


def _full_precision(output: Tensor) -> Tensor:
    """Half-precision outputs as 32 bits, which sums over positions and logarithms need."""
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output


@dataclass(frozen=True)
class Verdict:
    """What a model has learned, from its losses on validation regions.

    Attributes
    ----------
    loss, base_loss : float
        Mean loss of the model, and of the constant prediction.
    learned : bool
        Whether the model is better than the constant prediction, and not by chance.
    learned_targets : dict
        The same for each target.
    learned_outputs : dict
        The same for each output: for a profile head, counts and profile of each target separately.
    """

    loss: float
    base_loss: float
    learned: bool
    learned_targets: dict[str, bool]
    learned_outputs: dict[str, bool]


def compare_with_constant(
    parts: Tensor,
    base: Tensor,
    weights: Tensor,
    predicted: Tensor,
    truth: Tensor,
    *,
    targets: Sequence[str],
    quantities: Sequence[str] = ("",),
) -> Verdict:
    """Compare the losses of a model with those of the constant prediction, and its predictions with the truth.

    Standard errors are over regions. The gain of a region is averaged over its known targets; the rank correlations of
    several targets are summed as independent (Stouffer).

    Parameters
    ----------
    parts, base : torch.Tensor, shape (N, T, Q), float64
        Losses of the model and of the constant prediction.
    weights : torch.Tensor, shape (N, T), float64
        0 where masked.
    predicted, truth : torch.Tensor, shape (N, T)
        See `Objective.scalar` and `Objective.truth`.
    targets : sequence of str
    quantities : sequence of str
        See `Objective`; `predicted` belongs to the first of them.
    """
    known = weights > 0
    n = known.sum(1)
    gains = (base - parts) * weights[:, :, None]
    rows = [known[:, i] for i in range(len(targets))]
    ranked = [_rank_score(predicted[row, i], truth[row, i]) for i, row in enumerate(rows)]
    all_ranked = sum(ranked) / math.sqrt(len(targets))
    total = max(int(n.sum()), 1)
    return Verdict(
        loss=((parts.sum(2) * weights).sum() / total).item(),
        base_loss=((base.sum(2) * weights).sum() / total).item(),
        learned=_better(gains.sum((1, 2))[n > 0] / n[n > 0], all_ranked),
        learned_targets={name: _better(gains[rows[i], i].sum(1), ranked[i]) for i, name in enumerate(targets)},
        learned_outputs={
            name + quantity: _better(gains[rows[i], i, q], ranked[i] if q == 0 else 0.0)
            for i, name in enumerate(targets)
            for q, quantity in enumerate(quantities)
        },
    )


def _better(gain: Tensor, ranked: float) -> bool:
    """Whether the mean gain of regions (N,) is above 0, and it or the ranking by more than three standard errors."""
    if len(gain) < 2 or not gain.mean() > 0:
        return False
    standard_error = gain.std(correction=0) / math.sqrt(len(gain))
    return bool(gain.mean() > STANDARD_ERRORS * standard_error) or ranked > STANDARD_ERRORS


def _rank_score(predicted: Tensor, truth: Tensor) -> float:
    """Spearman's correlation in units of its standard error under independence, 1 / sqrt(N - 1); 0 for constants."""
    ranks = [pd.Series(values.numpy()).rank().to_numpy() for values in (predicted, truth)]
    if len(predicted) < 2 or any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1] * math.sqrt(len(predicted) - 1))
