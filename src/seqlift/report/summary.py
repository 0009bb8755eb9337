"""A run in a screenful of text: its numbers beside what is possible, its leading patterns, and where its files are."""

import os
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from seqlift.evaluation.comparison import comparison, profile_comparison
from seqlift.report.read.run import METHOD_NAMES, Run, load_run

MOTIFS = 8  # printed
MIN_WIDTH = 80  # also where there is no terminal to ask


def print_summary(run_dir: str | os.PathLike, console: Console | None = None) -> None:
    """Print the main numbers of a run and the paths of its report, logos and tracks.

    Parameters
    ----------
    run_dir : path-like
        results/<name>/<length>bp
    console : rich.console.Console, optional
        Where to print; default: standard output, 80 columns wide where it is no terminal.

    Raises
    ------
    SeqliftError
        If a file is missing or broken; the message names the stage that makes it.
    """
    run = load_run(run_dir)
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = MIN_WIDTH
    console.print(Text.assemble((run.name, "bold"), f", windows of {run.length} bp"))
    for target in run.unlearned():
        line = f"WARNING: the model learned nothing about {target}; do not interpret its scores"
        console.print(Text(line, style="bold red"))
    console.print()
    title = "Held-out regions (positive + negative)" if run.head == "classes" else "Log counts of held-out regions"
    sections = [(title, _performance(run)), ("Leading patterns", _patterns(run))]
    if run.head == "profile":
        sections.insert(1, ("Jensen-Shannon distance of profiles, median of held-out peaks", _profiles(run)))
    if any(_truth(run, "contributions").values()):
        sections.insert(-1, ("AUROC of |contribution| for the planted bases", _bases(run)))
    if run.compendium is not None:
        sections.append(("Motifs, the patterns of all targets and methods merged", _motifs(run.compendium.table)))
    if run.hits:
        title = "Hits" + (", compared with the planted sites" if _truth(run, "hits") else "")
        sections.append((title, _hits(run)))
    if run.faithfulness is not None:
        sections.append(
            ("% of bases replaced to halve the output, largest contributions first", _half(run.faithfulness))
        )
    for title, table in sections:  # not as the tables' own titles, which wrap where a table is narrow
        console.print(Text(title, style="bold"))
        console.print(table)
        console.print()
    _print_files(run, console)


def _truth(run: Run, part: str) -> dict:
    return (run.truth or {}).get(part) or {}


def _table(*columns: tuple[str, JustifyMethod]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        header_style="",
        padding=(0, 1),
        pad_edge=False,
    )
    for name, side in columns:
        table.add_column(name, justify=side, overflow="fold", no_wrap=name in ("interval", "p"))
    return table


def _performance(run: Run) -> Table:
    kind = "AUROC" if run.head == "classes" else "Pearson"
    column = "AUROC, all" if run.head == "classes" else "Pearson"
    best = _truth(run, "targets") if run.head == "classes" else {}
    rows = comparison(run.metrics)
    kinds = [kind for kind in ("motif", "kmers") if any(row.kind == kind for row in rows)]
    names = {"motif": "best motif", "kmers": next((r.name.split(", ")[0] for r in rows if r.kind == "kmers"), "")}
    columns: list[tuple[str, JustifyMethod]] = [("target", "left"), (kind, "right"), ("interval", "left")]
    columns += [("best possible", "right")] if best else []
    columns += [(names[kind], "right") for kind in kinds] + [("regions", "right")]
    table = _table(*columns)
    for target in run.targets:
        values = {row.kind: row.values[column] for row in rows if row.target == target}
        own, (_, numbers) = values["model"], run.headline(target)
        cells = [target, _number(own.value), "" if own.low is None else f"{own.low:.3f}-{own.high:.3f}"]
        cells += [_number((best.get(target) or {}).get("auroc_best"))] if best else []
        cells += [_number(values[kind].value) if kind in values else "-" for kind in kinds]
        regions = (
            f"{numbers['positives']:,} + {numbers['negatives']:,}" if kind == "AUROC" else f"{numbers['regions']:,}"
        )
        table.add_row(*map(Text, [*cells, regions]))
    return table


def _profiles(run: Run) -> Table:
    """Median distances of the profiles of held-out peaks."""
    rows = profile_comparison(run.metrics)
    table = _table(("target", "left"), ("distance", "right"), ("interval", "left"), ("of", "left"))
    for row in rows:
        found = row.values["peaks"]
        interval = "" if found.low is None else f"{found.low:.3f}-{found.high:.3f}"
        table.add_row(*map(Text, [row.target, _number(found.value), interval, row.name]))
    return table


