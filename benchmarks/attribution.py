"""How fast are the attributions? Prints tables as Markdown.

    python benchmarks/attribution.py > benchmarks/results/attribution.md            (--quick: only to see that it runs)
    python benchmarks/attribution.py --device cuda > benchmarks/results/attribution_cuda.md

Each library is first given its best batch size for each network. Then all take turns, round after round, in one
process, so that whatever else the machine does hits them alike; ratios are those within a round.
"""

import argparse
import copy
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
from captum.attr import DeepLift, IntegratedGradients
from networks import NETWORKS, Data, make
from peak_memory import memory_section
from precision import busy_section, precision_section, tf32
from printing import machine, table, versions
from tangermeme.deep_lift_shap import deep_lift_shap
from torch import Tensor, nn

import seqlift
from seqlift import SeqliftError
from seqlift.attribution.rules import RULES

N_REFERENCES = 20
STEPS = 50

NOTES = f"""
A pair is a sequence and one of its {N_REFERENCES} references; a point is one of the {STEPS} steps on the path of a
sequence from one reference (Gauss-Legendre for both libraries). References are random sequences made beforehand, except
where it says "own shuffles". The networks are untrained: that takes as long. Medians over rounds, in brackets the
smallest and the largest.

- seqlift: `deeplift` and `interior_gradients`, references as a tensor.
- tangermeme: `deep_lift_shap`, references as a tensor.
- captum: `DeepLift(multiply_by_inputs=False)` on batches of pairs, then hypothetical contributions of its multipliers;
  `IntegratedGradients` on batches of whole paths, in parts (`internal_batch_size`) where one path is more than a batch.
- floor: a plain forward and backward pass over the references alone (for paths, over their points), weights without
  gradients, at seqlift's batch size.
"""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    ladder: tuple[int, ...]  # batch sizes to try
    seconds: float  # about so long for one timing
    rounds: int


@dataclass(frozen=True)
class Contestant:
    """Something to be timed.

    `explain(n, rows)` explains the first n sequences, `rows` rows of the model at a time; each sequence counts for
    `per_sequence` rows. `like` names the contestant whose best batch size it is given (by default its own is looked
    for).
    """

    name: str
    data: Data
    per_sequence: int
    explain: Callable[[int, int], object]
    like: str | None = None

    def rate(self, rows: int, seconds: float) -> float:
        """Rows per second, in a call of about so long, or of one whole batch where that takes longer."""
        whole = max(1, rows // self.per_sequence)  # sequences
        self._time(whole, rows)  # the first call at a size chooses its kernels
        once = self._time(whole, rows)
        count = round(seconds / once)
        return whole * self.per_sequence / once if count <= 1 else self.rate_of(count * whole, rows)

    def rate_of(self, n: int, rows: int) -> float:
        return n * self.per_sequence / self._time(n, rows)

    def _time(self, n: int, rows: int) -> float:
        self.data.first(n)  # made before the clock starts
        start = time.perf_counter()
        self.explain(n, rows)
        return time.perf_counter() - start


def gradient(model: nn.Module, rows: Tensor) -> Tensor:
    """The plain gradient of the first output at each row."""
    leaf = rows.requires_grad_()
    return torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)[0]


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pair_contestants(model: nn.Module, data: Data, device: torch.device) -> list[Contestant]:
    """Whatever makes DeepLIFT scores of pairs."""
    frozen = copy.deepcopy(model).requires_grad_(False)

    def ours(rule: str = "rescale", shuffled: bool = False, choose: bool = False) -> Callable:
        def explain(n: int, rows: int):
            x, references = data.first(n)
            given = {"n_references": N_REFERENCES} if shuffled else {"references": references}
            seqlift.deeplift(model, x, **given, rule=rule, batch_size=None if choose else rows)

        return explain

    def tangermeme(shuffled: bool = False) -> Callable:
        def explain(n: int, rows: int):
            x, references = data.first(n)
            given = {"n_shuffles": N_REFERENCES, "random_state": 0} if shuffled else {"references": references}
            deep_lift_shap(model, x, **given, hypothetical=True, batch_size=rows, device=str(device))

        return explain

    def captum(n: int, rows: int):
        x, references = data.first(n)
        explainer, found = DeepLift(model, multiply_by_inputs=False), []
        owners = torch.arange(n).repeat_interleave(N_REFERENCES)
        for chosen, r in zip(owners.split(rows), references.flatten(0, 1).split(rows), strict=True):
            r = r.to(device)
            m = explainer.attribute(x[chosen].to(device), baselines=r, target=0).detach()
            found.append((m - (m * r).sum(1, keepdim=True)).cpu())
        torch.cat(found).unflatten(0, (n, N_REFERENCES)).mean(1)

    def floor(n: int, rows: int):
        for r in data.first(n)[1].flatten(0, 1).split(rows):
            gradient(frozen, r.to(device))
        synchronize(device)

    def one(name: str, explain: Callable, like: str | None = None) -> Contestant:
        return Contestant(name, data, N_REFERENCES, explain, like)

    return [
        one("seqlift", ours()),
        one("seqlift, batch_size=None", ours(choose=True), "seqlift"),
        one("seqlift, own shuffles", ours(shuffled=True), "seqlift"),
        *(one(f"seqlift, {rule}", ours(rule)) for rule in RULES if rule != "rescale"),
        one("tangermeme", tangermeme()),
        one("tangermeme, own shuffles", tangermeme(shuffled=True), "tangermeme"),
        one("captum", captum),
        one("floor", floor, "seqlift"),
        one("floor, best batch", floor),
    ]


