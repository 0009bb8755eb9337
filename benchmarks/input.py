"""Can the input keep up with the model, and what does a large genome cost? Prints Markdown.

    python benchmarks/input.py --folder /a/disk/with/10/GB > benchmarks/results/input.md

Makes a random genome of 3.1 Gb in a folder of its own and removes it at the end. `--genome-size`, `--regions`,
`--rounds` and `--seconds` make it smaller; `--only` makes some of the three sections. With `--device cuda` the genome
and the networks lie on the card.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

N_CHROMOSOMES, LINE = 24, 60
WINDOWS = 4000  # in a round
LENGTHS = (200, 1000, 2114)
JITTER, BATCH = 100, 128
STEP_BATCH = 32  # a smaller one has less to compute in a step, and as much input for each region
SECTIONS = ("windows", "step", "start")
GENOME_OF_WINDOWS = 100_000_000  # bp; all of it stays in the memory that the system lends to files
CACHE = "cache"


def write_genome(path: Path, size: int) -> None:
    """A random FASTA file of chromosomes of equal length, in lines as UCSC writes them."""
    random = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT" * 64, np.uint8)
    length = size // N_CHROMOSOMES
    with open(path, "wb") as file:
        for number in range(1, N_CHROMOSOMES + 1):
            file.write(b">chr%d\n" % number)
            for first in range(0, length, LINE * 100_000):
                bases = letters[random.integers(0, 256, min(LINE * 100_000, length - first), dtype=np.uint8)]
                whole = len(bases) // LINE * LINE
                lines = np.full((whole // LINE, LINE + 1), ord("\n"), np.uint8)
                lines[:, :LINE] = bases[:whole].reshape(-1, LINE)
                file.write(lines.tobytes() + (bases[whole:].tobytes() + b"\n" if whole < len(bases) else b""))


def random_regions(n: int, genome_size: int, length: int) -> pd.DataFrame:
    """A table as `seqlift regions` writes it, of regions anywhere."""
    random = np.random.default_rng(1)
    start = random.integers(JITTER, genome_size // N_CHROMOSOMES - length - JITTER, n)
    chrom = np.char.add("chr", random.integers(1, N_CHROMOSOMES + 1, n).astype(str))
    peak = np.arange(n) % 2 == 0
    return pd.DataFrame(
        {
            "chrom": chrom,
            "start": start,
            "end": start + length,
            "name": [f"region{i}" for i in range(n)],
            "strand": ".",
            "summit": start + length // 2,
            "kind": np.where(peak, "peak", "genome"),
            "split": "train",
            "set": 0,
            "score": 1.0,
            "gc": 0.5,
            "source": [f"peaks.bed:{i + 1}" if peak[i] else "" for i in range(n)],
            "target:t": peak.astype(float),
        }
    )


def spread(ratios: list[float], digits: int = 1) -> str:
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(ratios), median(ratios), max(ratios)))
    return f"{middle} [{low}, {high}]"


# Windows a second


class FastaRegions:
    """What many write first: a dataset that reads each window through pyfaidx and encodes it."""

    def __init__(self, fasta: Path, table: pd.DataFrame):
        self.fasta, self.opened = str(fasta), None
        self.rows = list(zip(table["chrom"], table["start"].tolist(), table["end"].tolist(), strict=True))
        self.encoding = np.zeros((256, 4), np.float32)
        self.encoding[[ord(base) for base in "ACGT"], range(4)] = 1

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> np.ndarray:
        import pyfaidx

        if self.opened is None:  # in each worker
            self.opened = pyfaidx.Fasta(self.fasta, as_raw=True, sequence_always_upper=True)
        chrom, start, end = self.rows[i]
        return self.encoding[np.frombuffer(self.opened[chrom][start:end].encode(), np.uint8)].T


def windows_of(folder: Path, cores: int, n_rounds: int, genome_size: int, *lengths: int) -> None:
    """Print one row of the table for each length, timed in this process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import torch
    from tangermeme.io import extract_loci
    from torch.utils.data import DataLoader

    from seqlift.data.genome import Genome
    from seqlift.data.windows import one_hot
    from seqlift.training.dataset import EpochOrder, TrainingRegions

    torch.set_num_threads(cores)
    fasta = folder / "genome.fa"
    with Genome(fasta, cache_dir=folder / CACHE) as genome:
        for length in lengths:
            table = random_regions(WINDOWS, genome_size, length)
            regions = TrainingRegions(
                table, genome, np.zeros((WINDOWS, 1)), jitter=JITTER, reverse_complement=True, seed=0
            )
            workers = {"num_workers": cores if cores > 1 else 0}
            ours = DataLoader(regions, sampler=EpochOrder(regions, 0, BATCH), batch_size=None)
            theirs = DataLoader(FastaRegions(fasta, table), batch_size=BATCH, **workers, persistent_workers=cores > 1)

            def seqlift(ours=ours) -> int:
                return sum(len(one_hot(batch.codes)) for batch in ours)

            def tangermeme(table=table, length=length) -> int:
                loci = table[["chrom", "start", "end"]]
                return len(extract_loci(loci, str(fasta), in_window=length, n_jobs=cores).float())

            def loader(theirs=theirs) -> int:
                return sum(len(batch) for batch in theirs)

            contestants: dict[str, Callable[[], int]] = {"seqlift": seqlift, "tangermeme": tangermeme, "loader": loader}
            rates = {name: [] for name in contestants}
            for number in range(n_rounds + 1):
                for name, read in contestants.items():
                    begin = time.perf_counter()
                    n = read()
                    if number:  # the first round is a warm-up
                        rates[name].append(n / (time.perf_counter() - begin))
            cells = [f"{median(rates[name]):,.0f}" for name in contestants]
            ratios = [
                spread([a / b for a, b in zip(rates["seqlift"], rates[name], strict=True)])
                for name in ("tangermeme", "loader")
            ]
            print("\t".join([f"{length:,}", str(cores), *cells, *ratios]))


