"""What does a run on a whole genome cost? Prints time, memory, disk and GPU hours, reckoned from measured rates.

    python benchmarks/scaling.py                                  # the tables of docs/scaling.md
    python benchmarks/scaling.py --regions 100000 --length 1000 --references 10 --folds 3 --gpus 4
    python benchmarks/scaling.py --measure --folder /a/disk/with/10/GB                 # the rates of this processor
    python benchmarks/scaling.py --measure --device cuda          # those of this GPU, in place of what is assumed

The rates lie in results/scaling_rates.json; scaling_rates.py measures them. For GPUs that nobody has measured, it says
what is assumed.
"""

import argparse
import json
import math
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from printing import table

RATES = Path(__file__).parent / "results" / "scaling_rates.json"
LARGE_RUN, TRACKS = RATES.with_name("output.md"), RATES.with_name("tracks.md")

# Peak of convolutions in TF32, which PyTorch uses for float32 on these cards unless told otherwise, in operations a
# second without sparsity, from NVIDIA's data sheets; and the share of it that is assumed to be reached.
PEAKS = {"A100": 156e12, "H200": 494.7e12}
SHARES = (0.1, 0.4)

PATH_STEPS = 50  # interior gradients by default: one path of so many points, from a uniform reference
SHARD_SIZE = 20_000  # attribution.shard_size
BLOCK = 2**28  # bytes of the largest activation of a batch on a GPU (seqlift.attribution.batch_size)
GENOME = 3.1e9  # bp
ONCE = ("compendium", "grammar", "report")  # jobs that read all scores or motifs
AFTER = ("motifs", "logos", "hits", *ONCE)  # one after the other, behind attribution

# kundajelab/chrombpnet, issue 166: "330K lines" of chr1, "~10 hours"; `contribs_bw` explains counts and profile
PUBLISHED_REGIONS, PUBLISHED_SECONDS = 330_000, 36_000.0


@dataclass(frozen=True)
class Case:
    """What is to be done.

    Attributes
    ----------
    regions, length, references, folds : int
        Regions explained, bp of each, references of each, networks whose mean is explained (1: no folds).
    outputs : int
        Explained: two of a target with a profile, counts and profile.
    methods : tuple of str
    epochs : int
    ratio : float
        Negatives for each region, in training and evaluation.
    shard_size : int, optional
        Regions of an attribution job; by default `SHARD_SIZE`, or fewer, so that all GPUs have as many jobs.
    """

    regions: int = 300_000
    length: int = 2114
    references: int = 20
    folds: int = 5
    outputs: int = 2
    methods: tuple[str, ...] = ("deeplift",)
    epochs: int = 15
    ratio: float = 1.0
    shard_size: int | None = None

    @property
    def windows(self) -> float:
        return self.regions * (1 + self.ratio)

    @property
    def score_files(self) -> int:
        return self.outputs * len(self.methods)

    def shards(self, gpus: int) -> int:
        """Of a score file."""
        size = self.shard_size or SHARD_SIZE
        fewest = max(1, math.ceil(self.regions / size))
        if self.shard_size:
            return fewest
        step = gpus // math.gcd(gpus, self.outputs)
        return min(self.regions, math.ceil(fewest / step) * step)


class LargeRun:
    """What each job after attribution took in the run of results/output.md.

    Attributes
    ----------
    bases : int
        Of one score file.
    files : int
        Score files.
    jobs : dict
        Of each stage: seconds and bytes of memory of one job.
    track_bytes_per_base : float
        Of results/tracks.md.
    """

    def __init__(self) -> None:
        text = LARGE_RUN.read_text()
        sizes = re.search(r"(\d+) targets, (\d+) methods, ([\d,]+) regions of (\d+) bp each", text)
        targets, methods, regions, length = (int(number.replace(",", "")) for number in sizes.groups())
        self.files, self.bases = targets * methods, regions * length
        rows = re.findall(r"^\| ([a-z ]+) \| ([\d,]+) s \| ([\d,]+) MB \|", text, flags=re.MULTILINE)
        number = {stage: [float(each.replace(",", "")) for each in several] for stage, *several in rows}
        self.jobs = {stage: (seconds, megabytes * 1e6) for stage, (seconds, megabytes) in number.items()}
        text = TRACKS.read_text()
        regions, length = re.search(r"# Tracks: ([\d,]+) regions of ([\d,]+) bp", text).groups()
        (megabytes,) = re.search(r"\| `tracks write` \|.*\| (\d+) \|$", text, flags=re.MULTILINE).groups()
        bases = int(regions.replace(",", "")) * int(length.replace(",", ""))
        self.track_bytes_per_base = float(megabytes) * 1e6 / bases


