"""The numbers behind the report's figures, computed from the files of a run.

Four questions need more than reading a file. Does each explanation add up (completeness)? Do the two methods, which
share no code path through the network's nonlinearities, tell the same story (agreement)? Is it what the model itself
says when bases are changed (mutagenesis)? And how does the score grow on the way from a reference to the sequence (the
saturation of arXiv 1611.02639)?
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.scores.file import Scores, choose_examples, open_scores

STRONGEST = 0.05  # of a region's bases
BLOCK = 512  # rows read at a time, so that memory does not grow with the number of regions
COMPARED = 20  # blocks of a score file from which the agreement of methods, and of models, is computed


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
    """How well the contributions of one score file add up."""

    # (pairs,): |delta| of every sequence and each of its references as a share of what was explained: |f(x) -
    # f(reference)|, or the sum of the sequence's |contributions| where these cancel in a small change
    relative: np.ndarray
    tolerance: float  # the limit of the attribution stage
    broken: int  # how many exceed it
    n_references: np.ndarray  # (N,): references that each sequence was compared with


@dataclass(frozen=True)
class PathCurve:
    """The output along the interior-gradient path, over all N regions of a score file."""

    alphas: np.ndarray  # (K + 2,): 0, the quadrature nodes, 1
    prediction: np.ndarray  # (N, K + 2): f(reference), f at each node, f(sequence); means over references
    nodes: np.ndarray  # (K,)
    gradient_size: np.ndarray  # (N, K): sum over bases of |gradient × (x - reference)| at each node
    half: np.ndarray  # (N,): α at which half of the change of a region's output has happened; NaN without a change
    most: np.ndarray  # (N,): α of 90 %
    steps: np.ndarray  # (paths,): points that each path took

    def overshoot(self) -> float | None:
        """Alpha at which the mean curve is highest, if that is before its end by over 2 % of its rise; else None."""
        mean = self.prediction.mean(axis=0)
        rise = mean[-1] - mean[0]
        top = int(np.argmax(mean))
        return float(self.alphas[top]) if rise > 0 and mean[top] - mean[-1] > 0.02 * rise else None


@dataclass(frozen=True)
class Agreement:
    """How alike the contributions of two methods are."""

    shared: int  # regions that both methods explained, of which N were compared
    per_region: np.ndarray  # (N,): Pearson correlation over the bases of each region; NaN where one is constant
    overall: float  # Pearson correlation over all bases of these regions
    density: np.ndarray  # (B, B): number of bases by contribution of the first (rows) and second method (columns)
    edges: np.ndarray  # (B + 1,)


@dataclass(frozen=True)
class MutagenesisAgreement:
    """Correlation of contributions, and of their ranks, with mutagenesis over the bases of each region, shape (N,).

    It is NaN where either is constant.
    """

    pearson: np.ndarray
    spearman: np.ndarray


@dataclass(frozen=True)
class Spread:
    """How much the contributions differ from model to model, as a share of their size.

    `overall` over all bases of all regions, `strongest` over those of each region with the largest contributions
    (`STRONGEST` of its length): sums of the standard deviations over models over sums of |contribution|; NaN where all
    contributions are 0.
    """

    overall: float
    strongest: float


@dataclass(frozen=True)
class Example:
    """One region with the contributions of each method; coordinates in bp, 0-based, end exclusive."""

    chrom: str
    start: int
    end: int
    name: str
    prediction: float  # logit of the sequence
    reference_prediction: float  # mean logit of its references (of the first method)
    contributions: dict[str, np.ndarray] = field(default_factory=dict)  # (4, L) by method, mutagenesis where there is
    standard_error: dict[str, np.ndarray] = field(default_factory=dict)  # (L,); NaN with one reference or none
    row: dict[str, int] = field(default_factory=dict)  # in the score file of each method


def curves(labels: np.ndarray, logits: np.ndarray, points: int = 400) -> Curves | None:
    """ROC and precision-recall curves of at most `points` points; None when the split has only one class.

    `labels` (0 or 1) and `logits` have the shape (N,).
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


