"""What a profile model expects at each base of its peaks, as bigWig: to be read beside the measured signal.

The expected signal at a base is its share of the profile (the softmax of the logits over strands and positions) times
the expected count of the window (exp(log count) - 1), so it has the units of the signal that was measured. Control
tracks are zero, as in the scores: what the sequence says by itself. Of several models (folds) it is the prediction of
their mean, the one that the scores explain; of a region that some of them were trained on it is no test of them.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from seqlift.attribution.attribute import joint_fingerprint
from seqlift.core.devices import choose_device, describe_device
from seqlift.data.genome import Genome
from seqlift.data.windows import load_codes
from seqlift.errors import SeqliftError
from seqlift.models.ensemble import Ensemble
from seqlift.models.predicting import BATCH, predict_profiles
from seqlift.models.several import load_models
from seqlift.models.trained import TrainedModel
from seqlift.regions.table import read_regions
from seqlift.tracks.sizes import read_sizes
from seqlift.tracks.source import Source, scratch
from seqlift.tracks.writing import TrackSummary, write_source

log = logging.getLogger(__name__)


def write_predicted(
    model_paths: Sequence[str | os.PathLike],
    regions_path: str | os.PathLike,
    summary_path: str | os.PathLike,
    genome_path: str | os.PathLike,
    *,
    target: str,
    output: str | os.PathLike,
    output_minus: str | os.PathLike | None = None,
    overlap: str = "nearest-summit",
    device: str = "auto",
) -> list[TrackSummary]:
    """Write the predicted signal of one target in the signal windows of all peak regions, and a JSON beside each file.

    Parameters
    ----------
    model_paths : sequence of path-like
        Models with a profile head; of several the mean of their logits and log counts.
    regions_path, summary_path, genome_path : path-like
        regions.tsv.gz, regions.json and the FASTA.
    target : str
    output, output_minus : path-like
        bigWigs to write: of the plus strand and the minus strand, or of the one that there is.
    overlap : "nearest-summit" or "mean"
    device : "auto", "cpu" or "cuda"

    Returns
    -------
    list of TrackSummary
        Of each strand.

    Raises
    ------
    SeqliftError
        If the models have no profile or not this target, the strands are not those of the outputs, or there is no peak.
    """
    trained = load_models(model_paths)
    outputs = _outputs(trained[0], target, output, output_minus)
    table = read_regions(regions_path)
    table = table[table["kind"] == "peak"].reset_index(drop=True)
    length = int((table["end"] - table["start"]).iloc[0]) if len(table) else None
    if length != trained[0].length:
        found = f"regions of {length} bp" if length else "no peaks"
        raise SeqliftError(f"{regions_path}: holds {found}, the model reads {trained[0].length} bp; give its regions")
    window = trained[0].shape.window
    start = table["start"] + (length - window) // 2
    coords = pd.DataFrame({"chrom": table["chrom"], "start": start, "end": start + window, "name": table["name"]})
    about = {
        "target": target,
        "method": "prediction",
        "value": "predicted",
        "scores": None,
        "minus": None,
        "model_fingerprint": joint_fingerprint(trained),
    }
    sizes = read_sizes(summary_path)
    with contextlib.ExitStack() as stack:
        genome = stack.enter_context(Genome(genome_path))
        folder = os.path.dirname(os.path.abspath(output))
        values = [stack.enter_context(scratch((len(table), window), folder)) for _ in outputs]
        for rows, expected in _expected_signal(trained, target, table, genome, device):
            for strand, held in enumerate(values):
                held[rows] = expected[:, strand]
        return [
            write_source(
                Source(str(regions_path), coords, held, about | {"strand": strand}),
                path,
                chromosome_sizes=sizes,
                overlap=overlap,
            )
            for (strand, path), held in zip(outputs.items(), values, strict=True)
        ]


def _outputs(
    model: TrainedModel, target: str, output: str | os.PathLike, output_minus: str | os.PathLike | None
) -> dict[str, str | os.PathLike]:
    """Strand -> path, in the order of the model's strands."""
    if model.head != "profile":
        raise SeqliftError(f"the model predicts {model.head}, no profile; predicted tracks need model.head: profile")
    if target not in model.targets:
        raise SeqliftError(f"the model has no target {target!r}; it has: {', '.join(model.targets)}")
    if model.shape.strands == 2 and output_minus is None:
        raise SeqliftError("the model predicts both strands; give --output-minus, too")
    if model.shape.strands == 1 and output_minus is not None:
        raise SeqliftError("the model predicts one strand; leave --output-minus out")
    return {"+": output, "-": output_minus} if output_minus is not None else {".": output}


def _expected_signal(
    trained: list[TrainedModel], target: str, table: pd.DataFrame, genome: Genome, device: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and their expected signal (B, S, W), float32, block by block."""
    models, shape = [each.model for each in trained], trained[0].shape
    model = models[0] if len(models) == 1 else Ensemble(models)
    where, index = choose_device(device), trained[0].targets.index(target)
    log.info("device: %s", describe_device(where))
    for first in range(0, len(table), BATCH):
        rows = slice(first, min(first + BATCH, len(table)))
        codes = load_codes(table.iloc[rows], genome, seed=0)  # peaks: nothing is shuffled
        control = None
        if shape.control_channels:
            control = np.zeros((len(codes), shape.control_channels, shape.window), np.float32)
        found = predict_profiles(model, codes, control=control, device=where)
        logits = found.logits[:, index].astype(np.float64)  # (B, S, W)
        shares = np.exp(logits - logits.max(axis=(1, 2), keepdims=True))
        shares /= shares.sum(axis=(1, 2), keepdims=True)
        counts = np.expm1(np.maximum(found.log_counts[:, index].astype(np.float64), 0))
        yield rows, (shares * counts[:, None, None]).astype(np.float32)
