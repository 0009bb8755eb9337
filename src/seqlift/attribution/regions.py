"""From a region table to a score file: the regions of a target explained one block at a time.

Scores are only as good as their completeness: the contributions of a sequence must add up to the difference between its
prediction and its reference's. The delta of every sequence and reference is stored, and a run in which one is broken
fails and leaves no score file behind.
"""

import os

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seqlift import __version__
from seqlift.attribution.borrow import choose_device
from seqlift.attribution.deeplift import DeepLift, deeplift
from seqlift.attribution.interior_gradients import InteriorGradients, interior_gradients, quadrature_nodes
from seqlift.attribution.references import KINDS
from seqlift.dataset import load_one_hot
from seqlift.errors import SeqliftError
from seqlift.genome import Genome
from seqlift.models.checkpoint import load_model
from seqlift.progress import counted_progress
from seqlift.scores import create_scores

METHODS = ("deeplift", "interior_gradients")
_BLOCK_BASES = 2**18  # a block's scores stay within tens of MB, however many regions there are


def choose_regions(table: pd.DataFrame, target: str, max_regions: int, seed: int) -> pd.DataFrame:
    """The regions to explain: those positive for the target, or a random sample of them in the order of the table.

    Parameters
    ----------
    table : pandas.DataFrame
        Regions, with a column `target:<name>`.
    target : str
    max_regions : int
        At most so many.
    seed : int
        Of the sample.

    Raises
    ------
    SeqliftError
        If the table has no such target, or no region is positive for it.
    """
    column = f"target:{target}"
    if column not in table:
        known = ", ".join(name.removeprefix("target:") for name in table if name.startswith("target:"))
        raise SeqliftError(f"the regions have no target {target!r}; they have: {known}")
    if max_regions < 1:
        raise SeqliftError(f"--max-regions (={max_regions}) must be at least 1")
    positive = np.flatnonzero(table[column].to_numpy() == 1)
    if not len(positive):
        raise SeqliftError(f"no region is positive for target {target!r}: there is nothing to explain")
    if len(positive) > max_regions:
        positive = np.sort(np.random.default_rng(seed).choice(positive, max_regions, replace=False))
    return table.iloc[positive].reset_index(drop=True)


def broken_completeness(result: DeepLift | InteriorGradients, tolerance: float) -> Tensor:
    """Which pairs of sequence and reference have scores that do not add up: (N, R), bool.

    The delta is held against what it is the rest of: |f(x) - f(reference)|, or the sum of the sequence's absolute
    contributions where these cancel in a small change. Where there is next to nothing to explain, a thousandth of the
    predictions takes their place: the rest is their own rounding.
    """
    change = (result.prediction[:, None] - result.reference_prediction).abs()
    size = result.contributions.abs().sum((1, 2))[:, None]
    rounding = torch.maximum(result.prediction.abs()[:, None], result.reference_prediction.abs()) / 1000
    explained = torch.maximum(torch.maximum(change, size), rounding).clamp(min=1e-6)
    return (result.delta.abs() > tolerance * explained) | ~result.delta.isfinite()


