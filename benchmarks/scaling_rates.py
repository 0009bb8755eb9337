"""How fast is each part of a run, per unit of its work? Small samples, from which `scaling.py` reckons large runs.

What a network computes is counted (floating-point operations, by PyTorch's own formulas) and timed, so that a rate
holds for other numbers of references, folds and base pairs. On a processor, times are those that one core works; what
else the machine does counts little. On a GPU they are those that pass.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import output
import torch
from input import N_CHROMOSOMES, write_genome
from networks import Data
from printing import machine, versions
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import seqlift
from seqlift.attribution.heads import Explainable, explainable
from seqlift.attribution.references import dinucleotide_shuffles
from seqlift.models import Shape, build_model
from seqlift.models.checkpoint import save_checkpoint
from seqlift.models.outputs import Output
from seqlift.objectives import multinomial_loss
from seqlift.scores import create_scores, open_scores

LENGTH, WINDOW = 2114, 1000  # bp: of the sequences and of the signal in their middle
N_REFERENCES, STEPS, FOLDS = 20, 16, 5
NETWORKS = {
    "512 filters": {"type": "dilated", "head": "profile", "filters": 512, "layers": 8},  # as chrombpnet's
    "64 filters": {"type": "dilated", "head": "profile", "filters": 64, "layers": 8},
}
ROWS = 62  # of a block of scores: two chunks of the file
STAGES = (4000, 12_000)  # regions; enough for motif discovery to have all the seqlets that it clusters
FEW = 1000  # regions of a run before, for what is compiled the first time
PEAKS_PER_MB = 100  # as 300,000 in 3 Gb
GENOMES = (50_000_000, 150_000_000)  # bp


class Counted(TorchDispatchMode):
    """The floating-point operations of what runs within, by PyTorch's own formulas; a multiplication and an addition
    are two. PyTorch's `FlopCounterMode` puts hooks into modules, which DeepLIFT's own look at them does not bear.
    """

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.operations += formula(*args, **kwargs, out_val=result)
        return result


def operations(run: Callable[[], object]) -> int:
    with Counted() as counted:
        run()
    return counted.operations


class Clock:
    """Seconds of a call: on a processor those that all its threads work, on a GPU those that pass."""

    def __init__(self, device: torch.device, seconds: float):
        self._on_card, self._seconds = device.type == "cuda", seconds

    def __call__(self, run: Callable[[], object]) -> float:
        now = time.perf_counter if self._on_card else time.process_time
        self._wait()
        begin = now()
        run()
        self._wait()
        return now() - begin

    def _wait(self) -> None:
        if self._on_card:
            torch.cuda.synchronize()

    def of_one(self, run: Callable[[int], object]) -> float:
        """Seconds of one more of what `run(n)` does n times: 2 n against n, with n large enough to be measured."""
        run(1)  # the first call chooses kernels
        n = 1
        while True:
            if self._on_card:
                run(2 * n)
            more = self(lambda: run(2 * n)) - self(lambda: run(n))  # noqa: B023 (called at once)
            if more > self._seconds:
                return more / n
            n *= 2


def network(architecture: dict, device: torch.device) -> nn.Module:
    """With first weights: what they are decides nothing about its speed."""
    return build_model(architecture, Shape(LENGTH, 1, strands=1, window=WINDOW)).to(device).eval()


def profile_of(models: list[nn.Module]) -> Explainable:
    shape = Shape(LENGTH, 1, strands=1, window=WINDOW)
    return explainable(models, Output("t.profile", "t", 0, "profile"), "profile", shape)


def network_rates(architecture: dict, device: torch.device, seconds: float) -> dict:
    """Operations of each unit of work on one network, and operations a second."""
    torch.manual_seed(0)
    model, data, clock = network(architecture, device), Data(LENGTH, N_REFERENCES), Clock(device, seconds)

    def deeplift(n: int, references: int = N_REFERENCES, of: Explainable | None = None, **settings) -> None:
        what, (x, r) = of or profile_of([model]), data.first(n)
        seqlift.deeplift(what.module, x, r[:, :references], args=what.args(x, None), **settings)

    def path(n: int, steps: int = STEPS, **settings) -> None:
        what, (x, r) = profile_of([model]), data.first(n)
        seqlift.interior_gradients(what.module, x, r[:, :1], steps=steps, args=what.args(x, None), **settings)

    def predict(n: int) -> None:
        with torch.no_grad():
            for rows in data.first(n)[0].split(64 if device.type == "cuda" else 4):
                model(rows.to(device))

    optimiser = torch.optim.AdamW(model.parameters())
    batch = 64 if device.type == "cuda" else 4
    given = data.first(batch)[0].to(device)
    counts = torch.poisson(torch.ones(batch, 1, 1, WINDOW)).to(device)

    def train(n: int) -> None:
        model.train()
        for _ in range(n):
            found = model(given)
            optimiser.zero_grad()
            total = (found.log_counts - counts.sum((2, 3)).log1p()).square().sum()
            (multinomial_loss(found.logits, counts).sum() + total).backward()
            optimiser.step()
        model.eval()

    whole = {"batch_size": 64}  # a sequence in one piece; in more, what belongs to it is computed in each
    first = operations(lambda: deeplift(1, 1, **whole))
    pair = (operations(lambda: deeplift(1, 3, **whole)) - first) // 2
    first_path = operations(lambda: path(1, 4, **whole))
    point = (operations(lambda: path(1, 8, **whole)) - first_path) // 4
    work = {
        "pair": pair,
        "sequence": operations(lambda: deeplift(2, 1, **whole)) - first - pair,
        "point": point,
        "path": operations(lambda: path(2, 4, **whole)) - first_path - 4 * point,
        "prediction": operations(lambda: predict(1)),
        "training": operations(lambda: train(1)) // batch,
    }
    region = N_REFERENCES * work["pair"] + work["sequence"]
    one = clock.of_one(deeplift)
    rates = {
        "deeplift": region / one,
        "interior_gradients": (STEPS * work["point"] + work["path"]) / clock.of_one(path),
        "prediction": work["prediction"] / clock.of_one(predict),
        "training": batch * work["training"] / clock.of_one(train),
    }
    found = {"operations": work, "operations_per_second": rates}
    if architecture["filters"] < 512 or device.type == "cuda":
        several = profile_of([network(architecture, device) for _ in range(FOLDS)])
        found["mean_of_folds_over_one"] = clock.of_one(lambda n: deeplift(n, of=several)) / one
    return found


def host_rates(folder: Path, seconds: float) -> dict:
    """Seconds of a core and bytes, per base: of drawing references, of writing scores, of reading and writing them."""
    cpu = torch.device("cpu")
    clock, data = Clock(cpu, seconds), Data(LENGTH, 2)
    x, references = data.first(ROWS)
    shuffle = clock.of_one(lambda n: dinucleotide_shuffles(x[:8], n, 1)) / (8 * LENGTH)
    what = profile_of([network(NETWORKS["64 filters"], cpu)])
    scores = seqlift.deeplift(what.module, x, references, args=what.args(x, None))
    names = ("hypothetical", "contributions", "prediction", "n_references")
    names += ("delta", "reference_prediction", "standard_error")
    block = {name: getattr(scores, name).numpy() for name in names} | {"sequences": x.numpy()}
    attributes = {"method": "deeplift", "target": "t"}

    def coords(n: int):
        table = output.make_table(n * ROWS, LENGTH, [])
        return table.iloc[: n * ROWS]

    def write(n: int) -> None:
        with create_scores(folder / f"{n}.h5", coords(n), length=LENGTH, attributes=attributes) as writer:
            for _ in range(n):
                writer.append(**block)

    def gather(n: int) -> None:
        again = create_scores(folder / "again.h5", coords(n), length=LENGTH, attributes=attributes)
        with open_scores(folder / f"{n}.h5") as found, again as writer:
            for first in range(0, n * ROWS, ROWS):
                writer.append(**{name: getattr(found, name)[first : first + ROWS] for name in block})

    write_seconds, gather_seconds = clock.of_one(write), clock.of_one(gather)
    sizes = [(folder / f"{n}.h5").stat().st_size for n in (1, 2)]
    return {
        "reference_seconds_per_base": shuffle,
        "score_seconds_per_base": write_seconds / (ROWS * LENGTH),
        "gather_seconds_per_base": gather_seconds / (ROWS * LENGTH),
        "score_bytes_per_base": (sizes[1] - sizes[0]) / (ROWS * LENGTH),
    }


def stage_rates(folder: Path, sizes: tuple[int, int], genomes: tuple[int, int]) -> dict:
    """Of each stage's job: seconds of a core and bytes of memory, as a constant and a share of each region."""
    _stages(folder / str(FEW), FEW)
    runs = [_stages(folder / str(n), n) for n in sizes]
    stages = {name: _line(sizes, [run[name] for run in runs]) for name in runs[0]}
    peaks = tuple(genome * PEAKS_PER_MB // 1_000_000 for genome in genomes)
    regions = [_regions(folder / str(genome), genome, n) for genome, n in zip(genomes, peaks, strict=True)]
    stages["regions"] = _line(peaks, regions)
    track = folder / str(sizes[1]) / "results" / "large" / f"{LENGTH}bp" / "tracks" / "target0.deeplift.bw"
    return {"stages": stages, "track_bytes_per_base": track.stat().st_size / (sizes[1] * LENGTH)}


def _line(sizes: tuple[int, int], costs: list[output.Cost]) -> dict:
    """Through two measurements; neither falls with the number of regions."""

    def through(first: float, second: float) -> tuple[float, float]:
        slope = max(0.0, (second - first) / (sizes[1] - sizes[0]))
        return max(0.0, second - slope * sizes[1]), slope

    seconds, memory = through(costs[0].worked, costs[1].worked), through(costs[0].memory, costs[1].memory)
    return {
        "seconds": seconds[0],
        "seconds_per_region": seconds[1],
        "memory": memory[0],
        "memory_per_region": memory[1],
    }


def _stages(folder: Path, n: int) -> dict[str, output.Cost]:
    """What follows attribution, and the evaluation, of one target."""
    folder.mkdir()
    found, run = output.measure(folder, argparse.Namespace(targets=1, regions=n, length=LENGTH))
    costs = {what: cost for what, _, cost in found}
    tables = ["--regions", run / "regions.tsv.gz", "--genome", folder / "genome.fa"]
    costs["evaluation"] = output.timed(
        *("evaluate", "--model", run / "model" / "model.ckpt", *tables, "--summary", run / "regions.json"),
        *("--database", "jaspar:vertebrates", "--device", "cpu", "--output-dir", folder / "evaluated"),
    )
    return costs


def _regions(folder: Path, size: int, n: int) -> output.Cost:
    """Regions and negatives of a random genome of `size` bp with n peaks."""
    folder.mkdir()
    write_genome(folder / "genome.fa", size)
    random, length = np.random.default_rng(1), size // N_CHROMOSOMES
    start = random.integers(LENGTH, length - LENGTH, n)
    chrom = random.integers(1, N_CHROMOSOMES + 1, n)
    lines = [f"chr{c}\t{s}\t{s + 200}\n" for c, s in zip(chrom, start, strict=True)]
    (folder / "peaks.bed").write_text("".join(lines))
    time.sleep(3)  # a file that has just been written is not believed to be complete
    return output.timed(
        *("regions", "--genome", folder / "genome.fa", "--target", f"target0={folder / 'peaks.bed'}"),
        *("--length", LENGTH, "--folds", FOLDS, "--output", folder / "regions.tsv.gz"),
        *("--summary", folder / "regions.json"),
    )


def attribution_costs(folder: Path, run: Path) -> dict:
    """Seconds of a core in which `seqlift attribute` starts, and its largest memory, with the mean of five networks."""
    found = {}
    shape = Shape(LENGTH, 1, strands=1, window=WINDOW)
    for number, (name, architecture) in enumerate(NETWORKS.items()):
        models = []
        for fold in range(FOLDS):
            models.append(folder / f"{number}.{fold}.ckpt")
            made = build_model(architecture, shape)
            settings = {"architecture": architecture, "targets": ["target0"], "shape": shape}
            save_checkpoint(models[-1], made, **settings, training={})
        found[name] = output.timed(
            *("attribute", "--model", *models, "--regions", run / "regions.tsv.gz", "--genome"),
            *(run.parents[2] / "genome.fa", "--target", "target0.profile", "--method", "deeplift", "--seed", 1),
            *("--max-regions", 1, "--n-references", 3, "--tolerance", 0.1, "--device", "cpu"),
            *("--output", folder / f"{number}.h5"),
        )
    return {
        "start_seconds": found["64 filters"].worked,  # as good as nothing is computed
        "memory": {name: cost.memory for name, cost in found.items()},
    }


def measure(device: torch.device, folder: Path, *, quick: bool = False) -> dict:
    """All rates of a device; of the processor also those of what no GPU takes part in.

    Parameters
    ----------
    device : torch.device
    folder : path
        For files, some GB of them, which are left there.
    quick : bool
        Next to nothing, only to see that it runs.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # of the processes that are started
    os.environ["XDG_CACHE_HOME"] = str(folder)  # encoded genomes
    torch.set_num_threads(1)
    seconds = 0.01 if quick else 2.0
    chosen = {"64 filters": NETWORKS["64 filters"] | {"filters": 4}} if quick else NETWORKS
    found = {
        "machine": machine(device),
        "versions": versions("numpy", "h5py", "pyBigWig", "modisco-lite", "seqlift"),
        "length": LENGTH,
        "networks": {name: network_rates(each, device, seconds) for name, each in chosen.items()},
    }
    if device.type == "cpu":
        found |= host_rates(folder, seconds)
    if device.type == "cpu" and not quick:
        found |= stage_rates(folder, STAGES, GENOMES)
        run = folder / str(STAGES[0]) / "results" / "large" / f"{LENGTH}bp"
        found["attribution"] = attribution_costs(folder, run)
    return found