class Model:
    """Costs of a case, from rates as `scaling_rates.measure` gives them.

    Parameters
    ----------
    case : Case
    rates : dict
        Of "cpu", and of "cuda" where it was measured.
    network : str
    """

    def __init__(self, case: Case, rates: dict, network: str):
        self.case, self.cpu, self.network, self.large = case, rates["cpu"], network, LargeRun()
        self._scale = case.length / self.cpu["length"]
        self.work = {name: n * self._scale for name, n in self.cpu["networks"][network]["operations"].items()}

    def units(self) -> dict[str, tuple[str, float, float]]:
        """Of each stage that a GPU computes: kind of rate, how many regions it takes, operations of each."""
        case, work = self.case, self.work
        train, valid = ((case.folds - 2) / case.folds, 1 / case.folds) if case.folds > 2 else (0.8, 0.1)
        step = train * work["training"] + valid * work["prediction"]
        explained = {
            "deeplift": case.references * work["pair"] + work["sequence"],
            "interior_gradients": PATH_STEPS * work["point"] + work["path"],
        }
        return {
            "training": ("training", case.windows * case.epochs * case.folds, step),
            "evaluation": ("prediction", case.windows, work["prediction"]),
            **{m: (m, case.regions * case.outputs, case.folds * explained[m]) for m in case.methods},
            "predicted track": ("prediction", case.regions, case.folds * work["prediction"]),
        }

    def seconds(self, stage: str, speed: dict[str, float]) -> float:
        """On one device of so many operations a second (by kind of rate), what the processor does meanwhile added."""
        kind, n, each = self.units()[stage]
        return n * (each / speed[kind] + (self.host(stage) if stage in self.case.methods else 0))

    def host(self, method: str) -> float:
        """Seconds of a core for each region, in which a GPU waits: references are drawn, scores compressed."""
        drawn = self.case.references * self.cpu["reference_seconds_per_base"] if method == "deeplift" else 0
        return self.case.length * (drawn + self.cpu["score_seconds_per_base"])

    def gpu_seconds(self, speed: dict[str, float], gpus: int = 1) -> float:
        """All GPU hours of a run, in seconds; starting the attribution's jobs is part of it."""
        starts = self.case.score_files * self.case.shards(gpus) * self.cpu["attribution"]["start_seconds"]
        return sum(self.seconds(stage, speed) for stage in self.units()) + starts

    def attribution_job(self, method: str, speed: dict[str, float], gpus: int) -> float:
        """Seconds of one shard."""
        share = math.ceil(self.case.regions / self.case.shards(gpus)) / self.case.regions
        return self.cpu["attribution"]["start_seconds"] + share * self.seconds(method, speed) / self.case.outputs

    def attribution_time(self, speed: dict[str, float], gpus: int) -> float:
        """Seconds that pass: jobs of one length in turns."""
        turns = math.ceil(self.case.outputs * self.case.shards(gpus) / gpus)
        return sum(turns * self.attribution_job(method, speed, gpus) for method in self.case.methods)

    def training_time(self, speed: dict[str, float], gpus: int) -> float:
        """Seconds that pass: a fold is a job, on one GPU."""
        folds = self.case.folds
        return math.ceil(folds / gpus) * self.seconds("training", speed) / folds

    def job(self, stage: str) -> tuple[float, float]:
        """Seconds of a core and bytes of memory of one job of a stage that needs no GPU.

        `regions` by its own rate. The others in proportion to the bases of a score file, and where they read all files,
        to their number; the memory as it was. Logos and compendium are made of motifs, of which there are no more.
        """
        case = self.case
        if stage == "regions":
            rate, n = self.cpu["regions"], case.regions
            return rate["seconds"] + rate["seconds_per_region"] * n, rate["memory"] + rate["memory_per_region"] * n
        seconds, memory = self.large.jobs[stage]
        if stage in ("logos", "compendium"):
            return seconds, memory
        files = self.case.score_files / self.large.files if stage in ONCE else 1
        return seconds * files * case.regions * case.length / self.large.bases, memory

    def gather(self) -> float:
        """Seconds of a core for one score file."""
        return self.case.regions * self.case.length * self.cpu["gather_seconds_per_base"]

    def score_bytes(self) -> float:
        """Of one score file."""
        return self.case.regions * self.case.length * self.cpu["score_bytes_per_base"]

    def track_bytes(self) -> float:
        """Of one track; less where regions overlap."""
        return self.case.regions * self.case.length * self.large.track_bytes_per_base

    def signal_bytes(self) -> float:
        """Of the signal at each base that the trainings of all folds map: float32, of training and validation."""
        case = self.case
        share = (case.folds - 1) / case.folds if case.folds > 1 else 0.9
        return case.folds * share * case.windows * case.length * 4

    def card_bytes(self) -> float:
        """On a GPU in attribution: a number is kept for each activation of the block and network."""
        layers = 9  # of both networks: the first one and eight that are dilated
        return self.case.folds * layers * BLOCK

    def after(self) -> float:
        """Seconds from the scores to the report, each stage's jobs at once, a core for each."""
        return self.gather() + sum(self.job(stage)[0] for stage in AFTER)


