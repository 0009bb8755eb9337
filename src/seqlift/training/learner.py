"""The Lightning module: a network with its objective, optimiser and learning rate."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from seqlift.core.metrics import auroc_auprc
from seqlift.data.windows import one_hot
from seqlift.errors import SeqliftError
from seqlift.models.ensemble import Ensemble
from seqlift.training.dataset import Batch
from seqlift.training.objectives import Objective, Verdict, compare_with_constant

SCHEDULES = ("cosine", "constant", "plateau")
WARM_UP = 0.15  # of all steps
PLATEAU_FACTOR = 0.5
PLATEAU_SHARE = 4  # the learning rate falls after this part of the patience: a quarter
LOSSES_BETWEEN_CHECKS = 50  # steps; reading a loss makes the GPU wait


def rate_factor(step: int, steps: int) -> float:
    """Factor of the learning rate in `step` (from 0) of `steps`: a linear rise, then half a cosine down to zero.

    Small steps at the end average over the noise of the batches, which with little data improves more than patience.
    """
    rising = max(1, round(WARM_UP * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def plateau_factor(losses: Sequence[float], wait: int) -> float:
    """Factor of the learning rate after epochs with these validation losses: halved after `wait` without a better one.

    It depends on the history alone, so a resumed run needs nothing else.
    """
    best, since, factor = math.inf, 0, 1.0
    for loss in losses:
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since == wait:
            factor, since = factor * PLATEAU_FACTOR, 0
    return factor


class Learner(lightning.LightningModule):
    """A network with the loss of its head.

    Parameters
    ----------
    model : torch.nn.Module
        With its initial weights.
    objective : Objective
    targets : list of str
    settings : dict
        See `seqlift.training.train.train_model`.
    seed : int
        Seed of dropout.
    rank, world : int
        Number of this process, from 0, and number of processes.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        objective: Objective,
        *,
        targets: list[str],
        settings: dict,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        super().__init__()
        self.model = model
        self.objective = objective
        self.targets = targets
        self.settings = settings
        self.seed = seed
        self.rank, self.world = rank, world
        self.train_losses: list[Tensor] = []
        self.valid_parts: list[tuple[Tensor, ...]] = []

    @property
    def members(self) -> list[torch.nn.Module]:
        """The networks, each of which is trained with its own loss."""
        return list(self.model.members) if isinstance(self.model, Ensemble) else [self.model]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW on all weights; with the cosine schedule the learning rate changes at every step."""
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.settings["learning_rate"], weight_decay=self.settings["weight_decay"]
        )
        if self.settings["schedule"] != "cosine":  # `Record` lowers the rate at a plateau
            return {"optimizer": optimizer}
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient of each network separately: one must not shorten the step of another."""
        if self.settings["gradient_clip"] is not None:
            for member in self.members:
                torch.nn.utils.clip_grad_norm_(member.parameters(), self.settings["gradient_clip"])

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Seed dropout with (seed, epoch, batch) and the process."""
        key = [self.seed, self.current_epoch, batch_index] + ([self.rank] if self.rank else [])
        number = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":  # torch.manual_seed takes longer than a step of training
            torch.cuda.manual_seed(number)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Mean loss over the known entries of the batch, of all processes together.

        Lightning averages the gradients of the processes, which have the same number of regions, but not of known
        entries.
        """
        given = _given(batch)
        outputs = self.model.each(*given) if isinstance(self.model, Ensemble) else [self.model(*given)]
        means = [self.objective.mean(output, batch) for output in outputs]
        entries, known = batch.labels.numel() * self.world, means[0][1]
        if self.world > 1:
            torch.distributed.all_reduce(known)
        loss = sum(mean for mean, _ in means) / len(means) * (entries / known.clamp(min=1))
        self.train_losses.append(loss.detach())
        if len(self.train_losses) % LOSSES_BETWEEN_CHECKS == 0:
            self.check_losses(len(self.train_losses) - LOSSES_BETWEEN_CHECKS)
        return loss

    def check_losses(self, first: int = 0) -> Tensor:
        """Losses of this epoch from step `first` on; SeqliftError if one is not finite."""
        losses = torch.stack(self.train_losses[first:]).double().cpu()
        wrong = torch.nonzero(~torch.isfinite(losses)).flatten()
        if len(wrong):
            step = int(wrong[0])
            raise SeqliftError(
                f"the training loss became {losses[step].item()} in epoch {self.current_epoch + 1}, step "
                f"{first + step + 1}; {self._remedy()}"
            )
        return losses

    def _remedy(self) -> str:
        settings = self.settings
        remedy = f"try a smaller learning rate (training.learning_rate is {settings['learning_rate']:g})"
        if settings["gradient_clip"] is None:
            remedy += ", or training.gradient_clip"
        if settings["precision"] == "16-mixed":
            remedy += ", or training.precision bf16-mixed or 32 (numbers above 65504 do not fit into 16 bits)"
        return remedy

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep losses and those of the constant prediction (B, T, Q), weights, predictions and truth (B, T) of a batch.

        Validation is in full precision, as the model is used later.
        """
        with torch.autocast(self.device.type, enabled=False):
            output = self.model(*_given(batch))
        losses = self.objective.losses(_double(output), batch)
        base = self.objective.losses(self.objective.constant(batch), batch)
        truth = self.objective.truth(batch)
        self.valid_parts.append((losses.parts, base.parts, losses.weights, self.objective.scalar(output), truth))

    def epoch_row(self) -> tuple[dict, Verdict]:
        """Losses and quality of the epoch that has just ended, and what the model has learned; clears them."""
        train_loss = self.check_losses().mean()
        parts, base, weights, predicted, truth = self._gather()
        if self.world > 1:
            train_loss = train_loss.to(self.device)
            torch.distributed.all_reduce(train_loss)
            train_loss = train_loss / self.world
        quantities = self.objective.quantities
        verdict = compare_with_constant(
            parts, base, weights, predicted, truth, targets=self.targets, quantities=quantities
        )
        if not np.isfinite(verdict.loss):
            raise SeqliftError(
                f"the validation loss became {verdict.loss} in epoch {self.current_epoch + 1}; {self._remedy()}"
            )
        row = {"train_loss": train_loss.item(), "valid_loss": verdict.loss}
        for i, target in enumerate(self.targets):
            known = weights[:, i] > 0
            pair = predicted[known, i].numpy(), truth[known, i].numpy()
            if self.objective.head == "classes":
                row[f"valid_auroc_{target}"] = auroc_auprc(pair[0], pair[1] > 0)[0]
            else:
                row[f"valid_pearson_{target}"] = _pearson(*pair)
        self.train_losses, self.valid_parts = [], []
        return row, verdict

    def _gather(self) -> list[Tensor]:
        """The parts kept by `validation_step`, of all processes, on the CPU: each (N, T) or (N, T, Q)."""
        parts = [torch.cat(column).cpu() for column in zip(*self.valid_parts, strict=True)]
        if self.world == 1:
            return parts
        of_all = [None] * self.world
        torch.distributed.all_gather_object(of_all, parts)
        return [torch.cat(column) for column in zip(*of_all, strict=True)]


def _given(batch: Batch) -> tuple[Tensor, ...]:
    """Arguments of the model."""
    sequences = one_hot(batch.codes)
    return (sequences,) if batch.control is None else (sequences, batch.control)


def _double(output: Any) -> Any:
    return output.double() if isinstance(output, Tensor) else tuple(part.double() for part in output)


def _pearson(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's correlation; NaN if one of them is constant."""
    if len(truth) < 2 or np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return math.nan
    return float(np.corrcoef(predicted.astype(float), truth.astype(float))[0, 1])
