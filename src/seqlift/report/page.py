"""Puts the page together: numbers and figures of each section, filled into the template.

Every name that comes from a user's file (targets, regions, chromosomes, paths) passes the template's escaping.
"""

import base64
import hashlib
import math
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from seqlift.evaluation.comparison import Value, comparison, value_of
from seqlift.regions import DROPPED
from seqlift.report import analysis, canvas, figures, performance
from seqlift.report.run import METHOD_NAMES, MUTAGENESIS, WEAK, Run, relative_link

SPLIT_NAMES = {"train": "training", "valid": "validation", "test": "held out (test)"}
UNITS = {"classes": "logit", "counts": "log count", "profile": "output"}
NEGATIVE_KINDS = {
    "genome": "windows drawn from the genome away from all peaks and matched in GC content",
    "shuffled": "dinucleotide shuffles of the positive regions",
    "unbound": "peaks of another file away from all peaks of the targets",
    "bed": "regions of a file",
}
HEADLINE_NAMES = {"auroc": "AUROC", "pearson": "Pearson correlation of log counts"}


def render_page(run: Run, provenance: dict, *, examples: int, folder: Path) -> str:
    """The whole page as HTML.

    Parameters
    ----------
    run : Run
    provenance : dict
        What `seqlift.provenance.collect_provenance` gave.
    examples : int
        Number of example regions for each target.
    folder : pathlib.Path
        Where the page will lie; links are relative to it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seqlift", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=number,
        count=count,
        percent=percent,
        scientific=scientific,
        signed=signed,
        duration=duration,
        value=value,
    )
    script = _packaged(environment, "report.js")
    table = run.region_table()
    judged = performance.sections(run)
    explanations = [_explanations(run, output, table, examples) for output in run.outputs]
    model = provenance["config"].get("model") or {}
    return environment.get_template("report.html").render(
        run=run,
        title=f"{run.name}, {run.length} bp",
        style=Markup(_packaged(environment, "report.css")),  # ours, not a user's
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        method_names=METHOD_NAMES,
        split_names=SPLIT_NAMES,
        genome=Path(run.regions["genome"]["path"]).name,
        test_chromosomes=list(dict.fromkeys(table.loc[table["split"] == "test", "chrom"])),
        n_regions={split: run.regions["regions"].get(split, 0) for split in ("train", "valid", "test")}
        | {"all": int((table["kind"] != "background").sum())},
        unit=UNITS[run.head],
        cards=[_card(run, target) for target in run.targets],
        performance=judged,
        unlearned=run.unlearned(),
        uncertain=[output for output in run.flagged() if output not in run.unlearned()],
        notices=_notices(run, provenance, judged, explanations),
        regions=_regions(run, table),
        training=_training(run),
        patterns=[_patterns(run, output, folder) for output in run.outputs],
        explanations=explanations,
        truth=run.truth,
        files=_files(run, folder),
        provenance=provenance,
        architecture=model.get("type", "neural"),
        replicates=model.get("replicates", 1),
        both_strands=bool(model.get("both_strands", False)),
        settings=_settings(provenance["config"]),
        timings=_timings(run),
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number with a fixed count of decimals; a dash where there is none."""
    return "–" if _missing(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """A number with its sign."""
    return "–" if _missing(value) else f"{value:+.{digits}f}".replace("-", "−")


def count(value: float | None) -> str:
    """A whole number with narrow spaces between thousands, at which no line breaks."""
    return "–" if _missing(value) else f"{int(value):,}".replace(",", "\u202f")


def percent(value: float | None, digits: int = 0) -> str:
    """A share in percent."""
    return "–" if _missing(value) else f"{100 * value:.{digits}f}\u2009%"


def scientific(value: float | None) -> Markup:
    """A probability: as 0.012, or as 3.1 × 10⁻⁵ when it is small."""
    if _missing(value):
        return Markup("–")
    if value == 0 or value >= 0.001:
        return Markup(f"{value:.3f}" if value else "0")
    exponent = math.floor(math.log10(value))
    mantissa = round(value / 10.0**exponent, 1)
    if mantissa >= 10:
        mantissa, exponent = 1.0, exponent + 1
    return Markup(f"{mantissa:.1f}\u2009×\u200910<sup>−{-exponent}</sup>")


def duration(seconds: float | None) -> str:
    """Seconds as `48 s`, `12 min 5 s` or `2 h 3 min`."""
    if _missing(seconds):
        return "–"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def value(found: Value | None) -> Markup:
    """A number with its interval in small below it."""
    if found is None or found.value is None:
        return Markup("–")
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f'<span class="interval">{number(found.low)}–{number(found.high)}</span>'
    return Markup(number(found.value) + interval)


def _missing(value) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _packaged(environment: jinja2.Environment, name: str) -> str:
    return environment.loader.get_source(environment, name)[0]


def _truth_of(run: Run, target: str) -> dict:
    return ((run.truth or {}).get("targets") or {}).get(target) or {}


def _card(run: Run, target: str) -> dict:
    """The target at a glance: its main numbers, and the leading pattern of each of its outputs."""
    found = run.metric(target)
    headline = run.headline(target)[1]
    rows = {row.kind: row for row in comparison(run.metrics) if row.target == target}
    best = _truth_of(run, target).get("auroc_best")
    if run.head == "classes":
        against = found["against"]
        numbers = [("AUROC", value_of(against["all"], "auroc"))]
        numbers += [("best possible", Value(best, None, None))] if best is not None else []
        numbers += [("AUPRC, 1:1", value_of(against["matched"], "auprc"))]
        numbers += [("AUPRC, genome", value_of(against["background"], "auprc"))] if against["background"] else []
        column = "AUROC, all"
    else:
        numbers = [("Pearson", value_of(headline, "pearson")), ("Spearman", value_of(headline, "spearman"))]
        column = "Pearson"
        if "profile" in found:
            peaks = found["profile"]["groups"]["peaks"]
            numbers.append(("profile distance", value_of(peaks["model"], "median")))
            if peaks["replicates"]:
                halves = found["profile"]["replicates"] == "halves"
                numbers.append(
                    (
                        "of two halves of the reads" if halves else "of replicates",
                        value_of(peaks["replicates"], "median"),
                    )
                )
    baselines = [f"{_baseline_name(row)} {number(row.values[column].value)}" for k, row in rows.items() if k != "model"]
    unlearned = [output for output in run.outputs_of(target) if output in run.unlearned()]
    return {
        "name": target,
        "unlearned": [output.removeprefix(f"{target}.") for output in unlearned],
        "numbers": numbers,
        "beside": f"{column.split(',')[0]} of the baselines: {', '.join(baselines)}" if baselines else "",
        "leading": [
            {"output": output["name"], "items": _leading(run, output["name"])}
            for output in run.metrics["outputs"]
            if output["target"] == target
        ],
    }


def _baseline_name(row) -> str:
    return row.name.split(", ", 1)[1].split(" (")[0] if row.kind == "motif" else row.name.split(", ")[0]


def _leading(run: Run, output: str) -> list[dict]:
    found = []
    for method in run.methods:
        motifs = run.motifs[output, method]
        positive = motifs.patterns[motifs.patterns["pattern"].str.startswith("pos")]
        first = _pattern(motifs, positive.iloc[0]) if len(positive) else None
        found.append({"method": method, "pattern": first, "message": motifs.summary["message"]})
    return found


def _pattern(motifs, row: pd.Series) -> dict:
    return dict(row) | {
        "logos": {
            kind: canvas.file_image(motifs.logo(row["pattern"], kind, "svg"), _logo_text(row, kind))
            for kind in ("cwm", "pfm")
        }
    }


def _logo_text(row: pd.Series, kind: str) -> str:
    what = "mean contributions" if kind == "cwm" else "base frequencies"
    return f"Sequence logo of the {what} of {row['pattern']}: {row['consensus']}"


def _patterns(run: Run, output: str, folder: Path) -> dict:
    found = []
    for method in run.methods:
        motifs = run.motifs[output, method]
        found.append(
            {
                "method": method,
                "summary": motifs.summary,
                "rows": [_pattern(motifs, row) for _, row in motifs.patterns.iterrows()],
                "meme": relative_link(motifs.folder / "patterns.meme", folder),
                "table": relative_link(motifs.folder / "patterns.tsv", folder),
                "logos": relative_link(motifs.folder / "logos", folder) + "/",
            }
        )
    return {"target": output, "methods": found}


def _regions(run: Run, table: pd.DataFrame) -> dict:
    positive = (table[[f"target:{target}" for target in run.targets]] == 1).any(axis=1).to_numpy()
    positive = positive & (table["kind"] == "peak").to_numpy()
    negative = (~table["kind"].isin(["peak", "background"])).to_numpy()
    gc = table["gc"].to_numpy(float)
    negatives, background = run.regions["negatives"], run.regions.get("background") or {}
    columns = [*run.targets, "negative"]
    duplicates = run.regions.get("duplicates") or {}
    return {
        "columns": [*run.targets, "negatives"] + (["background"] if any(background.values()) else []),
        "rows": [
            {
                "split": SPLIT_NAMES.get(split, split.replace("fold", "fold ")),
                "counts": [run.regions["kept"].get(split, {}).get(column) for column in columns]
                + ([background.get(split, 0)] if any(background.values()) else []),
                "total": total,
            }
            for split, total in run.regions["regions"].items()
        ],
        "dropped": sorted(
            ((DROPPED.get(reason, reason), n) for reason, n in run.regions["dropped"].items() if n),
            key=lambda item: (-item[1], item[0]),
        ),
        "duplicates": duplicates.get("across_splits_dropped", 0),
        "masked": {name: n for name, n in (run.regions.get("masked") or {}).items() if n},
        "peaks": run.regions["peaks"],
        "signal": run.regions.get("signal"),
        "shuffled": negatives.get("kind") == "shuffled",
        "negatives": NEGATIVE_KINDS.get(negatives.get("kind"), "regions without peaks"),
        "sets": negatives.get("sets", 1),
        "gc": figures.gc_match(gc[positive], gc[negative]),
        "gc_positive": float(gc[positive].mean()) if positive.any() else None,
        "gc_negative": float(gc[negative].mean()) if negative.any() else None,
    }


def _training(run: Run) -> dict:
    histories = run.histories()
    models = run.metrics["models"]
    best = [model.get("best_epoch") for model in models]
    kind = "auroc" if run.head == "classes" else "pearson"
    return {
        "epochs": _spread(np.array([len(history) for history in histories])),
        "best_epoch": _spread(np.array([epoch for epoch in best if epoch is not None])),
        "restarts": run.metrics.get("restarts", 0),
        "kind": HEADLINE_NAMES[kind],
        "loss": figures.training(histories, best),
        "validation": figures.validation(histories, run.targets, kind, best),
    }


def _explanations(run: Run, output: str, table: pd.DataFrame, examples: int) -> dict:
    """Examples, path, completeness, agreement and mutagenesis of one output."""
    paths = {method: run.scores(output, method) for method in run.methods}
    mutagenesis = {MUTAGENESIS: run.scores(output, MUTAGENESIS)} if run.mutagenesis else {}
    chosen, rule = analysis.read_examples(paths | mutagenesis, table, examples)
    planted = run.planted_sites()
    drawn = []
    for example in chosen:
        here = planted[planted["chrom"] == example.chrom] if planted is not None else None
        sites = [] if here is None else list(here[["start", "end", "name"]].itertuples(index=False, name=None))
        image, part = figures.example_region(example, sites)
        drawn.append({"region": example, "image": image, "part": part})
    path = None
    steps = {}
    for method in run.methods:
        curve = analysis.path_curve(paths[method])
        if curve is not None:
            rows = [example.row[method] for example in chosen if method in example.row]
            steps[method] = _spread(curve.steps)
            path = {
                "prediction": figures.path_prediction(curve, rows),
                "gradient": figures.path_gradient(curve, rows),
                "half": _median(curve.half),
                "most": _median(curve.most),
                "overshoot": curve.overshoot(),
                "left": float(curve.gradient_size[:, -1].mean() / curve.gradient_size.mean(axis=0).max()),
            }
    complete = []
    for method in run.methods:
        found = analysis.completeness(paths[method])
        finite = found.relative[np.isfinite(found.relative)]
        complete.append(
            {
                "method": method,
                "image": figures.completeness(found, method),
                "tolerance": found.tolerance,
                "broken": found.broken,
                "checked": len(found.relative),
                "references": _spread(found.n_references),
                "steps": steps.get(method, "–"),
                "median": _median(finite),
                "largest": float(finite.max()) if len(finite) else None,
            }
        )
    agree = None
    if len(run.methods) == 2:
        found = analysis.agreement(*(paths[method] for method in run.methods))
        if found is not None:
            values = found.per_region[np.isfinite(found.per_region)]
            agree = {
                "overall": found.overall,
                "regions": len(found.per_region),
                "median": _median(values),
                "lower": float(np.quantile(values, 0.05)) if len(values) else None,
                "histogram": figures.agreement_histogram(found),
                "density": figures.agreement_density(found, *run.methods),
            }
    return {
        "target": output,
        "examples": drawn,
        "rule": rule,
        "planted": planted is not None,
        "path": path,
        "completeness": complete,
        "spread": [
            {"method": method, "found": found}
            for method, found in ((method, analysis.model_spread(path)) for method, path in paths.items())
            if found is not None
        ],
        "agreement": agree,
        "mutagenesis": _mutagenesis(paths, mutagenesis[MUTAGENESIS]) if mutagenesis else None,
    }


def _mutagenesis(paths: dict[str, Path], yardstick: Path) -> dict | None:
    """Each method held against mutagenesis; None where they share no region."""
    found = {method: analysis.yardstick(path, yardstick) for method, path in paths.items()}
    found = {method: values for method, values in found.items() if values is not None}
    if not found:
        return None
    kinds = ("pearson", "spearman")
    return {
        "rows": [
            {"method": method, "regions": len(values.pearson)} | {kind: _range(getattr(values, kind)) for kind in kinds}
            for method, values in found.items()
        ],
        "images": [
            figures.yardstick({method: getattr(values, kind) for method, values in found.items()}, kind.capitalize())
            for kind in kinds
        ],
    }


def _range(values: np.ndarray) -> dict:
    values = values[np.isfinite(values)]
    ends = (float(values.min()), float(values.max())) if len(values) else (None, None)
    return {"median": _median(values), "lowest": ends[0], "highest": ends[1]}


def _median(values: np.ndarray) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None


def _spread(values: np.ndarray) -> str:
    """Whole numbers in short: `20`, or `10–60, median 20` where they differ."""
    if not len(values):
        return "–"
    low, high = count(values.min()), count(values.max())
    return low if low == high else f"{low}–{high}, median {count(np.median(values))}"


def _notices(run: Run, provenance: dict, judged: list[dict], explanations: list[dict]) -> list[dict]:
    """What a reader must know before believing any number below; `loud` ones void the rest."""
    notices = []
    unlearned = run.unlearned()
    headlines = {target: run.headline(target) for target in run.targets}
    if unlearned:
        restarts = run.metrics.get("restarts", 0)
        tried = f", although training was started again {_times(restarts)} with other seeds" if restarts else ""
        reached = ", ".join(_reached(run, output) for output in unlearned)
        notices.append(
            {
                "loud": True,
                "title": f"The model learned nothing about {_and(unlearned)}",
                "text": f"Its validation loss is no better than that of always saying the base rate{tried} (on "
                f"held-out regions: {reached}). Contributions and patterns explain noise. Check that the peaks belong "
                "to this genome assembly, use more or stronger peaks, train longer, with a smaller batch, a lower "
                "learning rate or a smaller model.",
            }
        )
    uncertain = [output for output in run.flagged() if output not in unlearned]
    if uncertain:
        notices.append(
            {
                "loud": False,
                "title": f"The model is too sure of itself: {', '.join(uncertain)}",
                "text": "It tells regions apart, but its validation loss is no better than that of always saying the "
                "base rate: its numbers are not to be taken as they are. More data, a smaller model or a lower "
                "learning rate may help.",
            }
        )
    for target, (kind, numbers) in headlines.items():
        known = {target, f"{target}.counts"} & set(unlearned)
        if not known and numbers[kind] is not None and numbers[kind] < WEAK[kind]:
            notices.append(
                {
                    "loud": True,
                    "title": f"The model is weak on {target}",
                    "text": f"{HEADLINE_NAMES[kind]} on held-out regions is {number(numbers[kind])}. What explains a "
                    "weak model is not what explains the biology.",
                }
            )
    for section in judged:
        if section["disagrees"]:
            notices.append(
                {
                    "loud": True,
                    "title": f"metrics.json and predictions.tsv.gz disagree on {section['name']}",
                    "text": f"{section['disagrees']}: they are of different models. Run `seqlift evaluate` again.",
                }
            )
    warning = run.regions["negatives"].get("warning")
    if warning:
        notices.append({"loud": False, "title": "About the negatives", "text": f"{warning[0].upper()}{warning[1:]}."})
    prints = {attributes.get("model_fingerprint") for attributes in provenance["attributions"].values()}
    if len(prints) > 1:
        notices.append(
            {
                "loud": True,
                "title": "The score files are of different models",
                "text": f"They carry {len(prints)} fingerprints of weights. Run `seqlift attribute` again for all.",
            }
        )
    for explanation in explanations:
        for item in explanation["completeness"]:
            if item["broken"]:
                notices.append(
                    {
                        "loud": True,
                        "title": f"Completeness is broken: {explanation['target']}, {METHOD_NAMES[item['method']]}",
                        "text": f"{item['broken']} of {item['checked']} explanations do not add up to the change of "
                        f"the output within {item['tolerance']:g}.",
                    }
                )
    return notices


def _reached(run: Run, output: str) -> str:
    """How well an output is predicted, in words."""
    about = next(each for each in run.metrics["outputs"] if each["name"] == output)
    if about["quantity"] == "profile":
        peaks = run.metric(about["target"])["profile"]["groups"]["peaks"]
        distances = [number((peaks.get(kind) or {}).get("median")) for kind in ("model", "mean")]
        return f"{output} distance {distances[0]}, mean profile {distances[1]}"
    kind, numbers = run.headline(about["target"])
    return f"{output} {HEADLINE_NAMES[kind]} {number(numbers[kind])}"


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def _files(run: Run, folder: Path) -> list[dict]:
    def entry(path: Path, what: str) -> dict:
        return {
            "name": path.relative_to(run.directory).as_posix(),
            "link": relative_link(path, folder),
            "what": what,
            "size": _size(path),
        }

    files = [
        entry(run.directory / "regions.tsv.gz", "regions, labels and splits"),
        *(
            entry(folder_ / "model.ckpt", "the trained model with all that is needed to use it")
            for folder_ in run.model_folders()
        ),
        entry(run.directory / "model" / "metrics.json", "all numbers of the performance section"),
        entry(run.directory / "model" / "predictions.tsv.gz", "each held-out region with labels and predictions"),
    ]
    if run.head == "profile":
        files.append(entry(run.directory / "model" / "profiles.tsv.gz", "the example profiles of this page"))
    for output in run.outputs:
        for method in run.methods:
            label = f"{output}, {METHOD_NAMES[method]}"
            motifs = run.motifs[output, method]
            files += [
                entry(run.track(output, method), f"{label}: track for genome browsers (bigWig)"),
                entry(run.scores(output, method), f"{label}: scores of every base (HDF5)"),
                entry(motifs.folder / "patterns.meme", f"{label}: patterns (MEME)"),
                entry(motifs.folder / "patterns.tsv", f"{label}: patterns (table)"),
            ]
            if len(motifs.patterns):
                files.append(entry(motifs.folder / "logos", f"{label}: logos (SVG, PNG)"))
            for name, what in (("modisco.h5", "TF-MoDISco's own result"), ("seqlets.bed.gz", "seqlets (BED)")):
                if (motifs.folder / name).is_file():
                    files.append(entry(motifs.folder / name, f"{label}: {what}"))
        if run.mutagenesis:
            path = run.scores(output, MUTAGENESIS)
            files.append(entry(path, f"{output}, {METHOD_NAMES[MUTAGENESIS]}: effects of changed bases (HDF5)"))
    files.append(entry(run.directory / "provenance.json", "versions, settings, checksums"))
    return files


def _size(path: Path) -> str:
    if not path.is_file():
        return ""
    size = float(path.stat().st_size)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def _settings(config: dict) -> list[tuple[str, list[tuple[str, str]]]]:
    """The configuration as (section, [(key, value)]), values as text."""
    sections = [("", [(key, _text(value)) for key, value in config.items() if not isinstance(value, dict)])]
    for key, value in config.items():
        if isinstance(value, dict):
            rows = []
            for name, inner in value.items():
                if isinstance(inner, dict) and inner:
                    rows += [(f"{name}.{deep}", _text(leaf)) for deep, leaf in inner.items()]
                else:
                    rows.append((name, _text(inner)))
            sections.append((key, rows))
    return [(title, rows) for title, rows in sections if rows]


def _text(value) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(inner)}" for key, inner in value.items()) or "–"
    if isinstance(value, list):
        return (
            "; ".join(_text(item) for item in value)
            if any(isinstance(item, dict) for item in value)
            else ", ".join(map(_text, value))
        )
    return str(value)


def _timings(run: Run) -> list[tuple[str, float]]:
    """(job, seconds) from Snakemake's benchmark files, where the run was made by the workflow; else training's own."""
    folder = run.directory / "benchmarks"
    timings = []
    for path in sorted(folder.rglob("*.tsv")) if folder.is_dir() else []:
        try:
            seconds = float(pd.read_csv(path, sep="\t")["s"].iloc[0])
        except (KeyError, ValueError, IndexError, OSError):  # not Snakemake's, or still being written
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name != "write_report":  # the one that is running is of an earlier time
            timings.append((name, seconds))
    seconds = [model.get("seconds") for model in run.metrics["models"]]
    if not timings and all(seconds):
        timings.append(("training", float(sum(seconds))))
    return timings
