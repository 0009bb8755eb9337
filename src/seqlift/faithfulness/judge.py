"""From score files to `faithfulness.tsv`: every explanation of a run judged on held-out regions.

One row for each output and method. All its numbers are about the same regions (`seqlift.faithfulness.sample`) and the
function that was explained: the mean of the models that are given.
"""

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch

from seqlift.attribution.attribute import joint_fingerprint
from seqlift.attribution.explained_output import ExplainedOutput, explained_output
from seqlift.attribution.mutagenesis import mutagenesis
from seqlift.attribution.references import Kind, reference_kind
from seqlift.attribution.totals import broken_completeness
from seqlift.core.devices import choose_device, describe_device
from seqlift.core.files import replacing
from seqlift.core.progress import counted_progress
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError
from seqlift.faithfulness.agreement import (
    ALIKE,
    can_be_repeated,
    correlations,
    explain_again,
    explain_by_halves,
    mean_of,
    mean_of_pairs,
)
from seqlift.faithfulness.curves import (
    RANDOM_ORDERS,
    REFERENCES,
    SHARES,
    SHUFFLES,
    Curves,
    Estimate,
    ablation_curves,
    areas,
    areas_beyond,
    change,
    half_way,
    normalised,
    order_ranks,
    random_ranks,
    share_of,
)
from seqlift.faithfulness.figure import draw_faithfulness
from seqlift.faithfulness.sample import Explained, Sample, choose_sample, score_files
from seqlift.faithfulness.sites import inside_sites, recovery
from seqlift.models.several import load_models, members_of
from seqlift.models.trained import TrainedModel

log = logging.getLogger(__name__)

FORMAT = "seqlift faithfulness 1"
CURVE_COLUMNS = ["output", "method", "references", "kind", "order", "share", "mean", "standard_error"]
_NEW_DRAW = 2**32  # added to the seed: seeds of score files are smaller, so no reference was used for explaining
_NOTES = {
    "fold": "regions of the fold that the model never saw",
    "folds": "the mean of all folds' models is judged, as it was explained; each region was held out of one of them",
    "none": "no held-out region was scored: these are regions that the model learned from",
}


@dataclass(frozen=True)
class _Judge:
    """What the judgement of every output needs."""

    models: list[TrainedModel]
    paths: list[str]
    genome: Genome
    peaks: pd.DataFrame
    seed: int
    device: torch.device
    truth: str | os.PathLike | None
    mutate: bool
    kinds: dict[str, Kind] = field(default_factory=dict)

    def kind(self, name: str) -> Kind:
        """A kind of reference; windows of the genome are looked for once."""
        if name not in self.kinds:
            self.kinds[name] = reference_kind(name, genome=self.genome, exclude=self.peaks)
        return self.kinds[name]


