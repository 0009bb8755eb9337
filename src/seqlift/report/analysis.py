"""The numbers behind the report's figures, computed from the files of a run.

Three questions need more than reading a file. Does each explanation add up (completeness)? Do the two methods, which
share no code path through the network's nonlinearities, tell the same story (agreement)? And how does the score grow on
the way from a reference to the sequence (the saturation of arXiv 1611.02639)?
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.scores import Scores, open_scores

BLOCK = 512  # rows read at a time, so that memory does not grow with the number of regions


@dataclass(frozen=True)
class Curves:
    """ROC and precision-recall curves of one target, thinned to what a figure can show."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    prevalence: float
    auroc: float
    auprc: float


@dataclass(frozen=True)
class Completeness:
    """How well the contributions of one score file add up.

    Attributes
    ----------
    relative : numpy.ndarray, shape (N * R,)
        |delta| of every sequence and reference as a share of what was explained: |f(x) - f(reference)|, or the sum of
        the sequence's |contributions| where these cancel in a small change.
    tolerance : float
        The limit the attribution stage held it to.
    broken : int
        How many exceed it.
    """

    relative: np.ndarray
    tolerance: float
    broken: int


@dataclass(frozen=True)
class PathCurve:
    """The output along the interior-gradient path, over all regions of a score file.

    Attributes
    ----------
    alphas : numpy.ndarray, shape (K + 2,)
        0, the quadrature nodes, 1.
    prediction : numpy.ndarray, shape (N, K + 2)
        f(reference), f at each node, f(sequence); means over references.
    nodes : numpy.ndarray, shape (K,)
    gradient_size : numpy.ndarray, shape (N, K)
        Sum over bases of |gradient × (x - reference)| at each node.
    """

    alphas: np.ndarray
    prediction: np.ndarray
    nodes: np.ndarray
    gradient_size: np.ndarray

    def alpha_at(self, share: float) -> float | None:
        """The first alpha at which the mean curve has covered `share` of its way from reference to sequence."""
        mean = self.prediction.mean(axis=0)
        if mean[-1] == mean[0]:
            return None
        covered = (mean - mean[0]) / (mean[-1] - mean[0])
        after = int(np.argmax(covered >= share))
        if after == 0:
            return 0.0
        x0, x1, y0, y1 = self.alphas[after - 1], self.alphas[after], covered[after - 1], covered[after]
        return float(x0 + (share - y0) / (y1 - y0) * (x1 - x0))

    def overshoot(self) -> float | None:
        """Alpha at which the mean curve is highest, if that is before its end by over 2 % of its rise; else None."""
        mean = self.prediction.mean(axis=0)
        rise = mean[-1] - mean[0]
        top = int(np.argmax(mean))
        return float(self.alphas[top]) if rise > 0 and mean[top] - mean[-1] > 0.02 * rise else None


@dataclass(frozen=True)
class Agreement:
    """How alike the contributions of two methods are.

    Attributes
    ----------
    per_region : numpy.ndarray, shape (N,)
        Pearson correlation over the bases of each region both methods scored; NaN where one is constant.
    overall : float
        Pearson correlation over all bases of all regions.
    density : numpy.ndarray, shape (B, B)
        Number of bases by contribution of the first (rows) and second method (columns).
    edges : numpy.ndarray, shape (B + 1,)
    """

    per_region: np.ndarray
    overall: float
    density: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True)
class Example:
    """One region with the contributions of each method.

    Attributes
    ----------
    chrom, start, end, name : where it lies; bp, 0-based, end exclusive
    prediction, reference_prediction : float
        Logit of the sequence, and mean logit of its references (of the first method).
    contributions : dict
        method -> array, shape (4, L)
    standard_error : dict
        method -> array, shape (L,); NaN where only one reference was used
    row : dict
        method -> row in its score file
    """

    chrom: str
    start: int
    end: int
    name: str
    prediction: float
    reference_prediction: float
    contributions: dict[str, np.ndarray]
    standard_error: dict[str, np.ndarray]
    row: dict[str, int]