def speeds(rates: dict, network: str) -> dict[str, tuple[str, list[dict[str, float]]]]:
    """Of each card: whether it is measured or assumed, and its operations a second: one, or lowest and highest."""
    kinds = rates["cpu"]["networks"][network]["operations_per_second"]
    if "cuda" in rates:
        card = rates["cuda"]["machine"].split(";")[0]
        return {card: ("measured", [rates["cuda"]["networks"][network]["operations_per_second"]])}
    return {
        name: (
            f"**assumed**, {SHARES[0]:.0%} to {SHARES[1]:.0%} of {peak / 1e12:.0f} TFLOP/s",
            [dict.fromkeys(kinds, share * peak) for share in SHARES],
        )
        for name, peak in PEAKS.items()
    }


def span(seconds: float) -> str:
    """Seconds in words."""
    if seconds >= 100 * 3600:
        return f"{seconds / 3600:,.0f} h"
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def between(values: list[float]) -> str:
    """From the best to the worst case."""
    found = [span(value) for value in (min(values), max(values))]
    return found[0] if found[0] == found[1] else " to ".join(found)


def size(number: float) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"


def work_section(model: Model) -> str:
    own, rows = model.cpu["networks"][model.network]["operations_per_second"], []
    for stage, (kind, n, each) in model.units().items():
        in_all = n * each
        rows.append([stage, f"{n:,.0f}", f"{each / 1e9:,.1f}", f"{in_all / 1e15:,.0f}", span(in_all / own[kind])])
    header = ["stage", "regions in all", "GFLOP each", "PFLOP in all", "one core, measured rate"]
    return (
        f"### Work, {model.network}\n\nRegions in all: those of all epochs, folds, outputs. An operation is a "
        "multiplication or an addition, counted as PyTorch does.\n\n" + table(header, rows)
    )


def gpu_section(models: list[Model], rates: dict) -> str:
    rows = []
    for model in models:
        own = rates["cpu"]["networks"][model.network]["operations_per_second"]
        everyone = {"one core": ("measured", [own]), **speeds(rates, model.network)}
        for name, (known, several) in everyone.items():
            sustained = sorted(each["deeplift"] / 1e12 for each in several)
            methods = [sum(model.seconds(m, each) for m in model.case.methods) for each in several]
            rows.append(
                [
                    model.network,
                    name,
                    known,
                    " to ".join(f"{value:.3g}" for value in sustained),
                    between([model.seconds("training", each) for each in several]),
                    between(methods),
                    between([model.gpu_seconds(each) for each in several]),
                ]
            )
    header = ["network", "device", "rate", "TFLOP/s", "training", "attribution", "all that a GPU can do"]
    hosts = ", ".join(
        f"{m.host(method) * 1000:.1f} ms ({method})" for m in models[:1] for method in models[0].case.methods
    )
    means = [
        f"{rate['mean_of_folds_over_one']:.1f} times one ({name}, one core)"
        for name, rate in rates["cpu"]["networks"].items()
        if "mean_of_folds_over_one" in rate
    ]
    return (
        "### Hours of a device\n\nIn attribution the device waits while the processor draws references and compresses "
        f"scores, {hosts} a region; that is part of the hours. The mean of 5 networks is reckoned as 5 times one; "
        f"measured, it was {' and '.join(means)}.\n\n" + table(header, rows)
    )


