"""The regions of the page: which ones, what lies on them, and the data that its script draws them from."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.motifs.logos import COLOURS
from seqlift.report.figures.explanations import METHOD_COLOURS
from seqlift.report.figures.letters import outlines
from seqlift.report.read.entries import Entry, key_of
from seqlift.report.read.genes import neighbours, read_genes
from seqlift.report.read.run import METHOD_NAMES, MUTAGENESIS, Run
from seqlift.report.regions.choice import BUDGET, Choice, choose_regions
from seqlift.report.regions.data import Region, collect_regions, pack, path_nodes, short
from seqlift.report.regions.marks import HitFile, hits_on, overlaps, peaks_on
from seqlift.report.regions.predicted_signal import add_predicted, predicted_tracks
from seqlift.scores.file import open_scores


@dataclass(frozen=True)
class RegionPage:
    """Regions for the page.

    Attributes
    ----------
    choice : Choice
    index : dict
        For searching and listing; goes into the page as JSON.
    blocks : list of str
        The packed regions, in the order of the index.
    hits : pandas.DataFrame
        Hits on the regions, with the number of their motif.
    what : str
        `hits`, or `seqlets` where hits were not called.
    without_peaks : list of str
        Targets whose file of peaks is no longer there.
    predicted : bool
        Whether there are tracks of predicted signal.
    """

    choice: Choice
    index: dict
    blocks: list[str]
    hits: pd.DataFrame
    what: str
    without_peaks: list[str]
    predicted: bool


def region_page(
    run: Run,
    table: pd.DataFrame,
    entries: list[Entry],
    examples: list[str],
    *,
    genes: Path | None = None,
    palette: dict[str, str] = COLOURS,
    unit: str = "output",
    budget: int = BUDGET,
) -> RegionPage:
    """Choose the regions, collect all that is known of them and pack it.

    Parameters
    ----------
    table : pandas.DataFrame
        regions.tsv.gz
    examples : list of str
        Regions that come first.
    genes : pathlib.Path, optional
        BED, GFF3 or GTF.
    """
    paths = {output: [run.scores(output, method) for method in run.methods] for output in run.outputs}
    choice = choose_regions(paths, examples, run.length, budget)
    regions = choice.regions
    methods = [*run.methods, *([MUTAGENESIS] if run.mutagenesis else [])]
    files = {(i, method): run.scores(output, method) for i, output in enumerate(run.outputs) for method in methods}
    data = list(collect_regions(regions["name"], files).values())
    predicted = predicted_tracks(run)
    add_predicted(regions, data, predicted)
    marks, what = _hits(run, regions, entries)
    marks = _of_scored(marks, data, run.outputs)
    peaks, gone = peaks_on(regions, run.regions["peaks"])
    planted = _planted(run, regions)
    annotation = read_genes(genes, sorted(set(table["chrom"]))) if genes else None
    beside = [[] for _ in range(len(regions))] if annotation is None else neighbours(annotation, regions)
    outputs = {output: i for i, output in enumerate(run.outputs)}
    hits: list[list] = [[] for _ in data]
    for hit in marks.itertuples():
        place = [hit.strand, hit.start, hit.end, short(hit.contribution)]
        hits[hit.region].append([outputs[hit.output], hit.method, hit.motif, *place])
    for i, region in enumerate(data):
        region.about |= {
            "hits": hits[i],
            "peaks": peaks[i],
            "planted": planted[i],
            "genes": [[gene.name, gene.start, gene.end, gene.strand] for gene in beside[i] if gene.inside],
        }
    index = _index(run, table, regions, entries, palette, unit) | {
        "best": _best(data, len(run.outputs)),
        "motifs": _motifs_of(marks, len(regions)),
        "peaks": [sorted({peak[3] for peak in found if peak[3]}) for found in peaks],
        "genes": [[[gene.name, gene.distance, gene.inside] for gene in found] for found in beside],
        "what": what,
    }
    return RegionPage(choice, index, [pack(region) for region in data], marks, what, gone, bool(predicted))


def script_json(value: object) -> str:
    """JSON that may be written inside a `<script>` element: no name in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _index(
    run: Run, table: pd.DataFrame, regions: pd.DataFrame, entries: list[Entry], palette: dict[str, str], unit: str
) -> dict:
    split = table.set_index("name")["split"]
    return {
        "length": run.length,
        "unit": unit,
        "outputs": run.outputs,
        "targets": run.targets,
        "target_of": [run.targets.index(each["target"]) for each in run.metrics["outputs"]],
        "methods": [
            {"key": method, "name": METHOD_NAMES[method], "colour": METHOD_COLOURS[method]}
            for method in [*run.methods, *([MUTAGENESIS] if run.mutagenesis else [])]
        ],
        "letters": {base: [outline, palette[base]] for base, outline in outlines().items()},
        "alphas": _alphas(run),
        "entries": [[entry.key, entry.name, entry.label] for entry in entries],
        "names": regions["name"].tolist(),
        "chroms": regions["chrom"].tolist(),
        "starts": regions["start"].tolist(),
        "splits": regions["name"].map(split).fillna("").tolist(),
    }


