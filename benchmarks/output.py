"""What do tracks, motifs, hits and the report cost at 20 targets, 2 methods and 100,000 regions? Prints Markdown.

    python benchmarks/output.py --folder /a/disk/with/10/GB > benchmarks/results/output.md

The jobs of different targets and methods do not know each other, so one of each kind is run at full size, by the
command that the workflow calls, in a process of its own: its time and the largest memory that it held. The
compendium, the grammar and the report, which read all targets, are run on all of them: every score file has its own
name and attributes and links to the arrays of one, since forty of them would need 60 GB.

The scores are made up: random sequences with sites of known motifs, contributions at the sites and noise elsewhere.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np
import pandas as pd

if TYPE_CHECKING:  # imported where it is used: this process itself is not to be large
    from seqlift.motifs.database import Database

CHROMOSOMES = 20
METHODS = ("deeplift", "interior_gradients")
NEGATIVES = 2000
EVALUATED = 3000  # regions with which metrics.json is made, which is not measured here
REFERENCES, NODES = 20, 50
SITES = 2  # planted in a region, on average
ROWS = 2000  # written at once


def known_motifs(n: int) -> "Database":
    """Motifs of JASPAR no wider than 24 bp, at even steps from that with most to that with least information."""
    from seqlift.motifs.database import Database, load_database

    known = load_database("jaspar:vertebrates")
    information = [float((matrix * np.log2(np.maximum(matrix, 1e-9) * 4)).sum()) for matrix in known.matrices]
    steps = np.argsort(information, kind="stable")[:: -len(information) // n][:n]
    chosen = [i for i in steps if known.matrices[i].shape[1] <= 24]
    ids, names, matrices = (tuple(column[i] for i in chosen) for column in (known.ids, known.names, known.matrices))
    return Database("planted", known.release, ids, names, matrices)


def make_table(n: int, length: int, targets: list[str]) -> pd.DataFrame:
    """Peaks of all targets, a third of which overlap their neighbour, and negatives on the last two chromosomes."""
    random = np.random.default_rng(1)
    total = n + NEGATIVES
    step = np.where(random.random(total) < 1 / 3, length // 2, length + 20)
    chrom = np.sort(np.arange(total) % CHROMOSOMES)
    start = np.zeros(total, int)
    for number in range(CHROMOSOMES):
        rows = chrom == number
        start[rows] = 100 + np.cumsum(step[rows])
    table = pd.DataFrame(
        {
            "chrom": [f"chr{number + 1}" for number in chrom],
            "start": start,
            "end": start + length,
            "name": [f"peak{i}" for i in range(total)],
            "strand": ".",
            "summit": start + length // 2,
            "kind": "peak",
            "split": np.where(chrom < CHROMOSOMES - 2, "train", np.where(chrom < CHROMOSOMES - 1, "valid", "test")),
            "set": 0,
            "score": 1.0,
            "gc": 0.5,
            "source": "peaks.bed:1",
        }
    )
    negative = random.choice(total, NEGATIVES, replace=False)
    table.loc[negative, ["kind", "source"]] = ["genome", ""]
    for target in targets:
        table[f"target:{target}"] = (table["kind"] == "peak").astype(float)
    return table


def write_genome(path: Path, table: pd.DataFrame) -> dict[str, int]:
    random = np.random.default_rng(2)
    letters = np.frombuffer(b"ACGT" * 64, np.uint8)
    sizes = {}
    with open(path, "wb") as file:
        for chrom, end in table.groupby("chrom", sort=False)["end"].max().items():
            sizes[chrom] = int(end) + 1000
            file.write(b">%s\n%s\n" % (chrom.encode(), letters[random.integers(0, 256, sizes[chrom])].tobytes()))
    return sizes


def write_scores(path: Path, coords: pd.DataFrame, length: int) -> None:
    """The score file whose arrays all others link to."""
    from seqlift.scores.file import create_scores

    random = np.random.default_rng(3)
    motifs = known_motifs(12).matrices
    attributes = {
        "method": "deeplift",
        "target": "t",
        "quantity": "class",
        "models": 1,
        "learned": True,
        "references": "dinucleotide",
        "tolerance": 0.1,
        "seed": 1,
        "model_fingerprint": "0" * 64,
        "package_version": "benchmark",
    }
    alphas = (np.arange(NODES) + 0.5) / NODES
    with create_scores(path, coords, length=length, attributes=attributes) as writer:
        for first in range(0, len(coords), ROWS):
            n = min(ROWS, len(coords) - first)
            codes = random.integers(0, 4, (n, length))
            hypothetical = random.normal(0, 0.02, (n, 4, length)).astype(np.float32)
            for row in np.repeat(np.arange(n), random.poisson(SITES, n)):
                motif = motifs[int(random.integers(len(motifs)))]
                width = motif.shape[1]
                start = int(random.integers(length - width))
                codes[row, start : start + width] = [random.choice(4, p=column / column.sum()) for column in motif.T]
                hypothetical[row, :, start : start + width] += (motif - 0.25) * random.uniform(0.5, 1)
            sequences = (codes[:, None] == np.arange(4)[:, None]).astype(np.int8)
            contributions = sequences * hypothetical
            prediction = contributions.sum(axis=(1, 2)) - 1
            delta = random.normal(0, 1e-6, (n, REFERENCES))
            shape = (n, NODES)
            writer.append(
                sequences=sequences,
                hypothetical=hypothetical,
                contributions=contributions,
                prediction=prediction,
                n_references=np.full(n, REFERENCES),
                delta=delta,
                reference_prediction=np.full((n, REFERENCES), -1.0),
                standard_error=np.abs(contributions.sum(axis=1)) * 0.1 + 0.001,
                path={
                    "alphas": alphas,
                    "weights": np.full(NODES, 1 / NODES),
                    "prediction": prediction[:, None] * alphas,
                    "slope": np.broadcast_to(prediction[:, None], shape),
                    "gradient_size": np.broadcast_to(np.abs(prediction)[:, None] + 0.1, shape),
                    "alpha_half": np.full(n, 0.5),
                    "alpha_90": np.full(n, 0.9),
                    "steps": np.full((n, REFERENCES), NODES),
                },
            )


def link_scores(path: Path, source: Path, target: str, method: str) -> None:
    """A score file of its own name and attributes that holds no array."""
    with h5py.File(source) as arrays, h5py.File(path, "w") as file:
        for key, value in arrays.attrs.items():
            file.attrs[key] = value
        file.attrs["target"], file.attrs["method"] = target, method
        for group in arrays:
            if group == "path" and method == "deeplift":
                continue
            for name in arrays[group]:
                file[f"{group}/{name}"] = h5py.ExternalLink(os.path.relpath(source, path.parent), f"{group}/{name}")


def make_run(run: Path, table: pd.DataFrame, targets: list[str], genome: Path) -> Path:
    """Everything before the scores: regions, an untrained model, its history and its metrics."""
    import torch

    from seqlift.data.genome import Genome
    from seqlift.evaluation.evaluate import evaluate_models
    from seqlift.models.build import build_model
    from seqlift.models.checkpoint import save_checkpoint
    from seqlift.models.shape import Shape
    from seqlift.regions.table import Regions, write_regions

    length = int(table["end"].iloc[0] - table["start"].iloc[0])
    torch.manual_seed(0)
    architecture, shape = {"type": "deepbind", "head": "classes", "filters": 8}, Shape(length, len(targets))
    model = run / "model" / "model.ckpt"
    model.parent.mkdir(parents=True)
    network = build_model(architecture, shape)
    save_checkpoint(model, network, architecture=architecture, targets=targets, shape=shape, training={})
    history = {"epoch": [1], "train_loss": [0.7], "valid_loss": [0.7], "learning_rate": [0.001], "seconds": [1.0]}
    history |= {"attempt": [1]} | {f"valid_auroc_{target}": [0.5] for target in targets}
    pd.DataFrame(history).to_csv(run / "model" / "history.tsv", sep="\t", index=False)
    splits = {name: table[table["split"] == name] for name in ("train", "valid", "test")}
    with Genome(genome) as opened:
        summary = {
            "format": "seqlift regions 2",
            "length": length,
            "targets": targets,
            "genome": {"path": str(genome), "sha256": opened.sha256, "chromosomes": opened.sizes},
            "splits": {name: list(part["chrom"].unique()) for name, part in splits.items()},
            "folds": 0,
            "seed": 1,
            "kept": {
                name: {**{t: int((part["kind"] == "peak").sum()) for t in targets}, "negative": 0}
                for name, part in splits.items()
            },
            "regions": {name: len(part) for name, part in splits.items()},
            "windows": {name: len(part) for name, part in splits.items()},
            "background": {},
            "masked": {},
            "duplicates": {"identical": 0, "across_splits_dropped": 0},
            "dropped": {},
            "peaks": {},
            "negatives": {"kind": "genome"},
            "signal": None,
        }
        write_regions(Regions(table, summary), run / "regions.tsv.gz", run / "regions.json")
        some = table.iloc[np.sort(np.random.default_rng(4).choice(len(table), EVALUATED, replace=False))]
        negative = table[table["kind"] == "genome"]
        some = pd.concat([some, negative]).drop_duplicates("name").sort_index().reset_index(drop=True)
        evaluate_models([model], some, summary, opened, output_dir=run / "model", database=None, device="cpu")
    return model


class Cost(NamedTuple):
    """Of a process: seconds that passed, seconds that its processors worked, and its largest memory in bytes."""

    seconds: float
    worked: float
    memory: int


def timed(*arguments: str | Path) -> Cost:
    """What `seqlift ...` costs, in a process of its own.

    The memory is VmHWM, looked at every 50 ms: ru_maxrss would also count what this process held when it started it.
    """
    begin, before, peak = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN), 0
    command = [sys.executable, "-m", "seqlift", *map(str, arguments)]
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(1024 * int(line.split()[1]) for line in status.splitlines() if line[:6] == "VmHWM:")])
            time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(f"failed: {' '.join(command)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(time.perf_counter() - begin, worked, peak)


def spread_motifs(run: Path, targets: list[str]) -> None:
    """Give every target and method the folder of motifs that was made for one of them."""
    first = run / "motifs" / METHODS[0] / targets[0]
    for method in METHODS:
        for target in targets:
            folder = run / "motifs" / method / target
            if folder == first:
                continue
            shutil.copytree(first, folder)
            for name in ("motifs.json", "hits.json"):
                about = json.loads((folder / name).read_text())
                (folder / name).write_text(json.dumps(about | {"target": target, "output": target, "method": method}))


def measure(folder: Path, options: argparse.Namespace) -> tuple[list[tuple], Path]:
    """(what, jobs of this kind in a run, `Cost`) of each stage, and the run."""
    run = folder / "results" / "large" / f"{options.length}bp"
    targets = [f"target{i}" for i in range(options.targets)]
    table = make_table(options.regions, options.length, targets)
    genome = folder / "genome.fa"
    write_genome(genome, table)
    time.sleep(3)  # a file that has just been written is not believed to be complete
    make_run(run, table, targets, genome)
    (run / "scores").mkdir()
    coords = table[table["kind"] == "peak"].reset_index(drop=True)
    write_scores(folder / "arrays.h5", coords, options.length)
    for target in targets:
        for method in METHODS:
            link_scores(run / "scores" / f"{target}.{method}.h5", folder / "arrays.h5", target, method)
    config = folder / "results" / "large" / "config.yaml"
    config.write_text("name: large\n")

    jobs = len(targets) * len(METHODS)
    scores = run / "scores" / f"{targets[0]}.{METHODS[0]}.h5"
    motifs = run / "motifs" / METHODS[0] / targets[0]
    track = run / "tracks" / f"{targets[0]}.{METHODS[0]}.bw"
    sizes = ["--genome-sizes", run / "regions.json"]
    found = []

    def stage(what: str, count: int, *arguments: str | Path) -> None:
        found.append((what, count, timed(*arguments)))
        print(f"{what}: {found[-1][2].seconds:.0f} s", file=sys.stderr)

    stage("track", jobs, "tracks", "write", "--scores", scores, *sizes, "--output", track)
    error = track.with_name(f"{targets[0]}.{METHODS[0]}.standard_error.bw")
    value = ["--value", "standard-error"]
    stage("track of standard errors", jobs, "tracks", "write", "--scores", scores, *value, *sizes, "--output", error)
    stage("track compared with its scores", 0, "tracks", "verify", "--scores", scores, "--track", track)
    stage("motifs", jobs, "motifs", "--scores", scores, "--output-dir", motifs)
    stage("logos", jobs, "logos", "--motifs", motifs, "--output-dir", motifs / "logos")
    stage("hits", jobs, "hits", "--scores", scores, "--motifs", motifs, "--output-dir", motifs)
    spread_motifs(run, targets)
    for method in METHODS:
        for target in targets:
            for name in (f"{target}.{method}.bw", f"{target}.{method}.standard_error.bw"):
                if not (run / "tracks" / name).exists():
                    shutil.copyfile(error if "standard_error" in name else track, run / "tracks" / name)
    folders = [run / "motifs" / method / target for method in METHODS for target in targets]
    files = [run / "scores" / f"{target}.{method}.h5" for method in METHODS for target in targets]
    compendium = run / "motifs" / "compendium"
    stage("compendium", 1, "compendium", "--motifs", *folders, "--output-dir", compendium)
    pairs = ["--compendium", compendium, "--motifs", *folders, "--scores", *files]
    stage("grammar", 1, "grammar", *pairs, "--output-dir", compendium)
    stage("report", 1, "report", "--run-dir", run, "--config", config, "--output", run / "report.html")
    return found, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--regions", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=500, metavar="BP")
    parser.add_argument("--folder", help="where the files are made, instead of the system's temporary folder")
    options = parser.parse_args()

    import torch
    from printing import machine, table, versions

    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        found, run = measure(Path(name), options)
        size = (run / "report.html").stat().st_size
        hits = json.loads((run / "motifs" / METHODS[0] / "target0" / "hits.json").read_text())
        patterns = json.loads((run / "motifs" / METHODS[0] / "target0" / "motifs.json").read_text())["patterns"]
    rows = [
        [
            what,
            f"{cost.seconds:,.0f} s",
            f"{cost.memory / 1e6:,.0f} MB",
            f"{jobs}" if jobs else "on request",
            f"{jobs * cost.seconds / 60:,.0f} min" if jobs else "–",
        ]
        for what, jobs, cost in found
    ]
    used = versions("numpy", "h5py", "pyBigWig", "modisco-lite", "finemo", "seqlift")
    print(f"# Output\n\n{machine(torch.device('cpu'))}. {used}.")
    print(f"Load average of the machine before the start: {load:.1f}.\n")
    print(
        f"{options.targets} targets, {len(METHODS)} methods, {options.regions:,} regions of {options.length} bp each. "
        f"One job found {patterns} patterns and {hits['hits']:,} hits; the report has {size / 1e6:.1f} MB.\n"
    )
    print(table(["job", "time", "largest memory", "jobs in a run", "together, one after the other"], rows))


if __name__ == "__main__":
    main()