def attribute_regions(
    model_path: str | os.PathLike,
    table: pd.DataFrame,
    genome: Genome,
    output: str | os.PathLike,
    *,
    target: str,
    method: str,
    references: str = "dinucleotide",
    n_references: int = 20,
    rule: str = "rescale",
    steps: int = 50,
    max_regions: int = 1_000_000_000,
    tolerance: float,
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Explain the regions of one target with one method and write the score file (`seqlift.scores`).

    Parameters
    ----------
    model_path : path-like
        A checkpoint of `seqlift train`.
    table : pandas.DataFrame
        Regions (`seqlift.regions.read_regions`), of the model's length.
    genome : Genome
    output : path-like
        The score file; it appears when all its rows are written and complete.
    target : str
        A target of the model; its positive regions are explained.
    method : "deeplift" or "interior_gradients"
    references : "dinucleotide", "uniform" or "zeros"
        See `seqlift.attribution.references`.
    n_references : int
    rule : str
        Of DeepLIFT.
    steps : int
        Of interior gradients, on each path.
    max_regions : int
        A random sample of so many, where there are more.
    tolerance : float
        Largest accepted completeness delta, as a share of what is explained (`broken_completeness`).
    seed : int
        Of references and sample.
    device : "auto", "cpu" or "cuda"

    Returns
    -------
    int
        The number of regions explained.

    Raises
    ------
    SeqliftError
        If target, method, references or lengths do not fit together, or completeness is broken.
    """
    if method not in METHODS:
        raise SeqliftError(f"method {method!r} does not exist; choose from {', '.join(METHODS)}")
    if references not in KINDS:
        raise SeqliftError(f"references {references!r} do not exist; choose from {', '.join(KINDS)}")
    if n_references < 1:
        raise SeqliftError(f"--n-references (={n_references}) must be at least 1")
    trained = load_model(model_path)
    if target not in trained.targets:
        raise SeqliftError(f"{model_path}: the model has no target {target!r}; it has: {', '.join(trained.targets)}")
    chosen = choose_regions(table, target, max_regions, seed)
    length = int(chosen["end"].iloc[0] - chosen["start"].iloc[0])
    if length != trained.length:
        raise SeqliftError(f"{model_path}: the model takes {trained.length} bp, but the regions have {length} bp")

    shared = {
        "references": KINDS[references],
        "n_references": n_references,
        "target": trained.targets.index(target),
        "device": choose_device(device),
        "seed": seed,
    }
    attributes = {
        "method": method,
        "target": target,
        "references": references,
        "n_references": n_references,
        "seed": seed,
        "tolerance": tolerance,
        "model_fingerprint": trained.fingerprint,
        "package_version": __version__,
    }
    alphas = weights = None
    if method == "deeplift":
        attributes["rule"] = rule

        def explain(sequences: Tensor):
            return deeplift(trained.model, sequences, rule=rule, **shared)
    else:
        attributes |= {"steps": steps, "quadrature": "gauss-legendre"}
        alphas, weights = quadrature_nodes(steps)

        def explain(sequences: Tensor):
            return interior_gradients(trained.model, sequences, steps=steps, **shared)

    rows = max(1, _BLOCK_BASES // length)
    with (
        create_scores(
            output,
            chosen,
            length=length,
            n_references=n_references,
            attributes=attributes,
            alphas=alphas,
            weights=weights,
        ) as writer,
        counted_progress(len(chosen), f"{target} {method}") as advance,
    ):
        for first in range(0, len(chosen), rows):
            block = chosen.iloc[first : first + rows]
            sequences = load_one_hot(block, genome, seed)
            result = explain(sequences)
            broken = broken_completeness(result, tolerance)
            if broken.any():
                _refuse_broken(broken, result, block, method, tolerance)
            path = None
            if method == "interior_gradients":
                path = {
                    "prediction": result.path_prediction.numpy(),
                    "slope": result.path_slope.numpy(),
                    "gradient_size": result.path_gradient_size.numpy(),
                }
            names = ["hypothetical", "contributions", "delta", "prediction", "reference_prediction", "standard_error"]
            writer.append(sequences.numpy(), *(getattr(result, name).numpy() for name in names), path=path)
            advance(len(block))
    return len(chosen)


def _refuse_broken(broken: Tensor, result, block: pd.DataFrame, method: str, tolerance: float) -> None:
    row, column = (int(i) for i in broken.nonzero()[0])
    change = float(result.prediction[row] - result.reference_prediction[row, column])
    remedy = (
        "raise `steps`, which resolves the path more finely"
        if method == "interior_gradients"
        else "if the predictions are very large, train again with more weight decay; otherwise please report it"
    )
    raise SeqliftError(
        f"the contributions do not add up for {int(broken.sum())} of {broken.numel()} pairs of sequence and reference "
        f"in this block; the first is region {block['name'].iloc[row]!r}, reference {column}: they miss the change in "
        f"prediction of {change:.4g} by {float(result.delta[row, column]):.4g}, more than the share `tolerance` "
        f"(={tolerance:g}) allows; {remedy}, or raise `tolerance`"
    )
