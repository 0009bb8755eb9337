"""What the stages after motif discovery leave, added to a run of `report_fixture`: hits, compendium, grammar, ..."""

import json

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from seqlift.motifs.folder import read_motifs
from seqlift.report.read.findings import (
    FAITHFULNESS_COLUMNS,
    GRAMMAR_COLUMNS,
    MEMBER_COLUMNS,
    MOTIF_COLUMNS,
    POSITION_COLUMNS,
    USAGE_COLUMNS,
)


def add_findings(run, outputs, methods, name="GATA1"):
    """Write them all into the run's folder; each of the three patterns of an output is a member of m_0, m_1 or m_2."""
    for output in outputs:
        for method in methods:
            _add_hits(run / "motifs" / method / output, output, method)
    _add_compendium(run, outputs, methods, name)
    _add_faithfulness(run, outputs, methods)
    folder = run / "aggregates" / "promoters"
    folder.mkdir(parents=True)
    stem = folder / f"{outputs[0]}.{methods[0]}"
    _figure(stem)
    stem.with_name(f"{stem.name}.tsv").write_text("position\tmean\n0\t1\n")
    stem.with_name(f"{stem.name}.json").write_text(json.dumps({"format": "seqlift aggregate 1", "total": 9, "used": 7}))


def _add_hits(folder, output, method):
    hits = pd.read_csv(folder / "seqlets.bed.gz", sep="\t").assign(name="", coefficient=0.4, similarity=0.9)
    hits.to_csv(folder / "hits.bed.gz", sep="\t", index=False)
    summary = {"format": "seqlift hits 1", "target": output, "method": method, "regions": 200, "hits": len(hits)}
    (folder / "hits.json").write_text(json.dumps(summary | {"seqlet_recall": 0.93, "explained": 0.6125}))


def _add_compendium(run, outputs, methods, name):
    folder = run / "motifs" / "compendium"
    folder.mkdir()
    matrices, rows, members, usage, positions = {}, [], [], [], []
    for i in range(3):
        pattern = read_motifs(run / "motifs" / methods[0] / outputs[0]).patterns[i]
        kinds = {kind: pattern.shown(kind) for kind in ("pfm", "cwm", "hcwm")}
        matrices[f"m_{i}"] = {kind: np.round(matrix, 4).tolist() for kind, matrix in kinds.items()}
        row = (
            f"m_{i}",
            "positive" if i < 2 else "negative",
            name if i == 0 else "",
            "MA0035.3" if i == 0 else "",
            1e-9,
            1e-8,
            "MA0035.3 GATA1",
        )
        used = (";".join(outputs), ";".join(methods), 900 - 400 * i, 700 - i, 120 - i)
        rows.append((*row, "AGATAA" if i == 0 else "TGANTCA", 10, 0.25 + 0.1 * i, 9.7 - i, 4, *used))
        for output in outputs:
            for method in methods:
                members.append(
                    (f"m_{i}", output, method, "", ("pos_0", "pos_1", "neg_0")[i], "+-+"[i], i, 1e-9, 450, 350, 60)
                )
                usage.append((f"m_{i}", output, method, 200, 60, 0.3, 350, 1.25, -2.0, 11.0))
                positions += [(f"m_{i}", output, method, at, at + 50, 100 - abs(at)) for at in range(-100, 100, 50)]
    grammar = (outputs[0], methods[0], "m_0", "m_1", name, "", 41, 20.5, 2.0, 1e-5, 2e-5)
    certain = (*grammar, "> <", 0.01, 12, 9, 1.5, 0.003)
    pairs = [certain, (*certain[:-8], 0.9, 0.9, "> >", 1.0, 30, 2, 1.0, 0.8)]
    tables = {
        "compendium.tsv": (rows, MOTIF_COLUMNS),
        "members.tsv": (members, MEMBER_COLUMNS),
        "usage.tsv": (usage, USAGE_COLUMNS),
        "positions.tsv": (positions, POSITION_COLUMNS),
        "grammar.tsv": (pairs, GRAMMAR_COLUMNS),
    }
    for file, (content, columns) in tables.items():
        pd.DataFrame(content, columns=columns).to_csv(folder / file, sep="\t", index=False)
    (folder / "compendium.json").write_text(json.dumps({"format": "seqlift compendium 1", "motifs": matrices}))
    _figure(folder / "grammar")


def _add_faithfulness(run, outputs, methods):
    folder = run / "faithfulness"
    folder.mkdir()
    columns = [*FAITHFULNESS_COLUMNS, "mutagenesis_spearman", "truth_auroc"]
    numbers = (50, 0.4321, 0.4, 0.46, 0.9, 0.85, 0.95, 0.021, 0.2525, 0.61, np.nan)
    rows = [(output, method, *numbers) for output in outputs for method in methods]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "faithfulness.tsv", sep="\t", index=False)
    _figure(folder / "faithfulness")


def _figure(stem):
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().plot([0, 1], [1, 0])
    for kind in ("svg", "png"):
        figure.savefig(stem.with_name(f"{stem.name}.{kind}"))
