"""What does a track cost, beside pyBigWig alone? Prints Markdown.

    python benchmarks/tracks.py [--regions 100000] [--length 500] [--folder DIR] > benchmarks/results/tracks.md

Scores of random sequences on 24 chromosomes, and the same on one. Written with `seqlift tracks write` (which reads the
compressed scores, decides overlaps, and compares what it wrote), and, for comparison, the same values that are in
memory already, region by region as fixedStep, with pyBigWig. Each measurement is a process of its own; they take turns,
and the least time of each counts. One process more does it in parts, and what pyBigWig does beside them: so writing
is listed beside writing. Needs 2 GB on the disk for 100,000 regions.
"""

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import torch
from printing import machine, table, versions

from seqlift.scores.file import create_scores
from seqlift.tracks.source import open_source
from seqlift.tracks.verifying import compare, verify_track
from seqlift.tracks.writing import write_source, write_track

BLOCK = 2000  # regions made at a time
SPACING = 2000  # bp from region to region
TURNS = 3
OVERLAP = "nearest-summit"


def make_scores(path: Path, regions: int, length: int, chromosomes: int) -> dict[str, int]:
    """A score file of random numbers in random sequences; returns the sizes of the chromosomes."""
    rng = np.random.default_rng(0)
    each = -(-regions // chromosomes)
    start = np.arange(regions) % each * SPACING + rng.integers(0, SPACING - length // 2, regions)
    chrom = np.char.add("chr", (np.arange(regions) // each + 1).astype(str))
    coords = pd.DataFrame({"chrom": chrom, "start": start, "end": start + length, "strand": "."})
    coords["name"] = [f"region_{i}" for i in range(regions)]
    attributes = {"target": "target", "method": "deeplift"}
    with create_scores(path, coords, length=length, attributes=attributes) as writer:
        for first in range(0, regions, BLOCK):
            n = min(BLOCK, regions - first)
            one_hot = np.eye(4, dtype=np.int8)[rng.integers(0, 4, (n, length))].transpose(0, 2, 1)
            hypothetical = rng.normal(0, 0.1, (n, 4, length)).astype(np.float32)
            writer.append(
                sequences=one_hot,
                hypothetical=hypothetical,
                contributions=hypothetical * one_hot,
                prediction=np.zeros(n),
                standard_error=np.abs(hypothetical[:, 0]),
            )
    return {f"chr{i + 1}": each * SPACING + 2 * SPACING for i in range(chromosomes)}


def plain(values_path: Path, starts_path: Path, sizes: dict[str, int], output: Path) -> float:
    """Seconds that pyBigWig takes for the values of one region after another, which are in memory."""
    values, places = np.load(values_path), np.load(starts_path, allow_pickle=False)
    bounds = np.flatnonzero(np.diff(places["position"]) != 1) + 1
    edges = [0, *bounds.tolist(), len(places)]
    chroms = [f"chr{number}" for number in places["chrom"][edges[:-1]].tolist()]
    starts = places["position"][edges[:-1]].tolist()
    began = time.perf_counter()
    with pyBigWig.open(str(output), "w") as track:
        track.addHeader(sorted(sizes.items()))
        for chrom, start, begin, end in zip(chroms, starts, edges[:-1], edges[1:], strict=True):
            track.addEntries(chrom, start, values=values[begin:end], span=1, step=1)
    return time.perf_counter() - began


def ours(scores: Path, sizes: dict[str, int], output: Path, settings: dict) -> float:
    began = time.perf_counter()
    write_track(scores, output, chromosome_sizes=sizes, **settings)
    return time.perf_counter() - began


def verified(scores: Path, output: Path) -> float:
    began = time.perf_counter()
    verify_track(scores, output)
    return time.perf_counter() - began


def parts(scores: Path, sizes: dict[str, int], held: tuple[Path, Path], folder: Path) -> dict[str, float]:
    """Seconds of what `tracks write` does, part by part, and of pyBigWig alone, in the same process."""
    began = time.perf_counter()
    with open_source(scores, folder) as source:
        read = time.perf_counter()
        write_source(source, folder / "parts.bw", chromosome_sizes=sizes, overlap=OVERLAP)
        written = time.perf_counter()
        compare(source, folder / "parts.bw", sizes, OVERLAP)
        compared = time.perf_counter()
    comparing = compared - written  # once more: the file was compared when it was written, too
    return {
        "reading the scores": read - began,
        "laying and writing": written - read - comparing,
        "comparing": comparing,
        "pyBigWig": plain(*held, sizes, folder / "plain.bw"),
    }


def save_values(track: Path, folder: Path) -> tuple[Path, Path]:
    """The values of a track and where they lie, as the comparison takes them."""
    values, places = [], []
    with pyBigWig.open(str(track)) as file:
        for chrom in sorted(file.chroms()):
            for first in range(0, file.chroms(chrom), 10**7):
                found = file.values(chrom, first, min(first + 10**7, file.chroms(chrom)), numpy=True)
                held = np.flatnonzero(~np.isnan(found))
                values.append(found[held].astype(np.float32))
                entry = np.empty(len(held), [("chrom", np.int32), ("position", np.int64)])
                entry["chrom"], entry["position"] = int(chrom.removeprefix("chr")), held + first
                places.append(entry)
    np.save(folder / "values.npy", np.concatenate(values))
    np.save(folder / "places.npy", np.concatenate(places))
    return folder / "values.npy", folder / "places.npy"


def _child(connection, function, arguments):
    found = function(*arguments)
    # Not `ru_maxrss`, which also remembers the process that started this one
    highest = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    connection.send((found, int(highest[1]) / 1024))


def measure(function, *arguments) -> tuple:
    """Seconds as `function` says them, and MB at most in memory (mapped files among them), of a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(there, function, arguments))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def measure_all(folder: Path, regions: int, length: int, chromosomes: int) -> tuple[list[list[str]], list[str]]:
    """Rows of the table of commands, and the row of that of the parts."""
    scores, output = folder / "scores.h5", folder / "ours.bw"
    sizes = make_scores(scores, regions, length, chromosomes)
    write_track(scores, output, chromosome_sizes=sizes)
    bases = json.loads((folder / "ours.bw.json").read_text())["bases"]
    held = save_values(output, folder)
    jobs = {
        "pyBigWig, values in memory": (plain, *held, sizes, folder / "plain.bw"),
        "`tracks write`": (ours, scores, sizes, output, {}),
        "`tracks write --overlap mean`": (ours, scores, sizes, folder / "mean.bw", {"overlap": "mean"}),
        "`tracks write --value standard-error`": (ours, scores, sizes, folder / "e.bw", {"value": "standard-error"}),
        "`tracks verify`": (verified, scores, output),
    }
    found, pieces = {name: [] for name in jobs}, []
    for _ in range(TURNS):
        for name, job in jobs.items():
            found[name].append(measure(*job))
        pieces.append(measure(parts, scores, sizes, held, folder)[0])
    plain_seconds = min(seconds for seconds, _ in found["pyBigWig, values in memory"])
    megabytes = {"plain": (folder / "plain.bw").stat().st_size / 1e6, "ours": output.stat().st_size / 1e6}
    rows = []
    for name, turns in found.items():
        seconds, memory = min(turns)[0], max(size for _, size in turns)
        file = megabytes["plain" if name.startswith("py") else "ours"]
        cells = [f"{seconds:.1f}", f"{plain_seconds / seconds:.2f}", f"{bases / seconds / 1e6:.1f}", f"{memory:.0f}"]
        rows.append([str(chromosomes), name, *cells, f"{file:.0f}" if "verify" not in name else ""])
    least = {name: min(turn[name] for turn in pieces) for name in pieces[0]}
    times = least["pyBigWig"] / least["laying and writing"]
    return rows, [str(chromosomes), *(f"{seconds:.1f}" for seconds in least.values()), f"{times:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regions", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=500, help="bp")
    parser.add_argument("--folder", help="for temporary files")
    arguments = parser.parse_args()
    print(f"# Tracks: {arguments.regions:,} regions of {arguments.length} bp\n")
    print("Printed by `benchmarks/tracks.py`, on", machine(torch.device("cpu")) + ";")
    print(versions("numpy", "pyBigWig", "h5py") + ".\n")
    header = ["chromosomes", "what", "s", "times as fast as pyBigWig", "million bp/s", "MB in memory", "MB of file"]
    rows, pieces = [], []
    for chromosomes in (24, 1):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            found, piece = measure_all(Path(name), arguments.regions, arguments.length, chromosomes)
            rows += found
            pieces.append(piece)
    print(table(header, rows))
    print("\n`tracks write` in parts, and pyBigWig in the same process (s):\n")
    header = ["chromosomes", "reading the scores", "laying and writing", "comparing", "pyBigWig alone"]
    print(table([*header, "writing: times as fast as pyBigWig"], pieces))


if __name__ == "__main__":
    main()