def wilson_interval(positives: np.ndarray, n: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Wilson's 95 % interval of a share, `positives` of `n`, both shape (B,), n at least 1."""
    share = positives / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def read_examples(paths: dict[str, Path], table: pd.DataFrame, count: int) -> tuple[list[Example], str]:
    """Examples of one target with the contributions of every method, and the rule by which they were chosen.

    `paths` holds the score file of each method; examples are chosen from the first. `table` has name and split of the
    regions.
    """
    first, *_ = paths.values()
    with open_scores(first) as scores:
        split = scores.coords["name"].map(table.set_index("name")["split"])
        strangers = scores.coords["name"][split.isna()]
        if len(strangers):
            raise SeqliftError(
                f"{first}: {len(strangers)} of its regions, first {strangers.iloc[0]!r}, are not in regions.tsv.gz: "
                "the two are of different runs; run `seqlift attribute` again"
            )
        height, references = scores.prediction[:], scores.reference_prediction
        unknown = bool(len(height)) and bool(np.isnan(height).all())
        if unknown:  # scores from elsewhere: nobody says what the model said
            blocks = range(0, len(height), BLOCK)
            height = np.concatenate([np.abs(scores.contributions[i : i + BLOCK]).sum(axis=(1, 2)) for i in blocks])
        rows, rule = choose_examples(scores.coords, height, split, count)
        if unknown:
            rule = rule.replace("highest prediction", "largest contributions (predictions are unknown)")
        examples = [
            Example(
                **scores.coords.iloc[row][["chrom", "start", "end", "name"]].to_dict(),
                prediction=float(scores.prediction[row]),
                reference_prediction=np.nan if references is None else float(np.nanmean(references[row])),
            )
            for row in rows
        ]
    for method, path in paths.items():
        with open_scores(path) as scores:
            row_of = {name: row for row, name in enumerate(scores.coords["name"])}
            for example in examples:
                if example.name in row_of:
                    row = row_of[example.name]
                    example.contributions[method] = scores.contributions[row]
                    unknown_error = np.full(scores.contributions.shape[2], np.nan)
                    error = unknown_error if scores.standard_error is None else scores.standard_error[row]
                    example.standard_error[method] = error
                    example.row[method] = row
    return examples, rule


def completeness(path: Path) -> Completeness | None:
    """Relative completeness error of every sequence and reference of a score file, computed again.

    None for scores from elsewhere (`seqlift convert`, `seqlift.save_scores`), which had no limit to keep.
    """
    with open_scores(path) as scores:
        if "source" in scores.attributes:
            return None
        # The methods that are checked have references
        assert scores.delta is not None and scores.reference_prediction is not None and scores.n_references is not None
        delta = np.abs(scores.delta[:].astype(float))
        prediction, reference = scores.prediction[:].astype(float)[:, None], scores.reference_prediction[:]
        n_references, tolerance = scores.n_references[:], scores.attributes.get("tolerance")
        size = [np.abs(scores.contributions[i : i + BLOCK]).sum(axis=(1, 2)) for i in range(0, len(delta), BLOCK)]
    if tolerance is None:
        raise SeqliftError(f"{path}: it lacks the attribute `tolerance`; make it again with `seqlift attribute`")
    used = np.arange(delta.shape[1]) < n_references[:, None]
    explained = np.maximum(np.abs(prediction - reference), np.concatenate([*size, np.empty(0)])[:, None])
    rounding = np.maximum(np.abs(prediction), np.abs(reference)) / 1000  # where there is nothing to explain
    relative = (delta / np.maximum(np.maximum(explained, rounding), 1e-6))[used]
    return Completeness(relative, float(tolerance), int((~(relative <= tolerance)).sum()), n_references)


def path_curve(path: Path) -> PathCurve | None:
    """The output and the gradients' size along the path; None where the method has no path."""
    with open_scores(path) as scores:
        if scores.interior is None or not len(scores.coords):
            return None
        assert scores.reference_prediction is not None  # where a path begins
        nodes = scores.interior["alphas"][:]
        ends = np.nanmean(scores.reference_prediction[:], axis=1)[:, None], scores.prediction[:][:, None]
        steps = scores.interior["steps"][:]
        prediction = np.hstack([ends[0], scores.interior["prediction"][:], ends[1]]).astype(float)
        return PathCurve(
            alphas=np.r_[0.0, nodes, 1.0],
            prediction=prediction,
            nodes=nodes,
            gradient_size=scores.interior["gradient_size"][:].astype(float),
            half=scores.interior["alpha_half"][:].astype(float),
            most=scores.interior["alpha_90"][:].astype(float),
            steps=steps[steps > 0],
        )


def agreement(first: Path, second: Path, bins: int = 81) -> Agreement | None:
    """Compare the contributions of two score files on the regions both have; None when they share none.

    Of more than `COMPARED` blocks of regions only that number is taken, at even steps through the file.
    """
    with open_scores(first) as a, open_scores(second) as b:
        shared = _shared_rows(a, b)
        if not len(shared[0]):
            return None
        compared = np.concatenate([np.arange(start, stop) for start, stop in _some_blocks(len(shared[0]))])
        rows_a, rows_b = (rows[compared] for rows in shared)
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
    return Agreement(len(shared[0]), np.concatenate(per_region), overall, density, edges)


def model_spread(path: Path) -> Spread | None:
    """How far the models of a run (folds, seeds, replicates) agree about each base; None where that was not computed.

    From the same regions as `agreement`.
    """
    with open_scores(path) as scores:
        if scores.model_spread is None or not len(scores.coords):
            return None
        sums = np.zeros((2, 2))  # overall and strongest; spread and size
        for start, stop in _some_blocks(len(scores.coords)):
            size = np.abs(scores.contributions[start:stop].sum(axis=1, dtype=float))
            spread = scores.model_spread[start:stop].astype(float)
            n = max(1, round(STRONGEST * size.shape[1]))
            top = np.argsort(-size, axis=1, kind="stable")[:, :n]
            sums[0] += spread.sum(), size.sum()
            sums[1] += [np.take_along_axis(values, top, axis=1).sum() for values in (spread, size)]
    return Spread(*(float(spread / size) if size else float("nan") for spread, size in sums))


def mutagenesis_agreement(method: Path, mutagenesis: Path) -> MutagenesisAgreement | None:
    """Compare the contributions of a score file with those of mutagenesis; None when they share no region."""
    with open_scores(method) as a, open_scores(mutagenesis) as b:
        rows = _shared_rows(a, b)
        if not len(rows[0]):
            return None
        pairs = [(_row_correlation(x, y), _rank_correlation(x, y)) for x, y in _blocks(a, b, *rows)]
    return MutagenesisAgreement(*(np.concatenate(values) for values in zip(*pairs, strict=True)))


def _some_blocks(n: int) -> list[tuple[int, int]]:
    """Start and end of the blocks of `n` rows, or of `COMPARED` of them at even steps where there are more."""
    starts = range(0, n, BLOCK)
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(COMPARED, len(starts))).round().astype(int))
    return [(starts[i], min(starts[i] + BLOCK, n)) for i in chosen]


def _shared_rows(a: Scores, b: Scores) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the regions that both files have, in the order of the first."""
    row_of = pd.Series(np.arange(len(b.coords)), index=b.coords["name"])
    rows_a = np.flatnonzero(a.coords["name"].isin(row_of.index).to_numpy())
    return rows_a, row_of[a.coords["name"].iloc[rows_a]].to_numpy()


def _blocks(a: Scores, b: Scores, rows_a: np.ndarray, rows_b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of arrays (rows, L): the contribution of the base that is there, by either method, in float64."""
    for start in range(0, len(rows_a), BLOCK):
        block = slice(start, start + BLOCK)
        yield _projected(a, rows_a[block]), _projected(b, rows_b[block])


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


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _row_correlation(*(pd.DataFrame(values).rank(axis=1).to_numpy() for values in (x, y)))
