"""From regions to a model that can be used and a fair account of how good it is.

The network learns on the regions of split 'train', the epoch is chosen on 'valid', and all numbers come from 'test',
chromosomes that neither has seen. Metrics and predictions are those of the plain network read on the plus strand: the
same function that is explained afterwards, not an average over strands that nobody could attribute.
"""

import gzip
import hashlib
import json
import logging
import math
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from seqlift import __version__
from seqlift.dataset import AugmentedRegions, load_codes, one_hot
from seqlift.errors import SeqliftError
from seqlift.files import replacing
from seqlift.fitting import EVALUATION_BATCH, RESUME_NAME, Fitted, fit
from seqlift.genome import Genome
from seqlift.metrics import discrimination
from seqlift.models import build_model, resolve_architecture
from seqlift.models.checkpoint import save_checkpoint
from seqlift.regions import target_names

log = logging.getLogger(__name__)

METRICS_FORMAT = "seqlift metrics 1"
SPLITS = ("train", "valid", "test")
MIN_PATIENCE_STEPS = 300  # with little data an epoch is a few steps, too few to say that nothing improves any more
RESAMPLES = 1000


def train_model(
    table: pd.DataFrame,
    genome: Genome,
    *,
    architecture: dict,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    patience: int,
    jitter: int,
    reverse_complement: bool,
    seed: int,
    device: str = "auto",
    output_dir: str | os.PathLike,
) -> dict:
    """Train, choose the best epoch, test, and write all of it to a folder.

    Writes `model.ckpt`, `history.tsv`, `metrics.json` and `predictions.tsv.gz`. While it runs the folder also holds a
    hidden file with the state after the last epoch: started again with the same settings, training goes on from there.

    Parameters
    ----------
    table : pandas.DataFrame
        Regions as `seqlift.regions.read_regions` gives them.
    genome : Genome
        Where they lie.
    architecture : dict
        See `seqlift.models.build_model`.
    epochs : int
        At most so many passes over the training regions.
    batch_size : int
        Regions in a step.
    learning_rate, weight_decay : float
        Of AdamW.
    patience : int
        Stop when the validation loss has not improved for so many epochs, and never before 300 steps without one.
    jitter : int
        Training regions are moved by up to so many bp.
    reverse_complement : bool
        Whether training reads half of the regions from the other strand.
    seed : int
        Of everything that is random.
    device : {"auto", "cpu", "cuda"}
        "auto": a GPU where there is one.
    output_dir : path
        Made if needed.

    Returns
    -------
    dict
        The content of `metrics.json`.

    Raises
    ------
    SeqliftError
        A setting out of range, no GPU, a split without positives or negatives of a target, a loss that is not finite.
    """
    _check_settings(locals())
    device = _choose_device(device)
    targets = target_names(table)
    _check_splits(table, targets)
    architecture = resolve_architecture(architecture)
    length = int(table["end"].iloc[0] - table["start"].iloc[0])
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    settings = {
        "architecture": architecture,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": float(learning_rate),
        "weight_decay": float(weight_decay),
        "patience": patience,
        "jitter": jitter,
        "reverse_complement": bool(reverse_complement),
        "seed": seed,
        "device": device,
        "regions_sha256": hashlib.sha256(table.to_csv(sep="\t", index=False).encode()).hexdigest(),
        "genome_sha256": genome.sha256,
        "package_version": __version__,
    }

    parts = {split: table[table["split"] == split] for split in SPLITS}
    labels = {split: part[[f"target:{name}" for name in targets]].to_numpy() for split, part in parts.items()}
    codes = {split: load_codes(parts[split], genome, seed=seed) for split in ("valid", "test")}
    regions = AugmentedRegions(
        load_codes(parts["train"], genome, margin=jitter, seed=seed),
        labels["train"],
        jitter=jitter,
        reverse_complement=reverse_complement,
        fixed=parts["train"]["kind"].to_numpy() == "shuffled",
        seed=seed,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(architecture, length=length, n_targets=len(targets))
        n_parameters = sum(weights.numel() for weights in model.parameters())
        log.info(
            "training %s (%s weights) on %s regions, %s, at most %d epochs",
            architecture["type"],
            f"{n_parameters:,}",
            f"{len(regions):,}",
            device,
            epochs,
        )
        steps = math.ceil(len(regions) / batch_size)
        fitted = fit(
            model,
            regions,
            (codes["valid"], labels["valid"]),
            targets=targets,
            settings=settings,
            epochs=epochs,
            patience=max(patience, math.ceil(MIN_PATIENCE_STEPS / steps)),
            batch_size=batch_size,
            device=device,
            output_dir=output_dir,
        )
    model.load_state_dict(fitted.best_weights)
    logits = {split: predict(model, codes[split], device=device) for split in ("valid", "test")}
    metrics = {
        "format": METRICS_FORMAT,
        "split": "test",
        "targets": _test_metrics(parts["test"], logits["test"], targets, seed),
        **_learned(labels["train"], labels["valid"], logits["valid"], targets),
        "bootstrap": {"resamples": RESAMPLES, "seed": seed, "level": 0.95},
        "best_epoch": fitted.best_epoch,
        "epochs": len(fitted.history),
        "parameters": n_parameters,
        "seconds": round(sum(row["seconds"] for row in fitted.history), 1),
        "device": device,
    }
    _write(output_dir, model.cpu(), fitted, metrics, settings, parts, labels, logits, targets, length)
    (output_dir / RESUME_NAME).unlink(missing_ok=True)
    return metrics


def predict(model: torch.nn.Module, codes: np.ndarray, *, device: str = "cpu") -> np.ndarray:
    """Logits of sequences: the model in evaluation mode, plus strand.

    Parameters
    ----------
    model : torch.nn.Module
        (N, 4, L) -> (N, T); moved to `device` and set to evaluation mode.
    codes : numpy.ndarray, shape (N, L), uint8
        See `seqlift.dataset.load_codes`.
    device : str

    Returns
    -------
    numpy.ndarray, shape (N, T), float32
    """
    model = model.to(device).eval()
    with torch.inference_mode():
        batches = torch.from_numpy(codes).split(EVALUATION_BATCH)
        return torch.cat([model(one_hot(batch.to(device))).cpu() for batch in batches]).numpy()


def _check_settings(settings: dict) -> None:
    rules = {
        "epochs": (1, "at least 1"),
        "batch_size": (2, "at least 2"),
        "patience": (1, "at least 1"),
        "jitter": (0, "at least 0 bp"),
        "seed": (0, "at least 0"),
        "weight_decay": (0, "at least 0"),
    }
    for name, (least, rule) in rules.items():
        if not settings[name] >= least:
            raise SeqliftError(f"training.{name} (={settings[name]}) must be {rule}")
    if not 0 < settings["learning_rate"] < math.inf:
        raise SeqliftError(f"training.learning_rate (={settings['learning_rate']}) must be above 0")


def _choose_device(device: str) -> str:
    if device not in ("auto", "cpu", "cuda"):
        raise SeqliftError(f"device {device!r} does not exist; choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise SeqliftError("device cuda was asked for, but torch sees no GPU; use --device auto or cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _check_splits(table: pd.DataFrame, targets: list[str]) -> None:
    for split in SPLITS:
        part = table[table["split"] == split]
        for name in targets:
            positives = int(part[f"target:{name}"].sum())
            if positives == 0 or positives == len(part):
                what = "positive" if positives == 0 else "negative"
                raise SeqliftError(
                    f"split {split!r} has no {what} region of target {name!r} ({len(part)} regions in all); "
                    "choose other chromosomes for regions.valid and regions.test, or add peaks or negatives"
                )


def _test_metrics(part: pd.DataFrame, logits: np.ndarray, targets: list[str], seed: int) -> dict:
    """Each target against all test regions without its label, and against the drawn negatives alone ("_matched")."""
    drawn = part["kind"].to_numpy() != "peak"
    metrics = {}
    for i, name in enumerate(targets):
        positive = part[f"target:{name}"].to_numpy() == 1
        among = positive | drawn
        matched = asdict(discrimination(logits[among, i], positive[among], resamples=RESAMPLES, seed=seed))
        every = asdict(discrimination(logits[:, i], positive, resamples=RESAMPLES, seed=seed))
        matched = {f"{key}_matched": value for key, value in matched.items() if key != "positives"}
        # JSON has no NaN
        metrics[name] = {key: None if value != value else value for key, value in (every | matched).items()}
    return metrics


def _learned(train_labels: np.ndarray, labels: np.ndarray, logits: np.ndarray, targets: list[str]) -> dict:
    """Whether validation losses beat those of the base rates of training by more than three standard errors."""
    rate = np.broadcast_to(train_labels.mean(axis=0), labels.shape).clip(1e-6, 1 - 1e-6)
    truth = torch.from_numpy(labels.astype(float))
    base = F.binary_cross_entropy(torch.from_numpy(rate.astype(float)), truth, reduction="none").numpy()
    loss = F.binary_cross_entropy_with_logits(torch.from_numpy(logits).double(), truth, reduction="none").numpy()

    def better(gain: np.ndarray) -> bool:
        return bool(gain.mean() > 3 * gain.std() / math.sqrt(len(gain)))

    by_target = {name: better(base[:, i] - loss[:, i]) for i, name in enumerate(targets)}
    learned = better((base - loss).mean(axis=1))
    for name in [name for name, good in by_target.items() if not good]:
        log.warning(
            "WARNING: the model has learned nothing about %s: its validation loss is no better than that of always "
            "saying the base rate. Do not read anything into its scores. More or better peaks, more epochs, a smaller "
            "learning rate or a smaller model may help.",
            name,
        )
    return {
        "learned": learned,
        "learned_targets": by_target,
        "valid_loss": float(loss.mean()),
        "base_rate_loss": float(base.mean()),
    }


def _write(output_dir, model, fitted: Fitted, metrics, settings, parts, labels, logits, targets, length) -> None:
    history = pd.DataFrame(fitted.history)
    with replacing(output_dir / "history.tsv") as temporary:
        history.round({"seconds": 3}).to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="nan")
    tables = []
    for split in ("valid", "test"):
        rows = parts[split][["chrom", "start", "end", "name", "split"]].reset_index(drop=True)
        for i, name in enumerate(targets):
            rows[f"target:{name}"] = labels[split][:, i]
        for i, name in enumerate(targets):
            rows[f"logit:{name}"] = logits[split][:, i]
        tables.append(rows)
    with replacing(output_dir / "predictions.tsv.gz") as temporary:
        text = pd.concat(tables).to_csv(sep="\t", index=False, float_format="%.6g")
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))  # equal predictions are equal files
    with replacing(output_dir / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=2) + "\n")
    save_checkpoint(
        output_dir / "model.ckpt",
        model,
        architecture=settings["architecture"],
        targets=targets,
        length=length,
        training={
            **{name: value for name, value in settings.items() if name not in ("architecture", "package_version")},
            "best_epoch": fitted.best_epoch,
            "best": fitted.history[fitted.best_epoch - 1],
            "learned": metrics["learned"],
        },
    )