def time_section(model: Model, rates: dict, numbers: list[int]) -> str:
    rows = []
    for card, (known, several) in speeds(rates, model.network).items():
        for gpus in numbers:
            shards = model.case.shards(gpus)
            rest = model.job("regions")[0] + model.after()
            evaluation = [model.seconds("evaluation", each) for each in several]
            training = [model.training_time(each, gpus) for each in several]
            attribution = [model.attribution_time(each, gpus) for each in several]
            whole = [a + b + c + rest for a, b, c in zip(training, evaluation, attribution, strict=True)]
            rows.append(
                [
                    f"{gpus} {card}" + (", assumed rate" if known != "measured" else ""),
                    f"{math.ceil(model.case.regions / shards):,}",
                    str(model.case.score_files * shards),
                    between([model.attribution_job(m, each, gpus) for each in several for m in model.case.methods]),
                    between(training),
                    between(attribution),
                    span(rest),
                    between(whole),
                ]
            )
    header = ["GPUs", "shard_size", "attribution jobs", "one of them", "training", "attribution", "on cores", "the run"]
    return f"### Time that passes, {model.network}\n\n" + table(header, rows)


def jobs_section(model: Model) -> str:
    case, files = model.case, model.case.score_files
    tracks = 2 * files
    seconds, memory = _cost(model, "regions")
    rows = [["regions", "1", seconds, f"{memory}, the genome mapped", f"{size(GENOME)} (genome, a byte a base)"]]
    memory = model.cpu["attribution"]["memory"]
    rows.append(["training", str(case.folds), "", "", f"{size(model.signal_bytes())} (signal, while it runs)"])
    most = " and ".join(f"{size(each)} ({name})" for name, each in memory.items())
    rows.append(["attribution, on a core", "each shard", "", most, ""])
    rows.append(["gathering of shards", str(files), span(model.gather()), "", f"{size(files * model.score_bytes())}"])
    track = f"{size(tracks * model.track_bytes())}"
    rows.append(["track, track of standard errors", str(tracks), *_cost(model, "track"), track])
    for stage in AFTER:
        rows.append([stage, "1" if stage in ONCE else str(files), *_cost(model, stage), ""])
    header = ["stage", "jobs", "one job, on one core", "its memory", "disk, all jobs"]
    return (
        "### Jobs that need no GPU, memory, disk\n\nWhat follows the gathering: in proportion to a measured run of "
        f"{model.large.bases / 1e6:.0f} million bases in each of {model.large.files} score files "
        "(benchmarks/results/output.md).\n\n"
        + table(header, rows)
        + f"\n\nScores: {model.cpu['score_bytes_per_base']:.1f} bytes a base as compressed, 40 before (int8 and twice "
        "float32 for each of four bases, float32 for the standard error); as much again while shards are gathered. On "
        f"a card {size(model.card_bytes())} for what DeepLIFT keeps of {case.folds} networks: reckoned, not measured."
    )


def _cost(model: Model, stage: str) -> list[str]:
    seconds, memory = model.job(stage)
    return [span(seconds), size(memory)]


def chrombpnet_operations(references: int = 20, length: int = 2114, filters: int = 512, layers: int = 8) -> float:
    """Of one region and output: the sequence beside each reference, so 2 R rows forward and 2 R rows back.

    Its convolutions have no padding, so each layer is shorter than the one before.
    """
    positions = length - 20  # behind the first convolution, of width 21
    forward = 2 * 4 * 21 * filters * positions
    for layer in range(1, layers + 1):
        positions -= 2 * 2**layer
        forward += 2 * 3 * filters * filters * positions
    forward += 2 * 75 * filters * (positions - 74)
    return 4.0 * references * forward