def _alphas(run: Run) -> dict[str, list[float | None]]:
    """Output -> the points of its path that are shown."""
    found = {}
    for output in run.outputs:
        for method in run.methods:
            with open_scores(run.scores(output, method)) as scores:
                if scores.interior is not None:
                    alphas = scores.interior["alphas"][:]
                    found[output] = [short(alpha) for alpha in alphas[path_nodes(alphas)]]
    return found


def _hits(run: Run, regions: pd.DataFrame, entries: list[Entry]) -> tuple[pd.DataFrame, str]:
    hits = [motifs.folder / "hits.bed.gz" for motifs in run.motifs.values()]
    called = all(path.is_file() for path in hits) and bool(run.hits)
    name, stage = ("hits.bed.gz", "hits") if called else ("seqlets.bed.gz", "motifs")
    files = [HitFile(*key, motifs.folder / name, stage) for key, motifs in run.motifs.items() if len(motifs.patterns)]
    found = hits_on(regions, files)
    number = key_of(entries)
    keys = zip(found["output"], found["method"], found["pattern"], strict=True)
    found["motif"] = [number.get(key, -1) for key in keys]
    return found[found["motif"] >= 0].reset_index(drop=True), "hits" if called else "seqlets"


def _of_scored(hits: pd.DataFrame, data: list[Region], outputs: list[str]) -> pd.DataFrame:
    """The hits of outputs and methods that scored the region: others are of a region that overlaps it."""
    scored = {
        (i, outputs[track["output"]], track["method"])
        for i, region in enumerate(data)
        for track in region.about["tracks"]
    }
    keys = zip(hits["region"], hits["output"], hits["method"], strict=True)
    return hits[np.array([key in scored for key in keys], bool)].reset_index(drop=True)


def _planted(run: Run, regions: pd.DataFrame) -> list[list]:
    found: list[list] = [[] for _ in range(len(regions))]
    sites = run.planted_sites()
    if sites is not None:
        sites = sites.reset_index(drop=True)
        for region, row in overlaps(regions, sites):
            found[region].append([int(sites["start"][row]), int(sites["end"][row]), str(sites["name"][row])])
    return found


def _best(data: list[Region], outputs: int) -> list[list[float | None]]:
    """Of each region its prediction for every output (of the first method that scored it), None where there is none."""
    rows = []
    for region in data:
        row: list[float | None] = [None] * outputs
        for track in region.about["tracks"]:
            if row[track["output"]] is None and track["method"] != MUTAGENESIS:
                row[track["output"]] = track["prediction"]
        rows.append(row)
    return rows


def _motifs_of(marks: pd.DataFrame, count: int) -> list[list[int]]:
    """The motifs on each region, those of most contribution first."""
    found: list[list[int]] = [[] for _ in range(count)]
    total = marks.groupby(["region", "motif"])["contribution"].sum().abs().reset_index()
    for region, motif in total.sort_values(["region", "contribution"], ascending=[True, False], kind="stable")[
        ["region", "motif"]
    ].to_numpy(int):
        found[region].append(int(motif))
    return found
