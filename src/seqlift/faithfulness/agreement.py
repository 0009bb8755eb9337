"""Agreement: correlations of contributions within regions, and explanations computed again for the comparison.

Two explanations are compared base by base within each region, and the correlations averaged over regions: pooled over
regions, they would also count that strong regions are strong. Spearman's correlation weighs all bases alike, also the
many that hardly matter and whose order is mostly noise; Pearson's is decided by the few that matter most.
"""

from dataclasses import fields
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seqlift.attribution.attribute import method_caller
from seqlift.attribution.explained_output import ExplainedOutput
from seqlift.attribution.references import Kind
from seqlift.attribution.settings import METHODS

ALIKE = ("uniform", "zeros", "background")  # kinds of which all references are the same


def correlations(first: np.ndarray, second: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """Spearman's and Pearson's correlation within each region, mean over regions.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N, L)
        Contributions of the bases that are there.
    known : numpy.ndarray, shape (N, L), bool
        Where there is a base; only these count.

    Returns
    -------
    tuple of float
        Over the regions in which neither is constant; NaN where there is none.
    """
    return mean_of([_both(a[there], b[there]) for a, b, there in zip(first, second, known, strict=True)])


def _both(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    ranks = (pd.Series(values).rank().to_numpy() for values in (a, b))
    return _pearson(*ranks), _pearson(a.astype(float), b.astype(float))


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def mean_of_pairs(explanations: list[np.ndarray], known: np.ndarray) -> tuple[float, float]:
    """`correlations` of every two of several explanations, mean over the pairs; NaN for fewer than two."""
    return mean_of([correlations(a, b, known) for a, b in combinations(explanations, 2)])


def mean_of(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Mean of several results of `correlations`, without those that are NaN; NaN where none is left."""
    finite = np.array([pair for pair in found if np.isfinite(pair).all()])
    return tuple(finite.mean(0).tolist()) if len(finite) else (np.nan, np.nan)


def can_be_repeated(attributes: dict) -> bool:
    """Whether the attributes of a score file are sufficient to compute it again; those of seqlift's methods are."""
    settings = METHODS.get(str(attributes.get("method")))
    return settings is not None and all(
        name in attributes for name in ("seed", *(each.name for each in fields(settings)))
    )


def explain_again(
    output: ExplainedOutput,
    mean: ExplainedOutput,
    sequences: Tensor,
    attributes: dict,
    references: Kind,
    device: torch.device,
) -> np.ndarray:
    """Contributions of the bases that are there, with the settings that a score file was made with.

    Parameters
    ----------
    output : ExplainedOutput
        What is explained: of one of the models, or of all.
    mean : ExplainedOutput
        The output that the score file explains; the weights of its profile serve all models.
    sequences : torch.Tensor, shape (N, 4, L)
    attributes : dict
        Of the score file, as plain Python values.
    references : callable
        Their kind.
    device : torch.device

    Returns
    -------
    numpy.ndarray, shape (N, L)
    """
    method = attributes["method"]
    names = {field.name for field in fields(METHODS[method])} - {"references", "tolerance"}
    settings = {name: attributes[name] for name in names}
    call = method_caller(method, device, references=references, seed=attributes["seed"], **settings)
    return call(output, sequences, mean.args(sequences, device)).contributions.sum(1).numpy()


def explain_by_halves(
    mean: ExplainedOutput,
    sequences: Tensor,
    attributes: dict,
    references: Kind,
    n_references: int,
    device: torch.device,
) -> list[np.ndarray]:
    """The same by the first and by the second half of the references of a score file, two arrays of shape (N, L).

    `n_references` is how many each region had. Of kinds whose references are all alike, and of a single reference,
    there are no halves, and the list is empty.
    """
    half = n_references // 2
    if half < 1 or attributes["references"].partition(":")[0] in ALIKE:
        return []

    def second(sequences: Tensor, n: int, seed: int, start: int = 0) -> Tensor:
        return references(sequences, n, seed, start + half)

    few = attributes | {"n_references": half}
    return [explain_again(mean, mean, sequences, few, kind, device) for kind in (references, second)]
