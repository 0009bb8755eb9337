"""The sections on the explanations themselves: examples, path, completeness, agreement and mutagenesis of an output."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.motifs.logos import COLOURS
from seqlift.report.figures import explanations as figures
from seqlift.report.figures.canvas import Room
from seqlift.report.formats import median, spread
from seqlift.report.read import analysis
from seqlift.report.read.run import MUTAGENESIS, Run

DRAWN = 2_500_000  # characters of the page that drawn examples take


def explain(run: Run, output: str, table: pd.DataFrame, examples: int) -> dict:
    """Examples (not drawn yet), path, completeness, agreement and mutagenesis of one output."""
    paths = {method: run.scores(output, method) for method in run.methods}
    mutagenesis = {MUTAGENESIS: run.scores(output, MUTAGENESIS)} if run.mutagenesis else {}
    chosen, rule = analysis.read_examples(paths | mutagenesis, table, examples)
    path = None
    steps = {}
    for method in run.methods:
        curve = analysis.path_curve(paths[method])
        if curve is not None:
            rows = [example.row[method] for example in chosen if method in example.row]
            steps[method] = spread(curve.steps)
            path = {
                "prediction": figures.path_prediction(curve, rows),
                "gradient": figures.path_gradient(curve, rows),
                "half": median(curve.half),
                "most": median(curve.most),
                "overshoot": curve.overshoot(),
                "left": float(curve.gradient_size[:, -1].mean() / curve.gradient_size.mean(axis=0).max()),
            }
    complete, elsewhere = [], []
    for method in run.methods:
        found = analysis.completeness(paths[method])
        if found is None:
            elsewhere.append(method)
            continue
        finite = found.relative[np.isfinite(found.relative)]
        complete.append(
            {
                "method": method,
                "image": figures.completeness(found, method),
                "tolerance": found.tolerance,
                "broken": found.broken,
                "checked": len(found.relative),
                "references": spread(found.n_references),
                "steps": steps.get(method, "–"),
                "median": median(finite),
                "largest": float(finite.max()) if len(finite) else None,
            }
        )
    agree = None
    if len(run.methods) == 2:
        one, other = run.methods
        both = analysis.agreement(paths[one], paths[other])
        if both is not None:
            values = both.per_region[np.isfinite(both.per_region)]
            agree = {
                "overall": both.overall,
                "regions": len(both.per_region),
                "shared": both.shared,
                "median": median(values),
                "lower": float(np.quantile(values, 0.05)) if len(values) else None,
                "histogram": figures.agreement_histogram(both),
                "density": figures.agreement_density(both, one, other),
            }
    return {
        "target": output,
        "examples": [{"region": example, "image": None, "part": ""} for example in chosen],
        "rule": rule,
        "path": path,
        "completeness": complete,
        "elsewhere": elsewhere,
        "spread": [
            {"method": method, "found": found}
            for method, found in ((method, analysis.model_spread(path)) for method, path in paths.items())
            if found is not None
        ],
        "agreement": agree,
        "mutagenesis": _mutagenesis(paths, mutagenesis[MUTAGENESIS]) if mutagenesis else None,
    }


def examples_in_turn(explanations: list[dict]) -> list[dict]:
    """The first example of each output, then the second of each, and so on."""
    rounds = itertools.zip_longest(*(each["examples"] for each in explanations))
    return [example for found in rounds for example in found if example is not None]


def draw_examples(explanations: list[dict], planted: pd.DataFrame | None, palette: dict[str, str] = COLOURS) -> None:
    """Draw the examples of all outputs, in turn, until they have taken their room; `image` of the others stays None.

    Parameters
    ----------
    explanations : list of dict
        As from `explain`.
    planted : pandas.DataFrame or None
        Known motif instances (simulated data) to mark: chrom, start, end, name.
    """
    room = Room(DRAWN)
    for example in examples_in_turn(explanations):
        if room.full:
            break
        region, sites = example["region"], []
        if planted is not None:
            here = planted[planted["chrom"] == region.chrom]
            sites = list(here[["start", "end", "name"]].itertuples(index=False, name=None))
        example["image"], example["part"] = figures.example_region(region, sites, palette)
        room.take(example["image"])


def _mutagenesis(paths: dict[str, Path], mutagenesis: Path) -> dict | None:
    """Agreement of each method with mutagenesis; None where they share no region."""
    held = {method: analysis.mutagenesis_agreement(path, mutagenesis) for method, path in paths.items()}
    found = {method: values for method, values in held.items() if values is not None}
    if not found:
        return None
    kinds = ("pearson", "spearman")
    return {
        "rows": [
            {"method": method, "regions": len(values.pearson)} | {kind: _range(getattr(values, kind)) for kind in kinds}
            for method, values in found.items()
        ],
        "images": [
            figures.mutagenesis_agreement(
                {method: getattr(values, kind) for method, values in found.items()}, kind.capitalize()
            )
            for kind in kinds
        ],
    }


def _range(values: np.ndarray) -> dict:
    values = values[np.isfinite(values)]
    ends = (float(values.min()), float(values.max())) if len(values) else (None, None)
    return {"median": median(values), "lowest": ends[0], "highest": ends[1]}
