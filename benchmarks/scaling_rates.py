"""How fast is each part of a run, per unit of its work? Small samples, from which `scaling.py` reckons large runs.

What a network computes is counted (floating-point operations, by PyTorch's own formulas) and timed, so that a rate
holds for other numbers of references, folds and base pairs. On a processor, times are those that one core works; what
else the machine does counts little. On a GPU they are those that pass.
"""

import math
import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median

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
from seqlift.attribution.explained_output import ExplainedOutput, explained_output
from seqlift.attribution.references import dinucleotide_shuffles
from seqlift.models import build_model
from seqlift.models.checkpoint import save_checkpoint
from seqlift.models.outputs import Output
from seqlift.models.shape import Shape
from seqlift.scores.file import create_scores, open_scores
from seqlift.training.objectives import multinomial_loss

LENGTH, WINDOW = 2114, 1000  # bp: of the sequences and of the signal in their middle
N_REFERENCES, STEPS, FOLDS = 7, 4, 5  # timed: enough to be cut into batches as more would be
NETWORKS = {
    "512 filters": {"type": "dilated", "head": "profile", "filters": 512, "layers": 8},  # as chrombpnet's
    "64 filters": {"type": "dilated", "head": "profile", "filters": 64, "layers": 8},
}
SECONDS = 1.0  # at least so long is what is timed
ROWS = 62  # of a block of scores: two chunks of the file
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
        """Seconds of one more of what `run(n)` does n times: 2 n against n, with n large enough to be measured.

        The first call does not count: it chooses kernels, and the system gives it memory that later ones find there.
        """
        n = 2  # a single sequence is looked at in other ways than several
        while True:
            run(2 * n)
            more = median(self(lambda: run(2 * n)) - self(lambda: run(n)) for _ in range(3))  # noqa: B023 (called at once)
            if more > self._seconds:
                return more / n
            n *= 2


def network(architecture: dict, device: torch.device) -> nn.Module:
    """With first weights: what they are decides nothing about its speed."""
    return build_model(architecture, Shape(LENGTH, 1, strands=1, window=WINDOW)).to(device).eval()


def profile_of(models: list[nn.Module]) -> ExplainedOutput:
    shape = Shape(LENGTH, 1, strands=1, window=WINDOW)
    return explained_output(models, Output("t.profile", "t", 0, "profile"), "profile", shape)


class Runs:
    """What is counted and timed of one network, n times."""

    def __init__(self, architecture: dict, device: torch.device):
        torch.manual_seed(0)
        on_card = device.type == "cuda"
        self._model, self._device, self._data = network(architecture, device), device, Data(LENGTH, N_REFERENCES)
        self.batch, self._rows = (64, 64) if on_card else (2, 4)
        self._given = self._data.first(self.batch)[0].to(device)
        self._counts = torch.poisson(torch.ones(self.batch, 1, 1, WINDOW)).to(device)
        self._optimiser = torch.optim.AdamW(self._model.parameters())

    def deeplift(self, n: int, references: int = N_REFERENCES, of: ExplainedOutput | None = None, **settings) -> None:
        what, (x, r) = of or profile_of([self._model]), self._data.first(n)
        seqlift.deeplift(what.module, x, r[:, :references], args=what.args(x, None), **settings)

    def path(self, n: int, steps: int = STEPS, **settings) -> None:
        what, (x, r) = profile_of([self._model]), self._data.first(n)
        seqlift.interior_gradients(what.module, x, r[:, :1], steps=steps, args=what.args(x, None), **settings)

    def prediction(self, n: int) -> None:
        with torch.no_grad():
            for rows in self._data.first(n)[0].split(self._rows):
                self._model(rows.to(self._device))

    def training(self, n: int) -> None:
        """Steps."""
        self._model.train()
        for _ in range(n):
            found = self._model(self._given)
            self._optimiser.zero_grad()
            total = (found.log_counts - self._counts.sum((2, 3)).log1p()).square().sum()
            (multinomial_loss(found.logits, self._counts).sum() + total).backward()
            self._optimiser.step()
        self._model.eval()


def count(architecture: dict) -> dict[str, int]:
    """Operations of each unit of work on a network."""
    runs, whole = Runs(architecture, torch.device("cpu")), {"batch_size": 64}  # no sequence is cut in two
    first, first_path = operations(lambda: runs.deeplift(1, 1, **whole)), operations(lambda: runs.path(1, 4, **whole))
    pair = (operations(lambda: runs.deeplift(1, 3, **whole)) - first) // 2
    point = (operations(lambda: runs.path(1, 8, **whole)) - first_path) // 4
    return {
        "pair": pair,
        "sequence": operations(lambda: runs.deeplift(2, 1, **whole)) - first - pair,
        "point": point,
        "path": operations(lambda: runs.path(3, 4, **whole)) - operations(lambda: runs.path(2, 4, **whole)) - 4 * point,
        "prediction": operations(lambda: runs.prediction(1)),
        "training": operations(lambda: runs.training(1)) // runs.batch,
    }


def count_wide(architecture: dict) -> dict[str, int]:
    """The same of a wide network, for which it would take minutes, from narrow ones.

    Operations are a constant, a share of the filters and a share of their square; three networks tell all of them.
    """
    narrow = (4, 8, 16)
    counted = [count(architecture | {"filters": filters}) for filters in narrow]
    wide = Fraction(architecture["filters"])

    def through(numbers: list[int]) -> int:
        parts = []
        for here, number in zip(narrow, numbers, strict=True):
            others = [other for other in narrow if other != here]
            parts.append(number * math.prod((wide - other) / (here - other) for other in others))
        return round(sum(parts))

    return {unit: through([each[unit] for each in counted]) for unit in counted[0]}


