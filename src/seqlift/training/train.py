"""Train a model on regions.

The network learns on the regions of split 'train', and the epoch is chosen on 'valid'; `seqlift.evaluation` then
evaluates it on 'test', chromosomes that training never used. A training may end without having learned anything: from
some initial weights a small network finds no motif in a few hundred peaks. That shows on the validation regions
(`seqlift.training.objectives.compare_with_constant`), and training restarts with another seed, a limited number of
times.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seqlift import __version__
from seqlift.core.devices import choose_device, describe_device
from seqlift.core.files import replacing
from seqlift.data.genome import Genome
from seqlift.data.signal import Signal, load_signal
from seqlift.errors import SeqliftError
from seqlift.models.architecture import resolve_architecture
from seqlift.models.build import build_model, start_at
from seqlift.models.checkpoint import save_checkpoint
from seqlift.models.shape import Shape
from seqlift.regions.splits import check_apart
from seqlift.regions.table import SIGNAL_PREFIX, TARGET_PREFIX, assign_fold, fold_names, labels_of, target_names
from seqlift.training.dataset import FixedRegions, TrainingRegions
from seqlift.training.loop import EVALUATION_BATCH, Place, fit
from seqlift.training.objectives import CountsObjective, Objective, make_objective
from seqlift.training.processes import in_processes
from seqlift.training.record import RESUME_NAME, Attempt, check_tensorboard, read_state
from seqlift.training.settings import TrainingSettings

log = logging.getLogger(__name__)

PRECISIONS = ("32", "bf16-mixed", "16-mixed")
SPLITS = ("train", "valid", "test")
SIGNAL_NAME = ".signal"  # folder of the signal's memory-mapped files
_REGIONS_AT_ONCE = 1024  # of the signal, when it is summed up


@dataclass(frozen=True)
class Job:
    """Everything that a process needs for training.

    Attributes
    ----------
    table : pandas.DataFrame
        Regions, split into train, valid and test.
    genome : Genome
    signal : dict or None
        `signal` of regions.json, for heads that predict it.
    shape : Shape
    settings : dict
        Everything that determines the result, plain values.
    restarts : int
        Largest number of restarts.
    device : str
        "cpu" or "cuda".
    tensorboard : bool
    output_dir : pathlib.Path
    """

    table: pd.DataFrame
    genome: Genome
    signal: dict | None
    shape: Shape
    settings: dict
    restarts: int
    device: str
    tensorboard: bool
    output_dir: Path

    @property
    def targets(self) -> list[str]:
        """Names of the targets."""
        return target_names(self.table)

    @property
    def head(self) -> str:
        """classes, counts or profile."""
        return self.settings["architecture"]["head"]

    def part(self, split: str) -> pd.DataFrame:
        """Regions of a split that training uses."""
        return self.table[(self.table["split"] == split) & (self.table["kind"] != "background")]

    def signal_of(self, split: str) -> Signal | None:
        """Signal of the regions of a split; None for the head classes."""
        if self.head == "classes":
            return None
        assert self.signal is not None
        margin = self.settings["jitter"] if split == "train" else 0
        folder = self.output_dir / SIGNAL_NAME
        return load_signal(
            self.part(split), self.signal, self.targets, self.genome.sizes, margin=margin, folder=folder
        )  # fmt: skip


def train_model(
    table: pd.DataFrame,
    genome: Genome,
    summary: Mapping | None = None,
    *,
    architecture: dict,
    settings: TrainingSettings = TrainingSettings(),
    fold: int | None = None,
    device: str = "auto",
    devices: int = 1,
    output_dir: str | os.PathLike,
) -> dict:
    """Train, choose the best epoch, and write the model and its history to a folder.

    Writes `model.ckpt` and `history.tsv` (and TensorBoard events to `tensorboard/`). While it runs the folder also
    holds a hidden file with the state after the last epoch: started again with the same settings, training goes on from
    there.

    Parameters
    ----------
    table : pandas.DataFrame
        Regions as `seqlift.regions.make.read_regions` gives them.
    genome : Genome
        Where they lie.
    summary : dict, optional
        Content of `regions.json`; heads `counts` and `profile` find the signal there.
    architecture : dict
        See `seqlift.models.build.build_model`.
    settings : TrainingSettings
        Early stopping never happens before 300 steps without a better validation loss. Restart k has the seed
        `attempt_seed(seed, k)`; shuffled negatives keep that of the first attempt in validation. The best attempt that
        has learned something is kept, or if none has, the one with the smallest validation loss.
    fold : int, optional
        The fold to hold out, for regions that are split into folds.
    device : {"auto", "cpu", "cuda"}
        "auto": a GPU where there is one.
    devices : int
        Number of GPUs, or of processes on the CPU, among which each batch is divided.
    output_dir : path
        Made if needed.

    Returns
    -------
    dict
        `training` of the checkpoint: the settings; `best_epoch`, its row of the history as `best`; `learned`,
        `learned_targets`, `learned_outputs`, `valid_loss`, `base_rate_loss` (see `objectives.Verdict`);
        `restarts` (how many there were), `attempt` (the one that was kept, from 1) and `attempt_seed`; `epochs_run`
        (of the attempt that was kept), `parameters`, `device`. No times: the same training gives the same file to the
        bit.

    Raises
    ------
    SeqliftError
        A setting out of range, no GPU, a split without positives or negatives of a target or without signal, a loss
        that is not finite, a disk that is full.
    """
    if isinstance(settings.seed, tuple):
        raise SeqliftError(
            f"`seed` (={list(settings.seed)}) must be one seed; each seed of a list has a training of its own"
        )
    if devices < 1:
        raise SeqliftError(f"devices (={devices}) must be at least 1")
    if devices > 1 and (settings.batch_size % devices or settings.batch_size < 2 * devices):
        raise SeqliftError(
            f"training.batch_size (={settings.batch_size}) must be a multiple of the {devices} "
            "devices it is divided among, with at least 2 regions for each"
        )
    if settings.tensorboard:
        check_tensorboard()
    device = _choose_device(device, devices, settings.precision)
    log.info("device: %s", describe_device(device, devices))
    architecture = resolve_architecture(architecture)
    table = _with_splits(table, fold)
    signal = None if architecture["head"] == "classes" else _signal_settings(table, summary, architecture["head"])
    _check_splits(table, architecture["head"])
    check_apart(table, settings.jitter)
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    given = {**settings.as_dict(), "fold": fold}
    names = ("epochs", "batch_size", "patience", "jitter", "seed", "fold", "schedule", "precision", "class_weights")
    deciding = {name: given[name] for name in names} | {
        "architecture": architecture,
        "learning_rate": float(settings.learning_rate),
        "weight_decay": float(settings.weight_decay),
        "reverse_complement": settings.reverse_complement,
        "gradient_clip": None if settings.gradient_clip is None else float(settings.gradient_clip),
        "count_weight": float(settings.count_weight),
        "devices": devices,  # batch normalisation and dropout are those of each device's share
        "signal": _without_folders(signal),
        "regions_sha256": _digest(table),
        "genome_sha256": genome.sha256,
        "package_version": __version__,
    }
    job = Job(
        table,
        genome,
        signal,
        _shape(table, signal, architecture["head"]),
        deciding,
        settings.restarts,
        device,
        settings.tensorboard,
        output_dir,
    )
    if devices == 1:
        training = run_job(job)
    else:
        for split in ("train", "valid"):  # written once, by this process
            job.signal_of(split)
        training = in_processes(run_job, devices, job)
    shutil.rmtree(output_dir / SIGNAL_NAME, ignore_errors=True)
    (output_dir / RESUME_NAME).unlink(missing_ok=True)
    return training


def run_job(job: Job, rank: int = 0, world: int = 1) -> dict:
    """Train, restart while nothing has been learned, and write the best model; each process calls this function.

    Parameters
    ----------
    job : Job
    rank, world : int
        Number of this process, from 0, and number of processes; only the first writes files.

    Returns
    -------
    dict
        See `train_model`.
    """
    place = Place(job.device, rank, world)
    state_path = job.output_dir / RESUME_NAME
    state = read_state(state_path, job.settings)
    attempts: list[Attempt] = state["earlier"] if state else []
    valid = _valid_regions(job, place)
    while True:
        attempts.append(_attempt(job, place, valid, attempts, state))
        state = None
        verdict, made = attempts[-1].verdict, len(attempts) - 1
        if verdict["learned"] or made >= job.restarts:
            break
        log.warning(
            "WARNING: training with seed %d has learned nothing: its validation loss of %.4f is not better than that "
            "of constant predictions, %.4f, by more than chance. Restarting with another seed (restart %d of %d)",
            attempts[-1].seed,
            verdict["loss"],
            verdict["base_loss"],
            made + 1,
            job.restarts,
        )
    best = min(attempts, key=lambda attempt: (not attempt.verdict["learned"], attempt.verdict["loss"]))
    model = _best_model(job, best)
    training = _describe(job, model, best, attempts)
    if rank == 0:
        _warn(training, job.restarts)
        _write(job, model, attempts, training)
    return training


def attempt_seed(seed: int, attempt: int) -> int:
    """Seed of an attempt (from 0): that of the training, then seeds drawn from it.

    Not the next number, which may be the seed of another model of the same run: one network would be used twice.
    """
    return int(np.random.SeedSequence([seed, attempt]).generate_state(1)[0]) if attempt else seed


def _attempt(job: Job, place: Place, valid: FixedRegions, earlier: list[Attempt], state: dict | None) -> Attempt:
    settings = job.settings
    seed = attempt_seed(settings["seed"], len(earlier))
    part, signal = job.part("train"), job.signal_of("train")
    regions = TrainingRegions(
        part,
        job.genome,
        labels_of(part),
        jitter=settings["jitter"],
        reverse_complement=settings["reverse_complement"],
        seed=seed,
        device=place.own_device,
        signal=signal,
    )
    objective = _objective(job, part, regions.active(0), signal)
    with torch.random.fork_rng(devices=[place.rank] if place.device == "cuda" else []):
        torch.manual_seed(seed)
        model = build_model(settings["architecture"], job.shape)
        if isinstance(objective, CountsObjective):
            start_at(model, objective.base_log_count.float())
        log.info(
            "training %s (%s weights) on %s regions, %s, at most %d epochs",
            settings["architecture"]["type"],
            f"{_parameters(model):,}",
            f"{regions.epoch_size:,}",
            job.device if place.world == 1 else f"{place.world} x {job.device}",
            settings["epochs"],
        )
        return fit(
            model,
            objective,
            regions,
            valid,
            targets=job.targets,
            settings=settings,
            seed=seed,
            earlier=list(earlier),
            state=state,
            place=place,
            output_dir=job.output_dir,
            tensorboard=job.tensorboard,
        )


def _valid_regions(job: Job, place: Place) -> FixedRegions:
    part = job.part("valid")
    return FixedRegions(
        part,
        job.genome,
        labels_of(part),
        batch_size=min(EVALUATION_BATCH, max(1, len(part) // place.world)),  # at least one batch for each process
        seed=job.settings["seed"],
        device=place.own_device,
        signal=job.signal_of("valid"),
    )


def _objective(job: Job, part: pd.DataFrame, rows: np.ndarray, signal: Signal | None) -> Objective:
    """The objective, with its constants from the training regions `rows` of one epoch."""

    def pieces() -> Iterator[Tensor]:
        assert signal is not None
        middle = slice(signal.margin, signal.margin + signal.window)
        for first in range(0, len(rows), _REGIONS_AT_ONCE):
            values = signal.values[rows[first : first + _REGIONS_AT_ONCE], :, :, middle]
            yield torch.from_numpy(np.array(values))

    return make_objective(
        job.head,
        labels_of(part)[rows],
        [] if signal is None else pieces(),
        None if signal is None else signal.known[rows],
        class_weights=job.settings["class_weights"],
        count_weight=job.settings["count_weight"],
    )


def _parameters(model: torch.nn.Module) -> int:
    return sum(weights.numel() for weights in model.parameters())


def _best_model(job: Job, best: Attempt) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):  # the random initial weights are replaced below
        model = build_model(job.settings["architecture"], job.shape)
    model.load_state_dict(best.best_weights)
    return model


def _describe(job: Job, model: torch.nn.Module, best: Attempt, attempts: list[Attempt]) -> dict:
    """`training` of the checkpoint, plain values."""
    settings = {name: value for name, value in job.settings.items() if name not in ("architecture", "package_version")}
    return settings | {
        "best_epoch": best.best_epoch,
        "best": {name: value for name, value in best.history[best.best_epoch - 1].items() if name != "seconds"},
        "learned": best.verdict["learned"],
        "learned_targets": best.verdict["learned_targets"],
        "learned_outputs": best.verdict["learned_outputs"],
        "valid_loss": best.verdict["loss"],
        "base_rate_loss": best.verdict["base_loss"],
        "restarts": len(attempts) - 1,
        "attempt": next(number for number, attempt in enumerate(attempts, 1) if attempt is best),
        "attempt_seed": best.seed,
        "epochs_run": len(best.history),
        "parameters": _parameters(model),
        "device": job.device,
    }


def _warn(training: dict, max_restarts: int) -> None:
    """Warn about what has not been learned."""
    tried = training["restarts"] + 1
    if not training["learned"]:
        log.warning(
            "WARNING: none of %d trainings (training.restarts is %d) has learned anything. The best one is kept, but "
            "its scores mean nothing.",
            tried,
            max_restarts,
        )
    elif tried > 1:
        log.warning("only training %d, with seed %d, has learned something", tried, training["attempt_seed"])
    for name in [name for name, good in training["learned_outputs"].items() if not good]:
        log.warning(
            "WARNING: the model has learned nothing about %s: its validation loss is no better than that of constant "
            "predictions. Do not interpret its scores. More or better peaks, more epochs, a smaller learning rate or "
            "batch size, or a smaller model may help.",
            name,
        )


def _write(job: Job, model: torch.nn.Module, attempts: list[Attempt], training: dict) -> None:
    """Write history and model; neither if one of them cannot be written."""
    rows = [{**row, "attempt": number} for number, attempt in enumerate(attempts, start=1) for row in attempt.history]
    history = pd.DataFrame(rows).round({"seconds": 3})
    first = ["epoch", "train_loss", "valid_loss", "learning_rate", "seconds", "attempt"]
    history = history[first + [column for column in history if column not in first]]
    path = job.output_dir / "history.tsv"
    try:
        with replacing(path) as temporary:
            history.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="nan")
            save_checkpoint(
                job.output_dir / "model.ckpt",
                model,
                architecture=job.settings["architecture"],
                targets=job.targets,
                shape=job.shape,
                training=training,
            )
    except OSError as error:
        raise SeqliftError(
            f"{path}: cannot be written ({error.strerror or error}); is the disk full? Make room and start again: the "
            "training itself is kept"
        ) from None


# --- settings ---------------------------------------------------------------------------------------------------------


def _choose_device(device: str, devices: int, precision: str) -> str:
    chosen = str(choose_device(device))
    if chosen not in ("cpu", "cuda"):
        raise SeqliftError(
            f"device {device!r}: training accepts auto, cpu or cuda; CUDA_VISIBLE_DEVICES selects the cards"
        )
    if chosen == "cuda" and devices > torch.cuda.device_count():
        raise SeqliftError(
            f"devices (={devices}) must be at most {torch.cuda.device_count()}, the number of GPUs that torch sees"
        )
    if chosen == "cpu" and precision == "16-mixed":
        raise SeqliftError("training.precision (='16-mixed') needs a GPU; on a CPU use bf16-mixed or 32")
    return chosen


def _with_splits(table: pd.DataFrame, fold: int | None) -> pd.DataFrame:
    folds = fold_names(table)
    if fold is None and folds:
        raise SeqliftError(
            f"the regions are split into {len(folds)} folds; choose the one to hold out, for example --fold 0"
        )
    return table if fold is None else assign_fold(table, fold)


def _signal_settings(table: pd.DataFrame, summary: Mapping | None, head: str) -> dict:
    """`signal` of regions.json; SeqliftError if a target has none."""
    without = [name for name in target_names(table) if SIGNAL_PREFIX + name not in table]
    signal = (summary or {}).get("signal")
    if without or not signal:
        raise SeqliftError(
            f"model.head (={head!r}) predicts a signal, but these targets have none: "
            f"{', '.join(without) or 'all'}; give each of them `signal` (bigWig files), or choose the head classes"
        )
    return dict(signal)


def _digest(table: pd.DataFrame) -> str:
    """Checksum of the names and values of a table (as text, a million regions would take gigabytes)."""
    digest = hashlib.sha256("\t".join(table.columns).encode())
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _without_folders(signal: dict | None) -> dict | None:
    """The settings of the signal that determine results: file names without folders."""
    if signal is None:
        return None
    files = {
        name: {role: [os.path.basename(path) for path in paths] for role, paths in roles.items()}
        for name, roles in signal["files"].items()
    }
    kept = {key: signal[key] for key in ("window", "strands", "control_strands", "missing", "negative")}
    return kept | {"files": files}


def _shape(table: pd.DataFrame, signal: dict | None, head: str) -> Shape:
    sizes = {"length": int(table["end"].iloc[0] - table["start"].iloc[0]), "n_targets": len(target_names(table))}
    if head == "profile":
        assert signal is not None
        channels = sizes["n_targets"] * signal["control_strands"]
        sizes |= {"strands": signal["strands"], "window": signal["window"], "control_channels": channels}
    return Shape(**sizes)


def _check_splits(table: pd.DataFrame, head: str) -> None:
    """Every target needs positives and negatives, or known signal, in every split."""
    for split in SPLITS:
        part = table[(table["split"] == split) & (table["kind"] != "background")]
        for name in target_names(table):
            if head == "classes":
                counts = part[TARGET_PREFIX + name].value_counts()
                lacking = next(
                    (what for value, what in ((1, "positive"), (0, "negative")) if not counts.get(value)), ""
                )
                if lacking:
                    raise SeqliftError(
                        f"split {split!r} has no {lacking} region of target {name!r} ({len(part)} regions in all); "
                        "choose other chromosomes for regions.valid and regions.test, or add peaks or negatives"
                    )
            elif part[SIGNAL_PREFIX + name].notna().sum() < 2:
                raise SeqliftError(
                    f"split {split!r} has fewer than 2 regions with a known signal of target {name!r} ({len(part)} "
                    "regions in all); choose other chromosomes for regions.valid and regions.test, or signal.missing "
                    "zero if bases without a value mean none"
                )