def judge_explanations(
    models: Sequence[str | os.PathLike],
    table: pd.DataFrame,
    genome: Genome,
    scores: Sequence[str | os.PathLike],
    output_dir: str | os.PathLike,
    *,
    max_regions: int = 50,
    mutagenesis: bool = True,
    truth: str | os.PathLike | None = None,
    seed: int = 1,
    device: str = "auto",
) -> pd.DataFrame:
    """Judge score files and write faithfulness.tsv, curves.tsv, faithfulness.json and the figure.

    Parameters
    ----------
    models : sequence of path-like
        The checkpoints whose mean the score files explain.
    table : pandas.DataFrame
        The run's regions (`seqlift.regions.table.read_regions`).
    genome : Genome
        For references that are windows of it.
    scores : sequence of path-like
        Score files, of any outputs and methods.
    output_dir : path-like
    max_regions : int
        Largest number of regions of each output.
    mutagenesis : bool
        Also mutate every base of these regions, as the reference method: 3 L + 1 predictions each.
    truth : path-like, optional
        BED file of true sites (`seqlift.faithfulness.sites`).
    seed : int
        Of the sample, the references, the random orders and the bootstrap.
    device : "auto", "cpu" or "cuda"

    Returns
    -------
    pandas.DataFrame
        The content of faithfulness.tsv (docs/faithfulness.md).

    Raises
    ------
    SeqliftError
        If models, regions and score files are not of one run.
    """
    trained = load_models(models)
    peaks = table[table["kind"] == "peak"]
    judge = _Judge(trained, list(map(str, models)), genome, peaks, seed, choose_device(device), truth, mutagenesis)
    log.info("device: %s", describe_device(judge.device))
    folds = {each.training.get("fold") for each in trained}
    fold = folds.pop() if len(folds) == 1 else None  # of one fold alone, whatever the seeds
    files = score_files(scores)
    samples = [
        choose_sample(files[output], table, max_regions=max_regions, seed=seed, fold=fold)
        for output in _in_order(files, trained[0], judge.paths[0])
    ]
    for sample in samples:
        _check(sample, trained, judge.paths)
    rows, curves, about = [], [], {}
    with counted_progress(sum(len(sample.coords) for sample in samples), "faithfulness") as advance:
        for sample in samples:
            found = _judge_output(sample, judge, advance)
            rows += found[0]
            curves += found[1]
            about[sample.output] = _about(sample)
    result, points = pd.DataFrame(rows), pd.DataFrame(curves, columns=CURVE_COLUMNS)
    settings = {
        "max_regions": max_regions,
        "mutagenesis": mutagenesis,
        "truth": truth is not None,
        "seed": seed,
        "shares": list(SHARES),
        "references": REFERENCES,
        "random_orders": RANDOM_ORDERS,
    }
    _write(Path(output_dir), result, points, {"format": FORMAT, "settings": settings, "outputs": about})
    return result


def _in_order(files: dict[str, list[Path]], model: TrainedModel, path: str) -> list[str]:
    """The outputs in the order of the model."""
    for output, paths in files.items():
        if output not in model.outputs:
            raise SeqliftError(
                f"{paths[0]}: explains {output!r}, but {path} has the outputs {', '.join(model.outputs)}; give the "
                "model that was explained"
            )
    return [output for output in model.outputs if output in files]


def _check(sample: Sample, trained: list[TrainedModel], paths: list[str]) -> None:
    """Scores are of these models."""
    if sample.sequences.shape[2] != trained[0].length:
        raise SeqliftError(
            f"{sample.explained[0].path}: its regions have {sample.sequences.shape[2]} bp, but {paths[0]} takes "
            f"{trained[0].length} bp; give the model that was explained"
        )
    fingerprint = joint_fingerprint(trained)
    for explained in sample.explained:
        # Scores made elsewhere do not say which model they explain
        if explained.attributes.get("model_fingerprint", fingerprint) != fingerprint:
            raise SeqliftError(
                f"{explained.path}: explains other models than {', '.join(paths)} (its model_fingerprint is another); "
                "give all the models that were explained, and only these, or make the scores again"
            )


def _judge_output(sample: Sample, judge: _Judge, advance: Callable[[int], None]) -> tuple[list[dict], list[list]]:
    """Rows of faithfulness.tsv and of curves.tsv for one output."""
    first = judge.models[0]
    output = first.output(sample.output)

    def part(models: list) -> ExplainedOutput:
        return explained_output(models, output, first.head, first.shape)

    mean = part([each.model for each in judge.models])
    checkpoints = [each.model for each in judge.models]
    singles = [part([model]) for model in (checkpoints if len(checkpoints) > 1 else members_of(checkpoints[0]))]
    mutated = None
    if judge.mutate:
        args = mean.args(sample.sequences, judge.device)
        found = mutagenesis(mean.module, sample.sequences, target=mean.target, args=args, device=judge.device)
        mutated = found.contributions.sum(1).numpy()
    by_references = _all_curves(sample, mean, mutated, judge)
    inside = None if judge.truth is None else inside_sites(judge.truth, output.target, sample.coords)
    rows, points = [], []
    for explained in sample.explained:
        own = str(explained.attributes.get("references", SHUFFLES))
        row: dict[str, Any] = {"output": sample.output, "method": explained.method, "references": own}
        row |= {"regions": len(sample.coords), "held_out": sample.held_out}
        row |= _area_columns(by_references, own, explained.method, judge.seed)
        row |= _agreement_columns(explained, sample, mutated, mean, singles, judge)
        row |= _completeness_columns(explained)
        row |= _truth_columns(explained, inside, judge.seed)
        rows.append(row | {"learned": explained.attributes.get("learned")})
        for references in dict.fromkeys((own, SHUFFLES)):
            points += _points(sample.output, explained.method, references, by_references[references])
    advance(len(sample.coords))
    return rows, points