def network_rates(architecture: dict, device: torch.device, seconds: float) -> dict:
    """Operations of each unit of work on one network, and operations a second."""
    runs, work, clock = Runs(architecture, device), count_wide(architecture), Clock(device, seconds)
    one = clock.of_one(runs.deeplift)
    rates = {
        "deeplift": (N_REFERENCES * work["pair"] + work["sequence"]) / one,
        "interior_gradients": (STEPS * work["point"] + work["path"]) / clock.of_one(runs.path),
        "prediction": work["prediction"] / clock.of_one(runs.prediction),
        "training": runs.batch * work["training"] / clock.of_one(runs.training),
    }
    found = {"operations": work, "operations_per_second": rates}
    if architecture["filters"] < 512 or device.type == "cuda":
        several = profile_of([network(architecture, device) for _ in range(FOLDS)])
        found["mean_of_folds_over_one"] = clock.of_one(lambda n: runs.deeplift(n, of=several)) / one
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
        with open_scores(folder / "2.h5") as found, again as writer:
            for number in range(n):
                first = number % 2 * ROWS
                writer.append(**{name: getattr(found, name)[first : first + ROWS] for name in block})

    write_seconds, gather_seconds = clock.of_one(write), clock.of_one(gather)
    sizes = [(folder / f"{n}.h5").stat().st_size for n in (2, 4)]
    return {
        "reference_seconds_per_base": shuffle,
        "score_seconds_per_base": write_seconds / (ROWS * LENGTH),
        "gather_seconds_per_base": gather_seconds / (ROWS * LENGTH),
        "score_bytes_per_base": (sizes[1] - sizes[0]) / (2 * ROWS * LENGTH),
    }


def line(sizes: tuple[int, int], costs: list[output.Cost]) -> dict:
    """Through two measurements: a constant and a share of each region, of seconds of a core and bytes of memory."""

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


def regions(folder: Path, size: int) -> output.Cost:
    """Regions and negatives of a random genome of `size` bp, with as many peaks for each Mb as a human one has."""
    folder.mkdir()
    write_genome(folder / "genome.fa", size)
    n, random, length = peaks(size), np.random.default_rng(1), size // N_CHROMOSOMES
    start = random.integers(LENGTH, length - LENGTH, n)
    chrom = random.integers(1, N_CHROMOSOMES + 1, n)
    lines = [f"chr{c}\t{s}\t{s + 200}\n" for c, s in zip(chrom, start, strict=True)]
    (folder / "peaks.bed").write_text("".join(lines))
    time.sleep(3)
    return output.timed(
        *("regions", "--genome", folder / "genome.fa", "--target", f"target0={folder / 'peaks.bed'}"),
        *("--length", LENGTH, "--folds", FOLDS, "--output", folder / "regions.tsv.gz"),
        *("--summary", folder / "regions.json"),
    )


def peaks(size: int) -> int:
    return size * PEAKS_PER_MB // 1_000_000


def job_rates(folder: Path) -> dict:
    """Of the jobs before and in attribution; those after it are in results/output.md."""
    regions(folder / "first", GENOMES[0] // 10)  # some of it is compiled the first time
    made = [folder / str(size) for size in GENOMES]
    costs = [regions(each, size) for each, size in zip(made, GENOMES, strict=True)]
    numbers = (peaks(GENOMES[0]), peaks(GENOMES[1]))
    return {"regions": line(numbers, costs), "attribution": attribution_costs(folder, made[0])}


def attribution_costs(folder: Path, data: Path) -> dict:
    """Seconds of a core in which `seqlift attribute` starts, and its largest memory, with the mean of five networks."""
    found = {}
    shape = Shape(LENGTH, 1, strands=1, window=WINDOW)
    for number, (name, architecture) in enumerate(NETWORKS.items()):
        models = []
        for fold in range(FOLDS):
            models.append(folder / f"{number}.{fold}.ckpt")
            model, about = build_model(architecture, shape), {"architecture": architecture, "shape": shape}
            save_checkpoint(models[-1], model, **about, targets=["target0"], training={})
        found[name] = output.timed(
            *("attribute", "--model", *models, "--regions", data / "regions.tsv.gz", "--genome"),
            *(data / "genome.fa", "--target", "target0.profile", "--method", "deeplift", "--seed", 1),
            *("--max-regions", 1, "--n-references", 3, "--tolerance", 0.1, "--device", "cpu"),
            *("--output", folder / f"{number}.h5"),
        )
    return {
        "start_seconds": found["64 filters"].worked,  # as good as nothing is computed
        "memory": {name: cost.memory for name, cost in found.items()},
    }


def measure(device: torch.device, folder: Path) -> dict:
    """All rates of a device; of the processor also those of what no GPU takes part in.

    Parameters
    ----------
    device : torch.device
    folder : path
        For files, some GB of them, which are left there.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # of the processes that are started
    os.environ["XDG_CACHE_HOME"] = str(folder)  # encoded genomes
    torch.set_num_threads(1)
    found = {
        "machine": machine(device),
        "versions": versions("numpy", "h5py", "pyBigWig", "modisco-lite", "seqlift"),
        "load": os.getloadavg()[0],
        "length": LENGTH,
        "networks": {name: network_rates(each, device, SECONDS) for name, each in NETWORKS.items()},
    }
    if device.type == "cpu":
        found |= host_rates(folder, SECONDS) | job_rates(folder)
    return found