def path_contestants(model: nn.Module, data: Data, device: torch.device) -> list[Contestant]:
    """Whatever takes the gradients along paths from one reference."""
    frozen = copy.deepcopy(model).requires_grad_(False)
    alphas = ((torch.arange(STEPS) + 0.5) / STEPS)[:, None, None].to(device)

    def batches(n: int, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        x, references = data.first(n)
        for start in range(0, n, max(1, rows // STEPS)):
            chosen = slice(start, start + max(1, rows // STEPS))
            yield x[chosen].to(device), references[chosen, 0].to(device)

    def ours(choose: bool = False) -> Callable:
        def explain(n: int, rows: int):
            x, references = data.first(n)
            rows_given = None if choose else rows
            seqlift.interior_gradients(model, x, references[:, :1], steps=STEPS, batch_size=rows_given)

        return explain

    def captum(n: int, rows: int):
        explainer = IntegratedGradients(model)
        part = rows if rows < STEPS else None
        for x, r in batches(n, rows):
            explainer.attribute(x, r, target=0, n_steps=STEPS, internal_batch_size=part).cpu()

    def floor(n: int, rows: int):
        for x, r in batches(n, rows):
            points = r[:, None] + alphas * (x - r)[:, None]  # (B, K, 4, L)
            for part in points.flatten(0, 1).split(rows):
                gradient(frozen, part)
        synchronize(device)

    def one(name: str, explain: Callable, like: str | None = None) -> Contestant:
        return Contestant(name, data, STEPS, explain, like)

    return [
        one("seqlift path", ours()),
        one("seqlift path, batch_size=None", ours(choose=True), "seqlift path"),
        one("captum path", captum),
        one("floor path", floor, "seqlift path"),
        one("floor path, best batch", floor),
    ]


def best_batch(contestant: Contestant, plan: Plan) -> int:
    """The batch size with the most rows per second.

    Looked for upwards until twice in a row more rows are slower, one batch takes very long, or it no longer fits.
    """
    rates: dict[int, float] = {}
    for rows in plan.ladder:
        try:
            rates[rows] = contestant.rate(rows, plan.seconds)
        except torch.OutOfMemoryError:
            break
        if max(list(rates.values())[-2:]) < 0.95 * max(rates.values()) or rows / rates[rows] > 3 * plan.seconds:
            break
    return max(rates, key=rates.get)


@dataclass(frozen=True)
class Timed:
    """Rows per second at the best batch size, in each round."""

    batch: int
    rates: list[float]

    def over(self, other: "Timed") -> list[float]:
        """How many times as fast, in each round."""
        return [mine / theirs for mine, theirs in zip(self.rates, other.rates, strict=True)]


def take_turns(contestants: list[Contestant], plan: Plan) -> tuple[dict[str, Timed], dict[str, str]]:
    """Time them all, one after the other, round after round, each round begun by the next; and who refused."""
    batches: dict[str, int] = {}
    refused: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for one in contestants:
        note(one.name)
        try:
            batch = batches[one.like] if one.like else best_batch(one, plan)
            rate = one.rate(batch, plan.seconds)
        except SeqliftError as error:  # a rule that does not know one of the operations
            refused[one.name] = str(error)
            continue
        whole = max(1, batch // one.per_sequence)
        batches[one.name] = batch
        numbers[one.name] = whole * max(1, round(plan.seconds * rate / (whole * one.per_sequence)))
    runners = [one for one in contestants if one.name in batches]
    timed = {one.name: Timed(batches[one.name], []) for one in runners}
    for turn in range(plan.rounds):
        note(f"round {turn + 1} of {plan.rounds}")
        first = turn % len(runners)
        for one in runners[first:] + runners[:first]:
            timed[one.name].rates.append(one.rate_of(numbers[one.name], batches[one.name]))
    return timed, refused


def note(text: str) -> None:
    print(f"\r{text:40}", end="", file=sys.stderr, flush=True)


def spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


@dataclass(frozen=True)
class Ratio:
    """A comparison of two contestants' speeds, and its goal."""

    what: str
    ours: str
    other: str
    at_least: float | None = None  # of our speed over the other's
    at_most: float | None = None  # of our time over the other's
    of_times: bool = False

    def row(self, network: str, timed: dict[str, Timed]) -> list[str]:
        ours, other = timed[self.ours], timed[self.other]
        ratios = other.over(ours) if self.of_times or self.at_most else ours.over(other)
        goal = met = ""
        if self.at_least:
            goal, met = f"at least {self.at_least}", "yes" if median(ratios) >= self.at_least else "**no**"
        elif self.at_most:
            goal, met = f"at most {self.at_most}", "yes" if median(ratios) <= self.at_most else "**no**"
        return [network, self.what, spread(ratios), goal, met]


def wanted_ratios(network: str) -> list[Ratio]:
    least = 1.7 if network.startswith("paper") else 2.5  # of a small network, a pass over the references costs no less
    rules = [rule for rule in RULES if rule != "rescale"]
    return [
        Ratio("speed over tangermeme", "seqlift", "tangermeme", at_least=least),
        Ratio("speed over captum", "seqlift", "captum", at_least=least),
        Ratio("time over the floor", "seqlift", "floor", at_most=1.15),
        Ratio("time over the floor at its own best batch", "seqlift", "floor, best batch", of_times=True),
        Ratio("speed of batch_size=None over the best", "seqlift, batch_size=None", "seqlift", at_least=0.9),
        Ratio("time with own shuffles over references given", "seqlift, own shuffles", "seqlift", of_times=True),
        Ratio("speed over tangermeme, own shuffles", "seqlift, own shuffles", "tangermeme, own shuffles"),
        *(Ratio(f"time of {rule} over rescale", f"seqlift, {rule}", "seqlift", of_times=True) for rule in rules),
        Ratio("path: speed over captum", "seqlift path", "captum path", at_least=2),
        Ratio("path: time over the floor", "seqlift path", "floor path", at_most=1.0),
        Ratio(
            "path: time over the floor at its own best batch", "seqlift path", "floor path, best batch", of_times=True
        ),
        Ratio(
            "path: speed of batch_size=None over the best",
            "seqlift path, batch_size=None",
            "seqlift path",
            at_least=0.9,
        ),
    ]


def speed_section(names: list[str], device: torch.device, plan: Plan) -> str:
    speeds, ratios, refusals = [], [], []
    for name in names:
        print(f"\r{name:40}", file=sys.stderr)
        model, data = make(name).to(device), Data(NETWORKS[name][1], N_REFERENCES)
        timed: dict[str, Timed] = {}
        for contestants in (pair_contestants, path_contestants):
            found, refused = take_turns(contestants(model, data, device), plan)
            timed |= found
            refusals += [f"- {name}: {who} refused: {why}" for who, why in refused.items()]
        for who, result in timed.items():
            low, high = (f"{bound(result.rates):,.0f}" for bound in (min, max))
            batch = "chosen" if who.endswith("None") else str(result.batch)
            speeds.append([name, who, batch, f"{median(result.rates):,.0f} ({low} to {high})"])
        ratios += [ratio.row(name, timed) for ratio in wanted_ratios(name) if {ratio.ours, ratio.other} <= timed.keys()]
    return "\n\n".join(
        [
            "## Ratios",
            table(["network", "what", "ratio", "goal", "met"], ratios),
            "## Speeds",
            table(["network", "who", "batch", "pairs/s, or points/s on paths"], speeds),
            *refusals,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="about so long for one timing")
    parser.add_argument("--quick", action="store_true", help="next to nothing, only to see that it runs")
    parser.add_argument("--full", action="store_true", help="memory also with 100,000 regions: minutes")
    parser.add_argument("--only", nargs="+", choices=["speed", "precision", "busy", "memory"], metavar="SECTION")
    arguments = parser.parse_args()

    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: no CUDA GPU can be used here")
    device = torch.device(arguments.device)
    on_card = device.type == "cuda"
    plan = Plan(tuple(5 * 2**k for k in range(4, 13) if on_card) or tuple(5 * 2**k for k in range(9)), 0, 0)
    plan = Plan(plan.ladder, arguments.seconds, arguments.rounds)
    if arguments.quick:
        plan = Plan((20,), 0.01, 2)
    numbers = [10, 100] if arguments.quick else [1000, 10_000, *([100_000] if arguments.full else [])]
    sections: dict[str, Callable[[], str]] = {
        "speed": lambda: speed_section(arguments.networks, device, plan),
        "precision": lambda: precision_section(
            arguments.networks, device, 1 if arguments.quick else 32 if on_card else 4
        ),
        **({"busy": lambda: busy_section(arguments.networks, device, plan.seconds)} if on_card else {}),
        "memory": lambda: memory_section(numbers, device),
    }
    warnings.simplefilter("ignore")  # captum's, at every call
    print("# Speed of attribution\n")
    print(
        f"Printed by `benchmarks/attribution.py`{' --quick' if arguments.quick else ''}. {machine(device)}. "
        f"{versions('seqlift', 'tangermeme', 'captum')}. float32{' with TF32' if on_card else ''}, "
        f"{plan.rounds} rounds of {plan.seconds:g} s for each."
    )
    print(NOTES)
    with tf32(True):
        for name, section in sections.items():
            if not arguments.only or name in arguments.only:
                note(name)
                print(section() + "\n", flush=True)


if __name__ == "__main__":
    main()
