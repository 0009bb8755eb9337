"""The training loop: PyTorch Lightning around a network, stopped when validation no longer improves, able to go on.

After every epoch the whole state of the loop (weights, optimiser, history, the best weights so far) is written to one
hidden file. A run that was stopped at any moment and is started again with the same settings goes on after its last
whole epoch; as everything random is a function of (seed, epoch, batch), it ends with the weights of an undisturbed run.
"""

import contextlib
import logging
import math
import signal
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as lightning
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader, TensorDataset

from seqlift.dataset import AugmentedRegions, EpochOrder, one_hot
from seqlift.errors import SeqliftError
from seqlift.files import replacing
from seqlift.metrics import auroc_auprc
from seqlift.models.ensemble import Ensemble
from seqlift.progress import TrainingProgress

log = logging.getLogger(__name__)

RESUME_NAME = ".resume.ckpt"
WARM_UP = 0.15  # of all steps
EVALUATION_BATCH = 512  # regions; fixed, so that no setting of training changes a prediction


def rate_factor(step: int, steps: int) -> float:
    """Share of the learning rate used in `step` (from 0) of `steps`: a line up, then half a cosine down to zero.

    Noisy small steps at the end average over the data, which with little data is worth more than any patience.
    """
    rising = max(1, round(WARM_UP * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


@dataclass(frozen=True)
class Fitted:
    """What the loop found: `history`, one dict an epoch, and the weights of the `best_epoch` (counted from 1)."""

    history: list[dict]
    best_epoch: int
    best_weights: dict[str, torch.Tensor]


class Classifier(lightning.LightningModule):
    """A network with the logistic loss of each target, averaged over regions and targets."""

    def __init__(self, model: torch.nn.Module, *, targets: list[str], settings: dict):
        super().__init__()
        self.model = model
        self.targets = targets
        self.settings = settings
        self.train_losses: list[torch.Tensor] = []
        self.valid_outputs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def configure_optimizers(self) -> dict:
        """AdamW on all weights; the rate rises over the first steps and falls to zero with the last epoch."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.settings["learning_rate"], weight_decay=self.settings["weight_decay"]
        )
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch, batch_index: int) -> None:
        """Make dropout a function of (seed, epoch, batch)."""
        key = [self.settings["seed"], self.current_epoch, batch_index]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))

    def training_step(self, batch, batch_index: int) -> torch.Tensor:
        """Loss of a batch."""
        codes, labels = batch
        sequences = one_hot(codes)
        # Each member of an ensemble learns for itself: (M, N, T)
        logits = self.model.each(sequences) if isinstance(self.model, Ensemble) else self.model(sequences)[None]
        loss = F.binary_cross_entropy_with_logits(logits, labels.expand(logits.shape))
        if not torch.isfinite(loss):
            raise SeqliftError(
                f"the training loss became {loss.item()} in epoch {self.current_epoch + 1}, step {batch_index + 1}; "
                f"try a smaller learning rate (training.learning_rate is {self.settings['learning_rate']:g})"
            )
        self.train_losses.append(loss.detach())
        return loss

    def validation_step(self, batch, batch_index: int) -> None:
        """Keep the logits of a batch."""
        codes, labels = batch
        self.valid_outputs.append((self.model(one_hot(codes)), labels))

    def epoch_row(self) -> dict:
        """The losses and AUROCs of the epoch that has just ended; forgets them."""
        logits = torch.cat([logits for logits, _ in self.valid_outputs]).cpu()
        labels = torch.cat([labels for _, labels in self.valid_outputs]).cpu()
        valid_loss = F.binary_cross_entropy_with_logits(logits.double(), labels.double()).item()
        if not np.isfinite(valid_loss):
            raise SeqliftError(
                f"the validation loss became {valid_loss} in epoch {self.current_epoch + 1}; "
                f"try a smaller learning rate (training.learning_rate is {self.settings['learning_rate']:g})"
            )
        row = {"train_loss": torch.stack(self.train_losses).double().mean().item(), "valid_loss": valid_loss}
        for i, target in enumerate(self.targets):
            row[f"valid_auroc_{target}"] = auroc_auprc(logits[:, i].numpy(), labels[:, i].numpy() > 0)[0]
        self.train_losses, self.valid_outputs = [], []
        return row


class Record(Checkpoint):
    """Keeps the history and the best weights, stops the training, and saves the state of the loop each epoch.

    Training has ended when the validation loss has not improved for `patience` epochs, or after `epochs`.
    """

    def __init__(self, path: Path, *, settings: dict, epochs: int, patience: int, progress: TrainingProgress):
        self.path = path
        self.progress = progress
        self.settings = settings
        self.epochs = epochs
        self.patience = patience
        self.history: list[dict] = []
        self.best_weights: dict[str, torch.Tensor] = {}
        self._started = 0.0

    @property
    def best_epoch(self) -> int:
        """Epoch with the least validation loss, counted from 1; 0 before the first."""
        return min(self.history, key=lambda row: row["valid_loss"])["epoch"] if self.history else 0

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to train."""
        done = len(self.history)
        return done >= self.epochs or done - self.best_epoch >= self.patience

    def state_dict(self) -> dict:
        """Everything to go on from, tensors and plain values only."""
        return {"settings": self.settings, "history": self.history, "best_weights": self.best_weights}

    def load_state_dict(self, state: dict) -> None:
        """Take over a saved state."""
        self.history, self.best_weights = state["history"], state["best_weights"]

    def on_train_start(self, trainer, module) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self.progress.start(len(self.history))

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index: int) -> None:
        """Move the bar on."""
        self.progress.step(len(batch[0]))

    def on_train_epoch_end(self, trainer, module) -> None:
        """Add a row; Lightning calls this after validation, and calls checkpoint callbacks last."""
        now = time.monotonic()
        row = {"epoch": len(self.history) + 1, **module.epoch_row()}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = now - self._started
        self._started = now
        self.history.append(row)
        if self.best_epoch == row["epoch"]:
            weights = module.model.state_dict()
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        with replacing(self.path) as temporary:  # Lightning itself writes to the system's temporary folder and moves
            trainer.save_checkpoint(temporary)
        trainer.should_stop = self.ended
        self.progress.epoch(self.history, self.best_epoch, ended=self.ended)


def fit(
    model: torch.nn.Module,
    regions: AugmentedRegions,
    valid: tuple[np.ndarray, np.ndarray],
    *,
    targets: list[str],
    settings: dict,
    epochs: int,
    patience: int,
    batch_size: int,
    device: str,
    output_dir: Path,
) -> Fitted:
    """Train `model`, going on from the state in `output_dir` if it belongs to the same settings.

    Parameters
    ----------
    model : torch.nn.Module
        With its first weights.
    regions : AugmentedRegions
        To train on.
    valid : tuple
        Codes (N, length) uint8 and labels (N, T) of the validation regions.
    targets : list of str
    settings : dict
        Everything that decides the result, plain values. A state saved under other settings is not used.
    epochs, patience : int
        At most so many epochs; stop when so many have passed since the best.
    batch_size : int
    device : str
        "cpu" or "cuda".
    output_dir : pathlib.Path
        Holds the state in `.resume.ckpt`, which the caller removes when the results are written.

    Raises
    ------
    SeqliftError
        The loss is not finite.
    KeyboardInterrupt
        Ctrl-C; the state is kept.
    """
    progress = TrainingProgress(epochs=epochs, regions=len(regions))
    state = output_dir / RESUME_NAME
    for half_written in output_dir.glob(f".{RESUME_NAME}.*"):  # killed while saving
        half_written.unlink(missing_ok=True)
    record = Record(state, settings=settings, epochs=epochs, patience=patience, progress=progress)
    resume = _resumable(record)
    if resume and record.ended:  # stopped between the last epoch and the end
        return Fitted(record.history, record.best_epoch, record.best_weights)
    train_batches = DataLoader(
        regions,
        batch_size=batch_size,
        sampler=EpochOrder(len(regions), settings["seed"]),
        collate_fn=lambda batch: batch,  # AugmentedRegions makes whole batches
        drop_last=len(regions) >= batch_size,  # a last batch of a few regions would disturb batch normalisation
    )
    codes, labels = valid
    valid_regions = TensorDataset(torch.from_numpy(codes), torch.from_numpy(labels.astype(np.float32)))
    with _quiet_lightning():
        trainer = lightning.Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            max_epochs=epochs,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            callbacks=[record],
            plugins=[LightningEnvironment()],  # under Slurm Lightning would otherwise look for a run of several nodes
            default_root_dir=output_dir,
        )
        module = Classifier(model, targets=targets, settings=settings)
        try:
            with _stoppable(trainer):
                trainer.fit(
                    module,
                    train_batches,
                    DataLoader(valid_regions, batch_size=EVALUATION_BATCH),
                    ckpt_path=state if resume else None,
                    weights_only=True,
                )
        finally:
            progress.stop()
    return Fitted(record.history, record.best_epoch, record.best_weights)


def _resumable(record: Record) -> bool:
    """Whether there is a state to go on from; if so `record` takes it over."""
    if not record.path.exists():
        return False
    try:
        state = torch.load(record.path, map_location="cpu", weights_only=True)["callbacks"][record.state_key]
    except Exception as error:
        log.warning("%s cannot be read (%s); training starts afresh", record.path, error)
        return False
    old, new = state["settings"], record.settings
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if changed:
        log.warning("a stopped training with other settings (%s) is not used; starting afresh", ", ".join(changed))
        return False
    record.load_state_dict(state)
    log.info("going on after epoch %d of a stopped training", len(record.history))
    return True


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says about things that are meant."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)  # devices found, advertisements
    try:
        with warnings.catch_warnings():
            # Batches come from memory: worker processes would only add copying
            warnings.filterwarnings("ignore", message=r"The '\w+_dataloader' does not have many workers")
            # Lightning 2.6 with torch 2.13: its own use of torch's trees
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _stoppable(trainer: lightning.Trainer) -> Iterator[None]:
    """Let a signal end the program as signals do: Lightning turns them into exits of status 1 and 0."""
    try:
        yield
    except SIGTERMException:  # raised after the step
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