def comparison_section(model: Model, rates: dict) -> str:
    """One network, both outputs, as many regions as in the issue."""
    case = Case(regions=PUBLISHED_REGIONS, folds=1)
    ours = Model(case, rates, model.network)
    theirs = PUBLISHED_REGIONS * case.outputs * chrombpnet_operations()
    rate = theirs / PUBLISHED_SECONDS
    _, n, each = ours.units()["deeplift"]
    work = [f"seqlift, {model.network}", f"{n * each / 1e15:,.0f}"]
    come_to = f"{rate / 1e12:.0f}, what 10 hours come to: {rate / PEAKS['A100']:.0%} of an A100's peak"
    rows = [["chrombpnet", f"{theirs / 1e15:,.0f}", come_to, "10 h, reported"]]
    if "cuda" in rates:
        card, (_, (speed,)) = next(iter(speeds(rates, model.network).items()))
        rows.append([*work, f"{speed['deeplift'] / 1e12:.0f}, {card}", span(ours.seconds("deeplift", speed))])
    else:
        same = span(ours.seconds("deeplift", {"deeplift": rate}))
        rows.append([*work, f"{rate / 1e12:.0f}, **assumed** the same", f"{same}, reckoned"])
    header = ["", "PFLOP", "TFLOP/s", f"{PUBLISHED_REGIONS:,} regions, counts and profile, one network"]
    return "### Beside chrombpnet\n\n" + table(header, rows)


def page(case: Case, rates: dict, numbers: list[int], network: str | None = None) -> str:
    names = [network] if network else list(rates["cpu"]["networks"])
    models = [Model(case, rates, name) for name in names]
    first = models[0]
    known = (
        f"GPU rates: measured on {rates['cuda']['machine']}. {rates['cuda']['versions']}."
        if "cuda" in rates
        else "GPU rates: **none has been measured**; what is marked as assumed is a share of the peak that NVIDIA "
        "publishes for TF32."
    )
    return "\n\n".join(
        [
            f"{case.regions:,} regions of {case.length:,} bp, {case.references} references, {case.folds} folds, "
            f"{case.outputs} outputs, {' and '.join(case.methods)}, {case.epochs} epochs, {case.ratio:g} negatives for "
            "each region.",
            f"Rates of a core: measured on {rates['cpu']['machine']}. {rates['cpu']['versions']}. Load average of the "
            f"machine before the start: {rates['cpu']['load']:.1f}.",
            known,
            work_section(first),
            gpu_section(models, rates),
            time_section(first, rates, numbers),
            jobs_section(first),
            comparison_section(first, rates),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole = Case()
    for name in ("regions", "length", "references", "folds", "outputs", "epochs"):
        parser.add_argument(f"--{name}", type=int, default=getattr(whole, name), help="(default: %(default)s)")
    parser.add_argument("--ratio", type=float, default=whole.ratio, help="negatives for each region (%(default)s)")
    parser.add_argument("--methods", nargs="+", default=whole.methods, choices=["deeplift", "interior_gradients"])
    parser.add_argument("--shard-size", type=int, help=f"at most {SHARD_SIZE:,}, and as many jobs for each GPU")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64], help="how many there are")
    parser.add_argument("--network", choices=["512 filters", "64 filters"], help="this one alone")
    parser.add_argument("--measure", action="store_true", help="measure the rates first: minutes")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="whose rates to measure")
    parser.add_argument("--folder", help="for the files of --measure, instead of the system's temporary folder")
    parser.add_argument("--rates", type=Path, default=RATES, help="the file of rates")
    options = parser.parse_args()
    given = vars(options)
    least = {name: 1 for name in ("regions", "length", "references", "folds", "outputs", "epochs")}
    for name, smallest in least.items():
        if given[name] < smallest:
            parser.error(f"--{name} (={given[name]}) must be at least {smallest}")
    if min([*options.gpus, options.shard_size or 1]) < 1 or options.ratio < 0:
        parser.error("--gpus and --shard-size must be at least 1, --ratio at least 0")
    rates = json.loads(options.rates.read_text()) if options.rates.exists() else {}
    if options.measure:
        import torch
        from scaling_rates import measure

        if options.device == "cuda" and not torch.cuda.is_available():
            parser.error("--device cuda: no CUDA GPU can be used here")
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            rates[options.device] = measure(torch.device(options.device), Path(folder))
        options.rates.write_text(json.dumps(rates, indent=1) + "\n")
    if "cpu" not in rates:
        parser.error(f"{options.rates} has no rates of a processor: --measure makes them")
    case = Case(
        **{name: given[name] for name in Case.__dataclass_fields__ if name != "methods"}, methods=tuple(options.methods)
    )
    print(page(case, rates, options.gpus, options.network))


if __name__ == "__main__":
    sys.exit(main())
