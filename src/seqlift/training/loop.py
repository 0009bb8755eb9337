"""One training, from its initial weights or from the state of an interrupted one, to its end."""

import contextlib
import logging
import math
import signal
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from seqlift.core.progress import TrainingProgress
from seqlift.training.dataset import EpochOrder, FixedRegions, TrainingRegions
from seqlift.training.learner import Learner
from seqlift.training.objectives import Objective
from seqlift.training.record import RESUME_NAME, Attempt, Record

EVALUATION_BATCH = 512  # regions; fixed, so that no setting of training changes a prediction
MIN_PATIENCE_STEPS = 300  # with little data an epoch has few steps, too few to see whether the loss still improves
_PRECISION = {"32": "32-true"}  # names that differ in Lightning


@dataclass(frozen=True)
class Place:
    """A process of the training: kind of device, number of the process (from 0) and number of processes."""

    device: str
    rank: int = 0
    world: int = 1

    @property
    def own_device(self) -> str:
        """Name of the device of this process for torch."""
        return f"{self.device}:{self.rank}" if self.device == "cuda" else self.device


def fit(
    model: torch.nn.Module,
    objective: Objective,
    regions: TrainingRegions,
    valid: FixedRegions,
    *,
    targets: list[str],
    settings: dict,
    seed: int,
    earlier: list[Attempt],
    state: dict | None,
    place: Place,
    output_dir: Path,
    tensorboard: bool = False,
) -> Attempt:
    """Train `model`, and resume from `state` if there is one.

    Parameters
    ----------
    model : torch.nn.Module
        With its initial weights.
    objective : Objective
    regions, valid : TrainingRegions, FixedRegions
        Regions for training, and for choosing the epoch. With several processes `valid` must have a batch for each.
    targets : list of str
    settings : dict
        Everything that determines the result, plain values.
    seed : int
        Seed of order and dropout.
    earlier : list of Attempt
        Earlier attempts, saved with the state.
    state : dict, optional
        State of this attempt from `read_state`.
    place : Place
        With several processes, all of them call this function.
    output_dir : pathlib.Path
        Folder of the state, `.resume.ckpt`, which the caller removes when the results are written.
    tensorboard : bool
        Whether to write TensorBoard events.

    Raises
    ------
    SeqliftError
        If the loss is not finite, or the state cannot be written.
    KeyboardInterrupt
        On Ctrl-C; the state is kept.
    """
    order = EpochOrder(regions, seed, settings["batch_size"], place.rank, place.world)
    first = place.rank == 0
    progress = TrainingProgress(
        epochs=settings["epochs"],
        regions=regions.epoch_size,
        shown=first,
        name=f"attempt {len(earlier) + 1}, " if earlier else "",
    )
    record = Record(
        output_dir / RESUME_NAME,
        settings=settings,
        patience=max(settings["patience"], math.ceil(MIN_PATIENCE_STEPS / len(order))),
        seed=seed,
        earlier=earlier,
        progress=progress,
        tensorboard=tensorboard and first,
    )
    if state:
        record.load_state_dict(state)
        if record.ended:  # interrupted after the last epoch
            return record.attempt
    learner = Learner(
        model, objective, targets=targets, settings=settings, seed=seed, rank=place.rank, world=place.world
    )
    shares = np.array_split(np.arange(len(valid)), place.world)
    with _quiet_lightning():
        trainer = _trainer(record, settings, place, output_dir)
        try:
            with _stoppable(trainer):
                trainer.fit(
                    learner,
                    DataLoader(regions, sampler=order, batch_size=None, collate_fn=_unchanged),
                    DataLoader(valid, sampler=shares[place.rank].tolist(), batch_size=None, collate_fn=_unchanged),
                    ckpt_path=record.path if state else None,
                    weights_only=True,
                )
        finally:
            progress.stop()
    return record.attempt


def _trainer(record: Record, settings: dict, place: Place, output_dir: Path) -> lightning.Trainer:
    several = place.world > 1
    on_gpu = place.device == "cuda"
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=place.world,
        strategy=DDPStrategy(process_group_backend="nccl" if on_gpu else "gloo") if several else "auto",
        use_distributed_sampler=False,  # EpochOrder gives each process its share
        sync_batchnorm=several and on_gpu,  # torch has none for the CPU
        precision=_PRECISION.get(settings["precision"], settings["precision"]),
        max_epochs=settings["epochs"],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[record],
        plugins=[LightningEnvironment()],  # under Slurm, Lightning would otherwise expect a run on several nodes
        default_root_dir=output_dir,
    )


def _unchanged(batch: Any) -> Any:
    return batch


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says about intended settings."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)  # devices found, advertisements
    try:
        with warnings.catch_warnings():
            # Batches come from memory: worker processes would only add copying
            warnings.filterwarnings("ignore", message=r"The '\w+_dataloader' does not have many workers")
            # Where Slurm is installed, Lightning recommends `srun`, even outside a job
            warnings.filterwarnings("ignore", message=r"The `srun` command is available on your system")
            # Lightning 2.6 with torch 2.13 uses a deprecated function of torch
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            # 16-mixed: the first steps, which find a scale, may be skipped, and the schedule with them
            warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler.step\(\)` before")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _stoppable(trainer: lightning.Trainer) -> Iterator[None]:
    """Let a signal end the program with its usual exit status: Lightning exits with 1 or 0."""
    try:
        yield
    except SIGTERMException:  # raised after the step
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as error:
        if trainer.interrupted and error.code != 128 + signal.SIGTERM:  # raised by the command itself, on SIGTERM
            raise KeyboardInterrupt from None
        raise