def _all_curves(
    sample: Sample, mean: ExplainedOutput, mutated: np.ndarray | None, judge: _Judge
) -> dict[str, dict[str, Curves]]:
    """By kind of reference and order: every method with dinucleotide shuffles and with the kind that it was given."""
    ranks = {each.method: order_ranks(each.contributions, sample.sequences, judge.seed) for each in sample.explained}
    own = {each.method: str(each.attributes.get("references", SHUFFLES)) for each in sample.explained}
    shared = {"random order": random_ranks(sample.sequences, RANDOM_ORDERS, judge.seed)}
    if mutated is not None:
        shared["mutagenesis order"] = order_ranks(mutated, sample.sequences, judge.seed)
    curves = {}
    for references in dict.fromkeys((*own.values(), SHUFFLES)):
        orders = {method: rank for method, rank in ranks.items() if references in (own[method], SHUFFLES)}
        curves[references] = ablation_curves(
            mean,
            sample.sequences,
            judge.kind(references),
            orders | shared,
            n_references=_enough(references, sample.explained),
            seed=judge.seed + _NEW_DRAW,
            device=judge.device,
        )
    return curves


def _enough(references: str, explained: list[Explained]) -> int:
    """One where all references are alike; of a FASTA file no more than were used."""
    name = references.partition(":")[0]
    if name in ALIKE:
        return 1
    if name == "fasta":
        given = [each.n_references for each in explained if each.attributes.get("references") == references]
        return min([REFERENCES, *(int(numbers.max()) for numbers in given if numbers is not None)])
    return REFERENCES


def _area_columns(by_references: dict[str, dict[str, Curves]], own: str, method: str, seed: int) -> dict:
    """Areas with the method's own references and with shuffles, and the areas to compare them with."""
    columns = {"change": float(change(by_references[own]["random order"]).mean())}
    for prefix, references in (("", own), ("shuffles_", SHUFFLES)):
        curves = by_references[references]
        for kind, area in zip(
            ("deletion", "insertion"), areas_beyond(curves[method], curves["random order"], seed), strict=True
        ):
            columns |= _estimate(f"{prefix}{kind}_area", area)
    curves = by_references[own]
    for name, order in (("", method), ("random_", "random order")):
        for kind in ("deletion", "insertion"):
            mean, _ = normalised(getattr(curves[order], kind), curves[order])
            columns[f"{name}{kind}_half"] = half_way(mean)
    by_chance = [share_of(area, change(curves["random order"]), seed).value for area in areas(curves["random order"])]
    reached = [np.nan, np.nan]
    if "mutagenesis order" in curves:
        reached = [area.value for area in areas_beyond(curves["mutagenesis order"], curves["random order"], seed)]
    columns |= dict(zip(("deletion_random", "insertion_random"), by_chance, strict=True))
    return columns | dict(zip(("mutagenesis_deletion_area", "mutagenesis_insertion_area"), reached, strict=True))