def windows_section(folder: Path, options: argparse.Namespace) -> str:
    from printing import table

    size = min(options.genome_size, GENOME_OF_WINDOWS)
    write_genome(folder / "genome.fa", size)
    rows = []
    for cores in (1, 2):
        environment = os.environ | {name: str(cores) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
        numbers = map(str, (cores, options.rounds, size, *options.lengths))
        out = child(["windows", str(folder), *numbers], environment)
        rows += [line.split("\t") for line in out.splitlines()]
    header = ["bp", "cores", "seqlift", "tangermeme", "pyfaidx", "over tangermeme", "over pyfaidx"]
    return (
        "## Windows a second\n\n"
        f"{WINDOWS:,} random windows of a random genome of {size / 1e6:,.0f} Mb, whose files the system holds in "
        f"memory, as one-hot float32. seqlift: batches of {BATCH} as training takes them, each window moved by up to "
        f"{JITTER} bp and half of them reverse-complemented. tangermeme: one call of `extract_loci`, neither moved nor "
        "reverse-complemented. "
        f"pyfaidx: a PyTorch `DataLoader` with batches of {BATCH} over a dataset that reads through pyfaidx, neither "
        "moved nor reverse-complemented, with two workers on two cores. They take turns; medians over rounds, ratios "
        "within a round with the smallest and the largest.\n\n"
        + table(header, sorted(rows, key=lambda row: (int(row[0].replace(",", "")), row[1])))
    )


# Steps of training


def step_section(folder: Path, options: argparse.Namespace) -> str:
    import torch
    from networks import NETWORKS, make
    from printing import table

    from seqlift.data.genome import Genome
    from seqlift.data.windows import one_hot
    from seqlift.training.dataset import EpochOrder, TrainingRegions

    device = torch.device(options.device)
    size = min(options.genome_size, GENOME_OF_WINDOWS)
    if not (folder / "genome.fa").exists():
        write_genome(folder / "genome.fa", size)
    rows = []
    with Genome(folder / "genome.fa", cache_dir=folder / CACHE) as genome:
        for name, (_, length) in NETWORKS.items():
            if options.networks and name not in options.networks:
                continue
            for with_signal in (False, True) if name.startswith("BPNet") else (False,):
                data = random_regions(200 * STEP_BATCH, size, length)
                signal = made_up_signal(folder, len(data), length // 2) if with_signal else None
                labels = data[["target:t"]].to_numpy()
                regions = TrainingRegions(
                    data, genome, labels, jitter=JITTER, reverse_complement=True, seed=0, device=device, signal=signal
                )
                model = make(name).to(device).train()
                optimiser = torch.optim.AdamW(model.parameters())

                def step(sequences, labels, model=model, optimiser=optimiser) -> None:
                    logits = model(sequences)[:, :1]
                    optimiser.zero_grad()
                    torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
                    optimiser.step()

                order = EpochOrder(regions, 0, STEP_BATCH)
                batches = torch.utils.data.DataLoader(regions, sampler=order, batch_size=None)
                ratios, seconds = alternate(batches, order, step, one_hot, device, options.seconds)
                what = ", signal of two strands" if with_signal else ""
                rows.append([name + what, str(STEP_BATCH), f"{1000 * seconds:.1f} ms", spread(ratios, 3)])
    return (
        "## A step of training\n\n"
        "Time of a step (forward, backward, AdamW) with the input of training, from the genome on the disk to one-hot "
        f"sequences moved by up to {JITTER} bp and reverse-complemented at random, divided by the time of the same "
        "step on a one-hot batch in memory. The two take turns, step by step; the ratio of their total times within a "
        "tenth of the run: median, smallest and largest of the tenths.\n\n"
        + table(["network", "batch", "step in memory", "ratio"], rows)
    )


def alternate(batches, order, step, one_hot, device, seconds: float) -> tuple[list[float], float]:
    """Ratios of the time with input to that without, and the time (s) of a step without."""
    import torch

    def timed(run: Callable[[], None]) -> float:
        begin = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    def endless():
        epoch = 0
        while True:
            order.set_epoch(epoch)
            yield from batches
            epoch += 1

    source = endless()
    first = next(source)
    fixed = one_hot(first.codes.to(device)), first.labels.to(device)

    def with_input() -> None:
        batch = next(source)
        if batch.signal is not None:
            batch.signal.to(device)
        step(one_hot(batch.codes.to(device)), batch.labels.to(device))

    for _ in range(3):
        step(*fixed)
        with_input()
    pairs = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(pairs) < 10:
        pairs.append((timed(with_input), timed(lambda: step(*fixed))))
    tenths = np.array_split(np.array(pairs), 10)
    return [float(np.divide(*tenth.sum(axis=0))) for tenth in tenths], median(without for _, without in pairs)


def made_up_signal(folder: Path, n: int, window: int):
    """Counts of two strands in a mapped file, as `load_signal` makes them."""
    from seqlift.data.signal import Signal

    shape = (n, 1, 2, window + 2 * JITTER)
    values = np.lib.format.open_memmap(folder / f"signal{window}.npy", "w+", np.float32, shape)
    for row in values:
        row[:] = np.random.default_rng(0).poisson(1, shape[1:])
    return Signal(values=values, control=None, known=np.ones((n, 1), bool), window=window, margin=JITTER)


# Memory and time of a start


def start(folder: Path) -> None:
    """In a process of its own: seconds and memory until the first batch, and in a thousand batches after it."""
    phases = {}

    def done(name: str, since: float) -> None:
        phases[name] = {"seconds": time.perf_counter() - since, "anonymous": memory("RssAnon")}

    begin = time.perf_counter()
    import seqlift.training.train  # noqa: F401 - with all that training needs
    from seqlift.data.genome import Genome
    from seqlift.regions.table import labels_of, read_regions
    from seqlift.training.dataset import EpochOrder, TrainingRegions

    done("imports", begin)
    begin = time.perf_counter()
    with Genome(folder / "genome.fa", cache_dir=folder / CACHE) as genome:
        done("genome", begin)
        begin = time.perf_counter()
        table = read_regions(folder / "regions.tsv.gz")
        done("table", begin)
        begin = time.perf_counter()
        regions = TrainingRegions(
            table, genome, labels_of(table), jitter=JITTER, reverse_complement=True, seed=0, device="cpu"
        )
        batches = iter(EpochOrder(regions, 0, BATCH))
        _ = regions[next(batches)]
        done("first", begin)
        begin = time.perf_counter()
        for _, key in zip(range(1000), batches, strict=False):
            _ = regions[key]
        done("thousand", begin)
    print(json.dumps({"phases": phases, "mapped": memory("RssFile")}))


def memory(kind: str, process: int | str = "self") -> int:
    """Bytes of memory of a process: RssAnon is its own, RssFile is mapped from files and can be taken from it."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(kind + ":"):
            return 1024 * int(line.split()[1])
    return 0


def watched_start(folder: Path) -> dict:
    """`start` in a new process, and the largest RssAnon that was seen in it, looking every 10 ms."""
    command = [sys.executable, __file__, "--child", "start", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory("RssAnon", process.pid))
            time.sleep(0.01)
        found = process.stdout.read()
    if process.returncode:
        raise RuntimeError("the process that was to start failed")
    return json.loads(found) | {"peak": peak}


def start_section(folder: Path, options: argparse.Namespace) -> str:
    from printing import table

    from seqlift.regions.table import Regions, write_regions

    write_genome(folder / "genome.fa", options.genome_size)
    regions = random_regions(options.regions, options.genome_size, LENGTHS[-1])
    write_regions(Regions(regions, {}), folder / "regions.tsv.gz", folder / "regions.json")
    del regions
    time.sleep(3)  # a file that has just been written is not believed to be complete
    found = {"first": watched_start(folder), "later": watched_start(folder)}
    for path in [folder / "genome.fa", *(folder / CACHE).rglob("genome.codes")]:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    found["later, files not in memory"] = watched_start(folder)
    rows = []
    for name, result in found.items():
        times = {phase: values["seconds"] for phase, values in result["phases"].items()}
        numbers = [times["imports"], times["genome"], times["table"], times["first"], times["thousand"]]
        rows.append(
            [
                name,
                *(f"{seconds:,.2f} s" for seconds in numbers),
                megabytes(result["peak"]),
                megabytes(result["mapped"]),
            ]
        )
    of = {phase: values["anonymous"] for phase, values in found["later"]["phases"].items()}
    return (
        "## A start with a large genome\n\n"
        f"A random genome of {options.genome_size / 1e9:.3g} Gb (plain FASTA) and {options.regions:,} regions of "
        f"{LENGTHS[-1]:,} bp, in a process of its own: Python's imports with all that training needs, the genome (the "
        "first time it is encoded), the table of regions, the work until the first batch, and a thousand "
        f"batches of {BATCH} after it. Memory is RssAnon of `/proc/<pid>/status`, what the process holds beside mapped "
        "files, seen from another process every 10 ms: the largest of the whole run. Of the mapped files (RssFile) lie "
        "in memory what was touched and not yet taken back.\n\n"
        + table(
            ["start", "imports", "genome", "table", "to the first batch", "1,000 batches", "memory", "mapped"], rows
        )
        + "\n\nMemory after each part of a later start: "
        + ", ".join(
            f"{name} {megabytes(of[phase])}"
            for phase, name in (
                ("imports", "imports"),
                ("genome", "genome"),
                ("table", "table"),
                ("first", "first batch"),
            )
        )
        + f", a thousand batches {megabytes(of['thousand'])}."
    )


def megabytes(n: int) -> str:
    return f"{n / 1e6:,.0f} MB"


def child(arguments: list[str], environment: dict | None = None) -> str:
    command = [sys.executable, __file__, "--child", *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--genome-size", type=int, default=3_100_000_000, metavar="BP")
    parser.add_argument("--regions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=11, help="of windows a second")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, metavar="BP", help="of windows")
    parser.add_argument("--seconds", type=float, default=60, help="of steps, for each network")
    parser.add_argument("--networks", nargs="+", help="some of the networks of networks.py")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--folder", help="where the genome is made, instead of the system's temporary folder")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)  # the processes that this one starts
    options = parser.parse_args()
    if options.child:
        section, folder, *numbers = options.child
        if section == "windows":
            windows_of(Path(folder), *map(int, numbers))
        else:
            start(Path(folder))
        return

    import torch
    from printing import machine, versions

    used = versions("numpy", "numba", "pyfaidx", "seqlift", "tangermeme")
    print(f"# Input\n\n{machine(torch.device(options.device))}. {used}.")
    print(f"Load average of the machine before the start: {os.getloadavg()[0]:.1f}.")
    sections = {"windows": windows_section, "step": step_section, "start": start_section}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for section in options.only:
            folder = Path(name) / ("large" if section == "start" else "small")
            folder.mkdir(exist_ok=True)
            print(f"\n{sections[section](folder, options)}", flush=True)


if __name__ == "__main__":
    main()