def _bases(run: Run) -> Table:
    table = _table(
        ("target", "left"),
        *((METHOD_NAMES[method], "right") for method in run.methods),
    )
    contributions = _truth(run, "contributions")
    for target in run.outputs:
        found = [(contributions.get(f"{target}.{method}") or {}).get("auroc") for method in run.methods]
        table.add_row(Text(target), *map(_number, found))
    return table


def _patterns(run: Run) -> Table:
    table = _table(
        ("target", "left"),
        ("method", "left"),
        ("pattern", "left"),
        ("seqlets", "right"),
        ("closest motif", "left"),
        ("p", "right"),
    )
    for target in run.outputs:
        for method in run.methods:
            motifs = run.motifs[target, method]
            positive = motifs.table[motifs.table["pattern"].str.startswith("pos")]
            if len(positive):
                first = positive.iloc[0]
                name = first["name"] or "unnamed"
                row = [first["pattern"], f"{int(first['seqlets']):,}", name, f"{first['p']:.1e}"]
            else:
                row = ["none", "", motifs.summary["message"], ""]
            table.add_row(*map(Text, [target, METHOD_NAMES[method], *row]))
    return table


def _motifs(motifs: pd.DataFrame) -> Table:
    """The motifs of most seqlets."""
    table = _table(
        *(("motif", "left"), ("consensus", "left"), ("targets", "left")),
        *(("seqlets", "right"), ("hits", "right"), ("q", "right")),
    )
    for row in motifs.head(MOTIFS).to_dict("records"):
        name = row["name"] or "unnamed"
        cells = [name, row["consensus"], row["outputs"].replace(";", ", "), f"{row['seqlets']:,}", f"{row['hits']:,}"]
        table.add_row(*map(Text, [*cells, f"{row['q']:.1e}"]))
    if len(motifs) > MOTIFS:
        table.add_row(Text(f"and {len(motifs) - MOTIFS} more"))
    return table


def _hits(run: Run) -> Table:
    """Hits of each output and method, and on simulated data how many are right, beside FIMO with the planted motif."""
    truth = _truth(run, "hits")
    columns: list[tuple[str, JustifyMethod]] = [("target", "left"), ("method", "left")]
    columns += [("hits", "right"), ("explained", "right")]
    columns += [("precision", "right"), ("recall", "right"), ("FIMO", "right")] if truth else []
    table = _table(*columns)
    for (output, method), found in run.hits.items():
        cells = [output, METHOD_NAMES[method], f"{found['hits']:,}", f"{100 * (found['explained'] or 0):.0f} %"]
        if truth:
            planted = truth.get(f"{output}.{method}") or {}
            scan = (planted.get("scans") or {}).get("jaspar") or {}
            cells += [_number(planted.get("precision")), _number(planted.get("recall"))]
            cells += [f"{_number(scan.get('precision'))}, {_number(scan.get('recall'))}"]
        table.add_row(*map(Text, cells))
    return table


def _half(faithfulness: pd.DataFrame) -> Table:
    table = _table(*(("target", "left"), ("method", "left"), ("bases", "right"), ("in random order", "right")))
    for row in faithfulness.to_dict("records"):
        shares = [row["deletion_half"], row["random_deletion_half"]]
        cells = ["-" if pd.isna(share) else f"{100 * share:.1f} %" for share in shares]
        table.add_row(*map(Text, [row["output"], METHOD_NAMES[row["method"]], *cells]))
    return table


def _print_files(run: Run, console: Console) -> None:
    report = run.directory / "report.html"
    places = [
        ("report", report if report.is_file() else None, "not written yet; `seqlift report` makes it"),
        ("tracks", run.directory / "tracks", ""),
        *([("motifs", run.compendium.folder, "")] if run.compendium is not None else []),
        *((f"logos, {target}", _logos(run, target), "no pattern was found") for target in run.outputs),
    ]
    console.print(Text("Files", style="bold"))
    for what, path, otherwise in places:
        # The path is alone on its line, unbroken, so that it can be copied at any width.
        console.print(Text(f"  {what}"))
        console.print(Text(f"    {path or otherwise}"), soft_wrap=True)


def _logos(run: Run, target: str) -> Path | None:
    for method in run.methods:
        motifs = run.motifs[target, method]
        if len(motifs.patterns):
            return motifs.folder / "logos"
    return None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