def curves(labels: np.ndarray, logits: np.ndarray, points: int = 400) -> Curves | None:
    """ROC and precision-recall curves; None when the split has only one class.

    Parameters
    ----------
    labels : numpy.ndarray, shape (N,), 0 or 1
    logits : numpy.ndarray, shape (N,)
    points : int
        At most this many points a curve.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    if len(np.unique(labels)) < 2:
        return None
    false_positive_rate, true_positive_rate, _ = roc_curve(labels, logits)
    precision, recall, _ = precision_recall_curve(labels, logits)
    roc = np.unique(np.linspace(0, len(false_positive_rate) - 1, points).astype(int))
    # Precision swings where recall is low and few regions count, so keep points by recall, not by threshold.
    pr = np.unique(np.searchsorted(-recall, -np.linspace(0, 1, points)).clip(max=len(recall) - 1))
    return Curves(
        false_positive_rate[roc],
        true_positive_rate[roc],
        recall[pr],
        precision[pr],
        prevalence=float(np.mean(labels)),
        auroc=float(roc_auc_score(labels, logits)),
        auprc=float(average_precision_score(labels, logits)),
    )


def choose_examples(
    coords: pd.DataFrame, prediction: np.ndarray, split: pd.Series, count: int
) -> tuple[list[int], str]:
    """The rows to show, and the rule by which they were chosen, in words.

    The highest predicted logits among held-out (test) regions; where none was scored, among all. Of regions that
    overlap only the higher one is shown. Ties keep the order of the file.

    Parameters
    ----------
    coords : pandas.DataFrame, N rows
        chrom, start, end of the score file's rows.
    prediction : numpy.ndarray, shape (N,)
    split : pandas.Series, N rows
    count : int
        At most this many.
    """
    held_out = (split == "test").to_numpy()
    rule = (
        "the held-out regions with the highest predicted logit for the target; of overlapping regions, the higher one"
    )
    if not held_out.any():
        rule = "no held-out region was scored, so the regions of any split with the highest predicted logit"
        held_out = np.ones(len(coords), bool)
    order = [row for row in np.argsort(-np.asarray(prediction), kind="stable") if held_out[row]]
    chosen: list[int] = []
    for row in order:
        if len(chosen) == count:
            break
        here = coords.iloc[row]
        others = coords.iloc[chosen]
        overlap = (others["chrom"] == here["chrom"]) & (others["start"] < here["end"]) & (others["end"] > here["start"])
        if not overlap.any():
            chosen.append(int(row))
    return chosen, rule


def read_examples(paths: dict[str, Path], table: pd.DataFrame, count: int) -> tuple[list[Example], str]:
    """Examples of one target with the contributions of every method.

    Parameters
    ----------
    paths : dict
        method -> score file
    table : pandas.DataFrame
        The region table: columns name and split.
    count : int
    """
    split_of = table.set_index("name")["split"]
    collected: dict[str, dict] = {}
    rule = ""
    for method, path in paths.items():
        with open_scores(path) as scores:
            coords = scores.coords
            if not collected:
                rows, rule = choose_examples(coords, scores.prediction[:], _splits(coords, split_of, path), count)
            else:
                row_of = pd.Series(np.arange(len(coords)), index=coords["name"])
                rows = [int(row_of[name]) if name in row_of.index else None for name in collected]
            for name, row in zip(collected or coords["name"].iloc[rows], rows, strict=True):
                if row is None:
                    continue
                example = collected.setdefault(
                    name,
                    dict(
                        zip(
                            ("chrom", "start", "end", "name"),
                            coords.iloc[row][["chrom", "start", "end", "name"]],
                            strict=True,
                        )
                    )
                    | {
                        "prediction": float(scores.prediction[row]),
                        "reference_prediction": float(np.mean(scores.reference_prediction[row])),
                        "contributions": {},
                        "standard_error": {},
                        "row": {},
                    },
                )
                example["contributions"][method] = scores.contributions[row]
                example["standard_error"][method] = scores.standard_error[row]
                example["row"][method] = row
    return [Example(**example) for example in collected.values()], rule


def completeness(path: Path) -> Completeness:
    """Relative completeness error of every sequence and reference of a score file, checked anew.

    Raises
    ------
    SeqliftError
        If the file does not say which tolerance it was held to.
    """
    with open_scores(path) as scores:
        delta = np.abs(scores.delta[:].astype(float))
        prediction, reference = scores.prediction[:].astype(float)[:, None], scores.reference_prediction[:]
        tolerance = scores.attributes.get("tolerance")
        size = [np.abs(scores.contributions[i : i + BLOCK]).sum(axis=(1, 2)) for i in range(0, len(delta), BLOCK)]
    if tolerance is None:
        raise SeqliftError(f"{path}: it lacks the attribute `tolerance`; make it again with `seqlift attribute`")
    explained = np.maximum(np.abs(prediction - reference), np.concatenate([*size, np.empty(0)])[:, None])
    rounding = np.maximum(np.abs(prediction), np.abs(reference)) / 1000  # where there is nothing to explain
    relative = delta / np.maximum(np.maximum(explained, rounding), 1e-6)
    return Completeness(relative.ravel(), float(tolerance), int((~(relative <= tolerance)).sum()))


def path_curve(path: Path) -> PathCurve | None:
    """The output and the gradients' size along the path; None where the method has no path."""
    with open_scores(path) as scores:
        if scores.interior is None or not len(scores.coords):
            return None
        nodes = scores.interior["alphas"][:]
        ends = scores.reference_prediction[:].mean(axis=1)[:, None], scores.prediction[:][:, None]
        prediction = np.hstack([ends[0], scores.interior["prediction"][:], ends[1]]).astype(float)
        return PathCurve(
            alphas=np.r_[0.0, nodes, 1.0],
            prediction=prediction,
            nodes=nodes,
            gradient_size=scores.interior["gradient_size"][:].astype(float),
        )