def _estimate(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _agreement_columns(
    explained: Explained,
    sample: Sample,
    mutated: np.ndarray | None,
    mean: ExplainedOutput,
    singles: list[ExplainedOutput],
    judge: _Judge,
) -> dict:
    """Correlations with mutagenesis, with the other methods, between models and between halves of the references."""
    known, mine = sample.known, explained.contributions
    others = [each.contributions for each in sample.explained if each is not explained]
    found = {
        "mutagenesis": (np.nan, np.nan) if mutated is None else correlations(mine, mutated, known),
        "methods": mean_of([correlations(mine, other, known) for other in others]),
        "models": (np.nan, np.nan),
        "references": (np.nan, np.nan),
    }
    attributes = explained.attributes
    if can_be_repeated(attributes):
        kind = judge.kind(attributes["references"])
        again = (mean, sample.sequences, attributes, kind)
        if len(singles) > 1:
            each = [explain_again(single, *again, judge.device) for single in singles]
            found["models"] = mean_of_pairs(each, known)
        assert explained.n_references is not None  # these methods have references
        fewest = int(explained.n_references.min())
        found["references"] = mean_of_pairs(explain_by_halves(*again, fewest, judge.device), known)
    columns: dict[str, float] = {}
    for name, (spearman, pearson) in found.items():
        columns |= {"models": len(singles)} if name == "models" else {}
        columns |= {f"{name}_spearman": spearman, f"{name}_pearson": pearson}
    return columns


def _completeness_columns(explained: Explained) -> dict:
    """The share of pairs of sequence and reference whose contributions miss the change by more than the tolerance."""
    tolerance = explained.attributes.get("tolerance")
    if tolerance is None or explained.delta is None or explained.n_references is None:
        return {"completeness_broken": np.nan, "tolerance": np.nan}
    result = SimpleNamespace(
        prediction=explained.prediction,
        reference_prediction=explained.reference_prediction,
        contributions=torch.from_numpy(explained.contributions)[:, None],
        delta=explained.delta,
        n_references=explained.n_references,
    )
    broken = broken_completeness(result, tolerance)
    return {"completeness_broken": int(broken.sum()) / int(explained.n_references.sum()), "tolerance": tolerance}


def _truth_columns(explained: Explained, inside: np.ndarray | None, seed: int) -> dict:
    """AUROC and AUPRC against true sites."""
    nothing = Estimate(np.nan, np.nan, np.nan)
    both = (nothing, nothing) if inside is None else recovery(explained.contributions, inside, seed)
    return _estimate("truth_auroc", both[0]) | _estimate("truth_auprc", both[1])


def _points(output: str, method: str, references: str, curves: dict[str, Curves]) -> list[list]:
    """Rows of curves.tsv."""
    rows = []
    for kind in ("deletion", "insertion"):
        for order in ("method", "random", "mutagenesis"):
            here = curves.get(method if order == "method" else f"{order} order")
            if here is None:
                continue
            mean, error = normalised(getattr(here, kind), here)
            for share, value, spread in zip(SHARES, mean, error, strict=True):
                rows.append([output, method, references, kind, order, share, value, spread])
    return rows


def _about(sample: Sample) -> dict:
    """What faithfulness.json says of an output."""
    notes = [_NOTES[sample.held_out]] if sample.held_out in _NOTES else []
    for explained in sample.explained:
        if explained.attributes.get("learned") is False:
            notes.append(
                f"{explained.method}: the model learned nothing about this output, so there is nothing to explain"
            )
        if not can_be_repeated(explained.attributes):
            notes.append(f"{explained.method}: of another program or without references, so it was not computed again")
    return {
        "held_out": sample.held_out,
        "regions": sample.coords["name"].tolist(),
        "held_out_regions": sample.of,
        "scores": {explained.method: explained.path.name for explained in sample.explained},
        "notes": notes,
    }


def _write(folder: Path, result: pd.DataFrame, points: pd.DataFrame, about: dict) -> None:
    """All files, the summary last: where it is, all are there."""
    for name, table in (("faithfulness.tsv", result), ("curves.tsv", points)):
        with replacing(folder / name) as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    with replacing(folder / "faithfulness.svg") as svg, replacing(folder / "faithfulness.png") as png:
        draw_faithfulness(result, points, svg, png)
    with replacing(folder / "faithfulness.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n")
