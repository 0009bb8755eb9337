"""The top of the page: each target at a glance, and what a reader must know before believing any number below."""

from collections.abc import Callable

from seqlift.evaluation.comparison import Row, Value, comparison, value_of
from seqlift.report.figures.letters import logo_image
from seqlift.report.formats import count, listed, number, percent, times
from seqlift.report.read.entries import Entry, key_of
from seqlift.report.read.run import METHOD_NAMES, WEAK, Run
from seqlift.report.sections.data_and_training import HEADLINE_NAMES

NAMES = 8  # of motifs in one line


def leading_motifs(run: Run, entries: list[Entry], palette: dict[str, str]) -> dict[tuple[str, str], dict]:
    """(output, method) -> its positive pattern of most seqlets: key and name of the motif it belongs to, and a logo."""
    found = {}
    number = key_of(entries)
    for (output, method), motifs in run.motifs.items():
        positive = [pattern for pattern in motifs.patterns if pattern.name.startswith("pos")]
        pattern = None
        if positive:
            entry = entries[number[output, method, positive[0].name]]
            row = motifs.table[motifs.table["pattern"] == positive[0].name].iloc[0]
            alt = f"Sequence logo of the mean contributions of {positive[0].name}: {row['consensus']}"
            logo = logo_image(positive[0].shown("cwm"), alt, height=56, palette=palette)
            pattern = {"key": entry.key, "name": row["name"], "p": row["p"], "logo": logo}
        found[output, method] = {"method": method, "pattern": pattern, "message": motifs.summary["message"]}
    return found


def in_short(run: Run, entries: list[Entry], explanations: list[dict], evidence: dict) -> list[dict]:
    """The run in a few lines, each with the section that says more: [{what, text, link}]."""
    lines = [_motif_line(entries)]
    if evidence["hits"]:
        shares = [row["explained"] for row in evidence["hits"] if row["explained"] is not None]
        total = sum(int(row["hits"]) for row in evidence["hits"])
        if shares:
            text = f"{count(total)} hits of these motifs carry {_range_of(shares, percent)} of all contributions."
            lines.append({"what": "Hits", "text": text, "link": "hits"})
    if evidence["faithfulness"]:
        lines += _faithful_line(evidence["faithfulness"]["rows"])
    checked = sum(row["checked"] for each in explanations for row in each["completeness"])
    broken = sum(row["broken"] for each in explanations for row in each["completeness"])
    which = f"{count(checked - broken)} of {count(checked)}" if broken else f"All {count(checked)}"
    text = f"{which} explanations add up to the change of the output."
    if not checked:
        text = "The scores come from another program, so completeness could not be checked."
    lines.append({"what": "Completeness", "text": text, "link": "completeness"})
    medians = [each["agreement"]["median"] for each in explanations if each["agreement"]]
    medians = [value for value in medians if value is not None]
    if medians:
        text = f"The two methods agree within a region with a median correlation of {_range_of(medians, number)}."
        lines.append({"what": "Agreement", "text": text, "link": "agreement"})
    return lines


def _faithful_line(rows: list[dict]) -> list[dict]:
    """How soon the output falls when bases are replaced by falling contribution, beside random order."""
    halves = [row["deletion_half"] for row in rows if row["deletion_half"] is not None]
    random = [row["random_deletion_half"] for row in rows if row["random_deletion_half"] is not None]
    if not halves or not random:
        return []
    text = (
        f"Replacing {_range_of(halves, _share)} of the bases, those of the largest contributions first, halves the "
        f"output; in random order it takes {_range_of(random, _share)}."
    )
    return [{"what": "Faithfulness", "text": text, "link": "faithfulness"}]


def _share(value: float) -> str:
    return percent(value, 1)


def _motif_line(entries: list[Entry]) -> dict:
    named = list(dict.fromkeys(entry.name for entry in entries if entry.name))
    some = listed(named) if len(named) <= NAMES else f"{', '.join(named[:NAMES])} and {len(named) - NAMES} more"
    n = len(entries)
    text = "No pattern was found."
    if n:
        motifs = f"{n} motif{'' if n == 1 else 's'}"
        if not named:
            text = f"{motifs} without a known match."
        elif len(named) == n:
            text = f"{motifs}: {some}."
        else:
            text = f"{motifs}, including {some}."
    return {"what": "Motifs", "text": text, "link": "motifs"}


def _range_of(values: list[float], write: Callable[[float], str]) -> str:
    low, high = write(min(values)), write(max(values))
    return low if low == high else f"{low} to {high}"


def card(run: Run, target: str, leading: dict[tuple[str, str], dict]) -> dict:
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
            {"output": output["name"], "items": [leading[output["name"], method] for method in run.methods]}
            for output in run.metrics["outputs"]
            if output["target"] == target
        ],
    }


def _truth_of(run: Run, target: str) -> dict:
    return ((run.truth or {}).get("targets") or {}).get(target) or {}


def _baseline_name(row: Row) -> str:
    return row.name.split(", ", 1)[1].split(" (")[0] if row.kind == "motif" else row.name.split(", ")[0]


def notices(run: Run, provenance: dict, performance: list[dict], explanations: list[dict]) -> list[dict]:
    """What a reader must know before believing any number below; `loud` ones void the rest."""
    notices = []
    unlearned = run.unlearned()
    headlines = {target: run.headline(target) for target in run.targets}
    if unlearned:
        restarts = run.metrics.get("restarts", 0)
        tried = f", although training was started again {times(restarts)} with other seeds" if restarts else ""
        reached = ", ".join(_reached(run, output) for output in unlearned)
        notices.append(
            {
                "loud": True,
                "title": f"The model learned nothing about {listed(unlearned)}",
                "text": f"Its validation loss is no better than that of predicting the base rate{tried} (on "
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
                "title": f"The model is overconfident: {', '.join(uncertain)}",
                "text": "It tells regions apart, but its validation loss is no better than that of predicting the "
                "base rate: its probabilities are overconfident. More data, a smaller model or a lower "
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
                    "text": f"{HEADLINE_NAMES[kind]} on held-out regions is {number(numbers[kind])}. Explanations of a "
                    "weak model say little about the biology.",
                }
            )
    for section in performance:
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