def agreement(first: Path, second: Path, bins: int = 81) -> Agreement | None:
    """Compare the contributions of two score files on the regions both have; None when they share none."""
    with open_scores(first) as a, open_scores(second) as b:
        row_of = pd.Series(np.arange(len(b.coords)), index=b.coords["name"])
        rows_a = np.flatnonzero(a.coords["name"].isin(row_of.index).to_numpy())
        if not len(rows_a):
            return None
        rows_b = row_of[a.coords["name"].iloc[rows_a]].to_numpy()
        limit = max(np.abs(x).max() for pair in _blocks(a, b, rows_a, rows_b) for x in pair) or 1.0
        edges = np.linspace(-limit, limit, bins + 1)
        density = np.zeros((bins, bins))
        per_region, sums = [], np.zeros(6)
        for x, y in _blocks(a, b, rows_a, rows_b):
            density += np.histogram2d(x.ravel(), y.ravel(), bins=[edges, edges])[0]
            per_region.append(_row_correlation(x, y))
            sums += [x.size, x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]
    n, sx, sy, sxx, syy, sxy = sums
    spread = np.sqrt(max(sxx - sx * sx / n, 0) * max(syy - sy * sy / n, 0))
    overall = float((sxy - sx * sy / n) / spread) if spread > 0 else float("nan")
    return Agreement(np.concatenate(per_region), overall, density, edges)


def _blocks(a: Scores, b: Scores, rows_a: np.ndarray, rows_b: np.ndarray):
    """Pairs of arrays (rows, L): the contribution of the base that is there, by either method, in float64."""
    for start in range(0, len(rows_a), BLOCK):
        yield (
            _projected(a, rows_a[start : start + BLOCK]),
            _projected(b, rows_b[start : start + BLOCK]),
        )


def _projected(scores: Scores, rows: np.ndarray) -> np.ndarray:
    # h5py wants increasing indices; one slice over their range is read much faster than single rows.
    low, high = int(rows.min()), int(rows.max()) + 1
    if high - low > 4 * len(rows):
        order = np.argsort(rows)
        block = scores.contributions[rows[order]][np.argsort(order)]
    else:
        block = scores.contributions[low:high][rows - low]
    return block.sum(axis=1, dtype=float)


def _row_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.divide((x * y).sum(axis=1), spread, out=np.full(len(x), np.nan), where=spread > 0)


def _splits(coords: pd.DataFrame, split_of: pd.Series, path: Path) -> pd.Series:
    split = coords["name"].map(split_of)
    unknown = coords["name"][split.isna()]
    if len(unknown):
        raise SeqliftError(
            f"{path}: {len(unknown)} of its regions, first {unknown.iloc[0]!r}, are not in regions.tsv.gz: the two are "
            "of different runs; run `seqlift attribute` again"
        )
    return split
