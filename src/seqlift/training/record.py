"""The record of a training: its history, its best weights, and the file from which it can be resumed."""

import importlib.util
import logging
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import TensorBoardLogger

from seqlift.core.files import replacing
from seqlift.core.progress import TrainingProgress
from seqlift.errors import SeqliftError
from seqlift.training.dataset import Batch
from seqlift.training.learner import PLATEAU_SHARE, plateau_factor

log = logging.getLogger(__name__)

RESUME_NAME = ".resume.ckpt"
TENSORBOARD_NAME = "tensorboard"


@dataclass(frozen=True)
class Attempt:
    """A training from its initial weights to its end.

    Attributes
    ----------
    seed : int
        Seed of initial weights, order, augmentation and dropout.
    history : list of dict
        One row per epoch.
    best_weights : dict
        Weights of the epoch with the lowest validation loss.
    verdict : dict
        What the model of that epoch has learned: `seqlift.training.objectives.Verdict` as plain values.
    """

    seed: int
    history: list[dict]
    best_weights: dict[str, torch.Tensor]
    verdict: dict

    @property
    def best_epoch(self) -> int:
        """Epoch (from 1) with the lowest validation loss; 0 before the first."""
        return min(self.history, key=lambda row: row["valid_loss"])["epoch"] if self.history else 0


class Record(Checkpoint):
    """Lightning callback that keeps history and best weights, stops training, and saves its state after each epoch.

    Training ends when the validation loss has not improved for `patience` epochs, or after `epochs`.

    Parameters
    ----------
    path : pathlib.Path
        File of the state, written by the first process only.
    settings : dict
        Everything that determines the result; a state is used only with the same settings.
    patience : int
        Epochs.
    seed : int
        Seed of this attempt.
    earlier : list of Attempt
        Earlier attempts.
    progress : TrainingProgress
    tensorboard : bool
        Whether to write events to the folder `tensorboard` beside the state.
    """

    def __init__(
        self,
        path: Path,
        *,
        settings: dict,
        patience: int,
        seed: int,
        earlier: list[Attempt],
        progress: TrainingProgress,
        tensorboard: bool,
    ):
        self.path = path
        self.progress = progress
        self.settings = settings
        self.patience = patience
        self.seed = seed
        self.earlier = earlier
        self.history: list[dict] = []
        self.best_weights: dict[str, torch.Tensor] = {}
        self.verdict: dict = {}
        self._events = Events(path.parent / TENSORBOARD_NAME, len(earlier)) if tensorboard else None
        self._started = 0.0

    @property
    def attempt(self) -> Attempt:
        """This attempt so far."""
        return Attempt(self.seed, self.history, self.best_weights, self.verdict)

    @property
    def ended(self) -> bool:
        """Whether training has ended."""
        done = len(self.history)
        return done >= self.settings["epochs"] or done - self.attempt.best_epoch >= self.patience

    def state_dict(self) -> dict:
        """Everything needed to resume, tensors and plain values only."""
        return {
            "settings": self.settings,
            "earlier": [asdict(attempt) for attempt in self.earlier],
            "history": self.history,
            "best_weights": self.best_weights,
            "verdict": self.verdict,
        }

    def load_state_dict(self, state: dict) -> None:
        """Restore a saved state."""
        self.history, self.best_weights, self.verdict = state["history"], state["best_weights"], state["verdict"]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self.progress.start(len(self.history))
        if self._events:
            self._events.start(self.history)

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Batch, batch_index: int) -> None:
        """Lower the learning rate at a plateau; here, as the hook at the start of an epoch is skipped on resuming."""
        if batch_index == 0 and self.settings["schedule"] == "plateau":
            wait = -(-self.patience // PLATEAU_SHARE)
            factor = plateau_factor([row["valid_loss"] for row in self.history], wait)
            for group in trainer.optimizers[0].param_groups:
                group["lr"] = self.settings["learning_rate"] * factor

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Batch, batch_index: int) -> None:
        """Advance the progress bar."""
        self.progress.step(len(batch.codes) * trainer.world_size)

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Add a row to the history; Lightning calls this after validation, and checkpoint callbacks last."""
        numbers, verdict = module.epoch_row()
        now = time.monotonic()
        row = {"epoch": len(self.history) + 1, **numbers}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = now - self._started
        self._started = now
        self.history.append(row)
        best_epoch = self.attempt.best_epoch
        if best_epoch == row["epoch"]:
            weights = module.model.state_dict()
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
            self.verdict = asdict(verdict)
        self._save(trainer)
        trainer.should_stop = self.ended
        self.progress.epoch(self.history, best_epoch, ended=self.ended)
        if self._events:
            self._events.add(row)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Close the event file."""
        if self._events:
            self._events.close()

    def _save(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.path)  # takes part, but writes nothing
            return
        try:
            with replacing(self.path) as temporary:  # Lightning itself writes to another folder and moves
                trainer.save_checkpoint(temporary)
        except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
            reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
            saved = len(self.history) > 1 or self.earlier
            raise SeqliftError(
                f"{self.path}: the state of the training after epoch {len(self.history)} cannot be written ({reason}); "
                "is the disk full? Make room and start again"
                + (": the state saved before is kept, and training resumes from it" if saved else "")
            ) from None


class Events:
    """Rows of the history as TensorBoard events, one run for each attempt: `tensorboard/attempt<n>`.

    Parameters
    ----------
    folder : pathlib.Path
    attempt : int
        From 0.
    """

    def __init__(self, folder: Path, attempt: int):
        self.folder = folder
        self.attempt = attempt
        self._logger: TensorBoardLogger | None = None

    def start(self, history: list[dict]) -> None:
        """Write all rows of the history again: a killed run may or may not have written the last one."""
        if self.attempt == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.folder / self._name, ignore_errors=True)
        self._logger = TensorBoardLogger(self.folder.parent, name=self.folder.name, version=self._name)
        for row in history:
            self.add(row)

    @property
    def _name(self) -> str:
        return f"attempt{self.attempt + 1}"

    def add(self, row: dict) -> None:
        """Write the events of an epoch."""
        assert self._logger is not None  # after `start`
        numbers = {name: value for name, value in row.items() if name != "epoch" and value == value}
        self._logger.log_metrics(numbers, step=row["epoch"])
        self._logger.experiment.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._logger:
            self._logger.experiment.close()


def check_tensorboard() -> None:
    """Raise SeqliftError if TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise SeqliftError(
            "training.tensorboard (=true) needs the package tensorboard, which is not installed; "
            "pip install 'seqlift[tensorboard]', or set it to false"
        )


def read_state(path: Path, settings: dict) -> dict | None:
    """The state of an interrupted training with the same settings, if there is one; logs whether it is used.

    Returns
    -------
    dict or None
        See `Record.state_dict`; "earlier" is a list of `Attempt`.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["callbacks"][Record.__qualname__]
        old, history = state["settings"], state["history"]
        state["earlier"] = [Attempt(**attempt) for attempt in state["earlier"]]
    except Exception as error:
        log.warning("%s cannot be read (%s); training starts from the beginning", path, str(error).splitlines()[:1])
        return None
    changed = [name for name in {**old, **settings} if old.get(name) != settings.get(name)]
    if changed:
        log.warning(
            "an interrupted training with other settings (%s) is not used; starting from the beginning",
            ", ".join(changed),
        )
        return None
    attempt = f" of attempt {len(state['earlier']) + 1}" if state["earlier"] else ""
    log.info("resuming after epoch %d%s of an interrupted training", len(history), attempt)
    return state
