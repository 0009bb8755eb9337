"""From a region table to a score file: one output of a model explained at its target's peaks, block by block.

Of several models (folds, seeds) the mean is explained: one function, whose contributions are the means of theirs. The
standard deviation over the models of the contribution of each base shows how well they agree.

Contributions must add up to the difference between the predictions for a sequence and its reference. The completeness
delta of every pair is saved, and if one is above the tolerance, the run fails and leaves no score file.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from seqlift import __version__
from seqlift.attribution.deeplift import DeepLift, deeplift
from seqlift.attribution.explained_output import ExplainedOutput, explained_output
from seqlift.attribution.interior_gradients import InteriorGradients, interior_gradients
from seqlift.attribution.mutagenesis import Mutagenesis, mutagenesis
from seqlift.attribution.options import DeepLiftOptions, InteriorGradientsOptions
from seqlift.attribution.references import reference_kind
from seqlift.attribution.save import score_fields
from seqlift.attribution.settings import METHODS, AttributionSettings
from seqlift.attribution.totals import broken_completeness
from seqlift.core.devices import choose_device, describe_device
from seqlift.core.progress import counted_progress
from seqlift.data.genome import Genome
from seqlift.data.windows import load_one_hot
from seqlift.errors import SeqliftError
from seqlift.models.outputs import Output
from seqlift.models.several import load_models, members_of
from seqlift.models.trained import TrainedModel
from seqlift.scores.file import choose_examples, create_scores

log = logging.getLogger(__name__)

Result = DeepLift | InteriorGradients | Mutagenesis

_BLOCK_NUMBERS = 2**24  # the scores and paths of a block take some hundred MB
# Rows of the model in a block, at least. Shards are whole blocks, so on a CPU, where small blocks cost next to nothing,
# they are small; a GPU has to be filled.
_CPU_BLOCK_ROWS, _GPU_BLOCK_ROWS = 2**10, 2**15
_AUTO = {"n_references": 10, "steps": 16}  # typical numbers where "auto" decides
_PREDICTED = 2048  # regions predicted at a time


def choose_regions(table: pd.DataFrame, target: str, max_regions: int, seed: int) -> pd.DataFrame:
    """The regions to explain: the target's peaks, or a random sample of at most `max_regions`, in the table's order.

    The table has columns `kind` and `target:<name>`. Raises a `SeqliftError` if it has no such target, or if no peak
    region is positive for it.
    """
    column = f"target:{target}"
    if column not in table:
        known = ", ".join(name.removeprefix("target:") for name in table if name.startswith("target:"))
        raise SeqliftError(f"the regions have no target {target!r}; they have: {known}")
    if max_regions < 1:
        raise SeqliftError(f"--max-regions (={max_regions}) must be at least 1")
    positive = np.flatnonzero((table[column].to_numpy() == 1) & (table["kind"].to_numpy() == "peak"))
    if not len(positive):
        raise SeqliftError(f"no peak region is positive for target {target!r}: there is nothing to explain")
    if len(positive) > max_regions:
        positive = np.sort(np.random.default_rng(seed).choice(positive, max_regions, replace=False))
    return table.iloc[positive].reset_index(drop=True)


def choose_sample(
    regions: pd.DataFrame, prediction: np.ndarray, *, sample: int, examples: int, seed: int
) -> pd.DataFrame:
    """At most `sample` regions for a slow method: the report's examples and a random choice of the others.

    Parameters
    ----------
    regions : pandas.DataFrame, N rows
        With a column `split`.
    prediction : numpy.ndarray, shape (N,)
    sample : int
    examples : int
        Number of examples among them (`seqlift.scores.file.choose_examples`).
    seed : int
        Seed of the random choice.
    """
    if sample < 1 or examples < 0:
        raise SeqliftError(f"--sample (={sample}) must be at least 1, --examples (={examples}) at least 0")
    rows, _ = choose_examples(regions, prediction, regions["split"], min(examples, sample))
    others = np.setdiff1d(np.arange(len(regions)), rows)
    more = np.random.default_rng(seed).choice(others, min(sample - len(rows), len(others)), replace=False)
    return regions.iloc[np.sort(np.r_[rows, more].astype(int))].reset_index(drop=True)


def attribute_regions(
    models: str | os.PathLike | Sequence[str | os.PathLike],
    table: pd.DataFrame,
    genome: Genome,
    output: str | os.PathLike,
    *,
    target: str,
    method: str,
    settings: AttributionSettings = AttributionSettings(),
    examples: int = 0,
    device: str = "auto",
    shard: tuple[int, int] | None = None,
    attempt: int = 1,
) -> int:
    """Explain one output at the peaks of its target with one method and write the score file (`seqlift.scores.file`).

    Parameters
    ----------
    models : path-like, or sequence of them
        A checkpoint of `seqlift train`, or several with the same head, targets and sizes, whose mean is explained.
    table : pandas.DataFrame
        Regions (`seqlift.regions.table.read_regions`) of the model's length.
    genome : Genome
    output : path-like
        The score file; it is complete when it appears.
    target : str
        An output of the model: a target, or `<target>.counts` or `<target>.profile` of a profile model.
    method : "deeplift", "interior_gradients" or "mutagenesis"
    settings : AttributionSettings
        `max_regions`, `seed` and `model_std`, and those of the method.
    examples : int
        Regions that the report shows, which mutagenesis includes in its sample.
    device : "auto", "cpu" or "cuda"
    shard : (number, count), optional
        Only the regions of this one of `count` jobs, from 1 (`shard_rows`). `gather_scores` joins their files, with the
        same result as without shards, to the bit on a CPU. Mutagenesis has no shards.
    attempt : int
        Number of this attempt, from 1. Each further one gives the model a quarter of the rows at a time, as the one
        before may have run out of memory.

    Returns
    -------
    int
        The number of regions explained.

    Raises
    ------
    SeqliftError
        If models, target, method, settings or lengths do not fit together, or contributions do not add up.
    """
    if method not in (*METHODS, "mutagenesis"):
        raise SeqliftError(f"method {method!r} does not exist; choose from {', '.join(METHODS)}, mutagenesis")
    own, seed, tolerance = getattr(settings, method).as_dict(), settings.seed, None
    if shard is not None and method == "mutagenesis":
        raise SeqliftError("mutagenesis explains a sample and has no shards; leave --shard out")
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise SeqliftError(
            f"--shard (={shard[0]}of{shard[1]}) must be a number from 1 to the count of shards: 1of16, 2of16, ..."
        )
    if attempt < 1:
        raise SeqliftError(f"--attempt (={attempt}) must be at least 1")
    paths = [models] if isinstance(models, str | os.PathLike) else list(models)
    opened = _open(paths, target, settings.model_std)
    chosen = choose_regions(table, opened.output.target, settings.max_regions, seed)
    length = int(chosen["end"].iloc[0] - chosen["start"].iloc[0])
    if length != opened.length:
        raise SeqliftError(f"{paths[0]}: the model takes {opened.length} bp, but the regions have {length} bp")
    where = choose_device(device)
    log.info("device: %s", describe_device(where))
    attributes = {"method": method, "target": target, "seed": seed, "package_version": __version__}
    mean, singles = opened.mean, opened.singles
    smaller = {}
    if attempt > 1:
        usual = mean.batch_size(load_one_hot(chosen.iloc[:1], genome, seed), where)
        smaller["batch_size"] = max(1, usual // 4 ** (attempt - 1))
    block_rows = _block_rows(length, method, own, where)
    if method == "mutagenesis":
        own = {"sample": own["max_regions"], "examples": examples}
        blocks = [chosen.iloc[first : first + _PREDICTED] for first in range(0, len(chosen), _PREDICTED)]
        f = torch.cat([mean.predict(load_one_hot(block, genome, seed), where) for block in blocks])
        chosen = choose_sample(chosen, f.numpy(), seed=seed, **own)
        call = call_of_mean = method_caller(method, where, **smaller)
    else:
        references, tolerance = own.pop("references"), own.pop("tolerance")
        attributes |= {"references": references, "tolerance": tolerance}
        if method == "interior_gradients":
            attributes["quadrature"] = "gauss-legendre"
        kind = reference_kind(references, genome=genome, exclude=table[table["kind"] == "peak"])
        given = {"references": kind, "seed": seed, **own, **smaller}
        call = method_caller(method, where, **given)
        path = {"keep_path": True} if method == "interior_gradients" else {}
        call_of_mean = method_caller(method, where, **given, **path)
    attributes |= opened.attributes | own
    if shard is not None:
        rows = shard_rows(len(chosen), *shard, block_rows)
        attributes |= {"shard": shard[0], "shards": shard[1], "first_region": rows.start, "all_regions": len(chosen)}
        chosen = chosen.iloc[rows.start : rows.stop].reset_index(drop=True)

    def explain(sequences: Tensor) -> tuple[Result, np.ndarray | None]:
        args = mean.args(sequences, where)  # the weights of the mean's profile serve its members too
        result = call_of_mean(mean, sequences, args)
        return result, _spread([call(each, sequences, args) for each in singles])

    _write(output, chosen, genome, explain, attributes, tolerance, length, block_rows)
    return len(chosen)


def shard_rows(n: int, number: int, count: int, block_rows: int) -> range:
    """The rows of job `number` (from 1) of `count` jobs: parts of `n` rows as equal as whole blocks allow.

    Blocks are the same as without shards, as the last digits of a score depend on what is computed beside it. If there
    are fewer blocks than jobs, some jobs have no rows.
    """

    def bound(i: int) -> int:
        return n if i == count else min(n, (2 * i * n + count * block_rows) // (2 * count * block_rows) * block_rows)

    return range(bound(number - 1), bound(number))


def _block_rows(length: int, method: str, settings: dict, device: torch.device) -> int:
    """Regions that are explained together; it depends only on settings and kind of device, not on their number."""
    if method == "mutagenesis":
        return max(1, _BLOCK_NUMBERS // 1024 // length)  # small, to show progress: each base takes three predictions
    steps = settings.get("steps")
    per_base = max(64, steps) if isinstance(steps, int) else 64
    most = max(1, _BLOCK_NUMBERS // per_base // length)
    per_region = 1
    for name, usual in _AUTO.items():
        if name in settings:
            per_region *= usual if settings[name] == "auto" else settings[name]
    rows = _CPU_BLOCK_ROWS if device.type == "cpu" else _GPU_BLOCK_ROWS
    return min(most, -(-rows // max(1, per_region)))


class _Opened(NamedTuple):
    """An output of one or several models, ready to be explained."""

    output: Output
    length: int
    mean: ExplainedOutput
    singles: list[ExplainedOutput]  # the networks of the mean, if each is explained by itself
    attributes: dict  # of the score file


def _open(paths: list, target: str, model_std: bool) -> _Opened:
    """Open models and find the output to explain."""
    trained = load_models(paths)
    first = trained[0]
    try:
        output = first.output(target)
    except SeqliftError as error:
        raise SeqliftError(f"{paths[0]}: {error}") from None
    networks = [network for each in trained for network in members_of(each.model)]
    if model_std and len(networks) < 2:
        raise SeqliftError(
            f"--model-std needs at least two models, folds, seeds or replicates; {paths[0]} is one network: leave "
            "--model-std out (attribution.model_std: false), or train with model.replicates, several training.seed or "
            "regions.folds"
        )

    def part(models: list[nn.Module]) -> ExplainedOutput:
        return explained_output(models, output, first.head, first.shape)

    attributes = {
        "quantity": output.quantity,
        "models": len(networks),
        "learned": _learned(trained, paths, output),
        "model_fingerprint": joint_fingerprint(trained),
    }
    fold = first.training.get("fold")
    if fold is not None and all(each.training.get("fold") == fold for each in trained):  # whatever the seeds
        attributes["fold"] = int(fold)
    singles = [part([network]) for network in networks] if model_std else []
    return _Opened(output, first.length, part([each.model for each in trained]), singles, attributes)


def _learned(trained: list[TrainedModel], paths: list, output: Output) -> bool:
    """Whether all models learned something about the output; logs a warning if not."""
    idle = [path for path, each in zip(paths, trained, strict=True) if not each.learned_about(output)]
    if idle:
        log.warning(
            "WARNING: %s learned nothing about %s: validation was no better than with the base rate. These scores "
            "explain noise; do not interpret them.",
            ", ".join(map(str, idle)),
            output.name,
        )
    return not idle


def joint_fingerprint(trained: list[TrainedModel]) -> str:
    """Fingerprint of the weights of all models, in any order."""
    found = sorted(each.fingerprint for each in trained)
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()


def _spread(results: list[Result]) -> np.ndarray | None:
    """Standard deviation over M models (with M - 1) of the contributions, (N, L); None without models."""
    if not results:
        return None
    contributions = torch.stack([result.contributions.sum(1) for result in results]).double()  # (M, N, L)
    return contributions.std(0).float().numpy()


def method_caller(method: str, device: torch.device, **settings: Any) -> Callable[..., Result]:
    """The method as a function of an output (`ExplainedOutput`), sequences and the output's further arguments."""
    methods: dict[str, tuple[Callable[..., Result], Any]] = {
        "deeplift": (deeplift, DeepLiftOptions),
        "interior_gradients": (interior_gradients, InteriorGradientsOptions),
        "mutagenesis": (mutagenesis, None),
    }
    explain, kind = methods[method]
    if kind:
        rare = {field.name for field in fields(kind)} & settings.keys()
        settings["options"] = kind(**{name: settings.pop(name) for name in rare})

    def call(output: ExplainedOutput, sequences: Tensor, args: tuple[Tensor, ...]) -> Result:
        return explain(output.module, sequences, target=output.target, args=args, device=device, **settings)

    return call


def _write(
    output: str | os.PathLike,
    regions: pd.DataFrame,
    genome: Genome,
    explain: Callable[[Tensor], tuple[Result, np.ndarray | None]],
    attributes: dict,
    tolerance: float | None,
    length: int,
    rows: int,
) -> None:
    """Explain regions in blocks of `rows` and write the score file."""
    method = attributes["method"]
    title = f"{attributes['target']}, {method}"
    if "shard" in attributes:
        title += f", shard {attributes['shard']} of {attributes['shards']}"
    with (
        create_scores(output, regions, length=length, attributes=attributes) as writer,
        counted_progress(len(regions), title) as advance,
    ):
        for first in range(0, len(regions), rows):
            block = regions.iloc[first : first + rows]
            sequences = load_one_hot(block, genome, attributes["seed"])
            result, spread = explain(sequences)
            if tolerance is not None:  # for mutagenesis nothing has to add up
                _check_completeness(result, block, method, tolerance)
            writer.append(sequences=sequences.numpy(), model_spread=spread, **score_fields(result))
            advance(len(block))


def _check_completeness(result: Any, block: pd.DataFrame, method: str, tolerance: float) -> None:
    broken = broken_completeness(result, tolerance)
    if not broken.any():
        return
    row, column = (int(i) for i in broken.nonzero()[0])
    change = float(result.prediction[row] - result.reference_prediction[row, column])
    remedy = (
        "raise `steps` (with `auto`, lower `step_tolerance` or raise `max_steps`), which resolves the path more finely"
        if method == "interior_gradients"
        else "if the predictions are very large, train again with more weight decay; otherwise please report it"
    )
    raise SeqliftError(
        f"the contributions do not add up for {int(broken.sum())} of {int(result.n_references.sum())} pairs of "
        f"sequence and reference in this block; the first is region {block['name'].iloc[row]!r}, reference {column}: "
        f"they miss the change in prediction of {change:.4g} by {float(result.delta[row, column]):.4g}, more than "
        f"`tolerance` (={tolerance:g}) allows; {remedy}, or raise `tolerance`"
    )
