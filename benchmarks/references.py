"""How many references, and of which kind? On simulated data whose truth is known; prints Markdown, draws the figure.

    python benchmarks/references.py --figure docs/images/references.png > benchmarks/results/references.md

The demo's network is trained on GATA1 and TAL1 sites planted in random sequence (`seqlift simulate`). First, the
contributions from few references are compared with those from 1,000 others. Then each kind of reference has to
find the planted sites. `--folder` keeps the data and the network for the next time.
"""

import argparse
import contextlib
import functools
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from printing import machine, table, versions
from torch import Tensor, nn

import seqlift
from seqlift.attribution.references import reference_kind
from seqlift.core.metrics import auroc_auprc
from seqlift.data.genome import Genome
from seqlift.data.intervals import read_peaks
from seqlift.data.simulate import BACKGROUND, TARGETS, simulate
from seqlift.data.targets import Target
from seqlift.data.windows import load_one_hot
from seqlift.models.checkpoint import load_model
from seqlift.regions.make import make_regions
from seqlift.regions.settings import RegionSettings
from seqlift.regions.table import read_regions, write_regions
from seqlift.training.settings import TrainingSettings
from seqlift.training.train import train_model

LENGTH, TARGET = 200, "GATA1"
MANY = 1000  # references that represent all
FIXED, SHARES = (1, 2, 5, 10, 20, 50, 100, 200), (0.3, 0.2, 0.1, 0.05)
SAID = ",".join(f"{share:g}" for share in BACKGROUND)
# Name of the kind, how many references, how it is written in the figure
KINDS = (
    ("dinucleotide", 20, "dinucleotide\nshuffles"),
    ("dinucleotide", 100, "dinucleotide\nshuffles"),
    ("mononucleotide", 20, "mononucleotide\nshuffles"),
    ("klet:3", 20, "3-let\nshuffles"),
    ("genomic", 20, "genomic\nwindows"),
    (f"background:{SAID}", 1, "background\nfrequencies"),
    ("uniform", 1, "uniform"),
    ("zeros", 1, "zeros"),
)
STEPS = 20


@dataclass(frozen=True)
class Data:
    """A trained network, and the regions of the test contigs."""

    model: nn.Module
    targets: list[str]
    genome: Genome
    table: pd.DataFrame
    sites: pd.DataFrame

    def positives(self, target: str, n: int) -> pd.DataFrame:
        """The first n test regions of a target."""
        test = self.table[(self.table["split"] == "test") & (self.table[f"target:{target}"] == 1)]
        return test.iloc[:n]

    def sequences(self, rows: pd.DataFrame) -> Tensor:
        return load_one_hot(rows, self.genome, seed=0)

    def inside(self, rows: pd.DataFrame, motifs: tuple[str, ...]) -> np.ndarray:
        """Whether each base lies in a planted site of one of `motifs`, (N, L)."""
        found = np.zeros((len(rows), LENGTH), bool)
        sites = self.sites[self.sites["name"].isin(motifs)]
        for i, row in enumerate(rows.itertuples()):
            for site in sites[(sites["chrom"] == row.chrom) & (sites["start"] < row.end)].itertuples():
                if site.end > row.start:
                    found[i, site.start - row.start : site.end - row.start] = True
        return found

    @functools.cached_property
    def peaks(self) -> pd.DataFrame:
        """Where genomic windows must not lie."""
        return self.table[self.table["kind"] == "peak"]


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[Data]:
    """Simulate and train, as configs/demo.yaml does, unless `folder` holds it already."""
    data, regions, model = folder / "data", folder / "regions.tsv.gz", folder / "basset"
    if not (model / "model.ckpt").exists():
        simulate(data, seed=1)
        peaks = [Target(name, str(data / f"{name}.bed")) for name in TARGETS]
        settings = RegionSettings(length=LENGTH, ratio=1 / 3, valid=("sim8",), test=("sim9", "sim10"))
        made = make_regions(data / "genome.fa", peaks, settings)
        write_regions(made, regions, folder / "regions.json")
    with Genome(data / "genome.fa", cache_dir=folder) as genome:
        if not (model / "model.ckpt").exists():
            train_model(
                read_regions(regions),
                genome,
                architecture={"type": "basset", "kernels": [15]},
                settings=TrainingSettings(epochs=15, patience=10),
                device="cpu",
                output_dir=model,
            )
        trained = load_model(model / "model.ckpt")
        yield Data(trained.model, list(trained.targets), genome, read_regions(regions), read_peaks(data / "truth.bed"))


# --- how many ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accuracy:
    """Errors of the contributions of each sequence, as shares of its largest |contribution|, (N,) each."""

    name: str
    used: np.ndarray  # references
    rms: np.ndarray  # over positions
    largest: np.ndarray
    correlation: np.ndarray
    within: dict[float, float]  # share of sequences whose largest standard error is at most so much
    seconds: float

    def row(self) -> list[str]:
        spread = f"{self.used.mean():.0f}"
        if self.used.min() < self.used.max():
            spread += f" ({self.used.min()} to {self.used.max()})"
        return [
            self.name,
            spread,
            f"{np.median(self.rms):.1%} ({np.quantile(self.rms, 0.95):.1%})",
            f"{np.median(self.largest):.0%} ({np.quantile(self.largest, 0.95):.0%})",
            f"{np.median(self.correlation):.3f} ({np.quantile(self.correlation, 0.05):.3f})",
            *(f"{share:.1%}" if share == share else "" for share in self.within.values()),
            f"{self.seconds:.1f}",
        ]


def accuracies(data: Data, n: int) -> list[Accuracy]:
    """Fixed numbers of dinucleotide shuffles and "auto", against `MANY` shuffles that none of them uses."""
    x, target = data.sequences(data.positives(TARGET, n)), data.targets.index(TARGET)
    explain = functools.partial(
        seqlift.deeplift, data.model, x, target=target, options=seqlift.DeepLiftOptions(max_references=400)
    )
    truth = explain(n_references=MANY, seed=1).contributions.sum(1)  # (N, L)
    scale = truth.abs().amax(1, keepdim=True)

    def measure(name: str, **settings) -> Accuracy:
        begin = time.perf_counter()
        result = explain(seed=0, **settings)
        seconds = time.perf_counter() - begin
        contributions = result.contributions.sum(1)
        error = ((contributions - truth) / scale).numpy()
        uncertain = (result.standard_error.amax(1) / contributions.abs().amax(1)).numpy()
        pairs = zip(contributions.numpy(), truth.numpy(), strict=True)
        return Accuracy(
            name=name,
            used=result.n_references.numpy(),
            rms=np.sqrt((error**2).mean(1)),
            largest=np.abs(error).max(1),
            correlation=np.array([np.corrcoef(ours, theirs)[0, 1] for ours, theirs in pairs]),
            within={share: np.nan if np.isnan(uncertain).any() else (uncertain <= share).mean() for share in SHARES},
            seconds=seconds,
        )

    found = [measure(f"{k}", n_references=k) for k in FIXED]
    return found + [
        measure(f"auto, {share:g}", n_references="auto", options=seqlift.DeepLiftOptions(max_relative_error=share))
        for share in SHARES
    ]


# --- which kind -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """How well |contribution| tells bases in planted sites from others: AUROC, its standard error, AUPRC."""

    auroc: float
    error: float
    auprc: float

    def __str__(self) -> str:
        return f"{self.auroc:.3f} ± {self.error:.3f}"


def finding(contributions: np.ndarray, inside: np.ndarray) -> Found:
    """Both (N, L); the standard error is that of a bootstrap over sequences."""
    size, random = np.abs(contributions), np.random.default_rng(0)
    draws = [random.integers(len(size), size=len(size)) for _ in range(100)]
    spread = np.std([auroc_auprc(size[draw].ravel(), inside[draw].ravel())[0] for draw in draws])
    auroc, auprc = auroc_auprc(size.ravel(), inside.ravel())
    return Found(auroc, float(spread), auprc)


@dataclass(frozen=True)
class KindResult:
    name: str
    n_references: int
    label: str
    reference_logit: float  # mean over references, in units of the standard deviation of negatives, from their mean
    deeplift: dict[str, Found]
    interior: dict[str, Found]

    def row(self) -> list[str]:
        found = [*self.deeplift.values(), *self.interior.values()]
        return [self.name, str(self.n_references), f"{self.reference_logit:+.1f}", *map(str, found)]


def kinds(data: Data, n: int) -> list[KindResult]:
    """Every kind of reference and both methods on the targets with one motif."""
    results = []
    motifs = {name: wanted for name, wanted in TARGETS.items() if len(wanted) == 1}
    rows = {name: data.positives(name, n) for name in motifs}
    x = {name: data.sequences(rows[name]) for name in motifs}
    inside = {name: data.inside(rows[name], motifs[name]) for name in motifs}
    negatives = data.table[(data.table["split"] == "test") & (data.table["kind"] == "genome")]
    with torch.inference_mode():
        of_negatives = data.model.eval()(data.sequences(negatives))
    for text, n_references, label in KINDS:
        kind = reference_kind(text, genome=data.genome, exclude=data.peaks)
        deeplift, interior, logits = {}, {}, []
        for name in motifs:
            target = data.targets.index(name)
            call = {"references": kind, "n_references": n_references, "target": target}
            result = seqlift.deeplift(data.model, x[name], **call)
            deeplift[name] = finding(result.contributions.sum(1).numpy(), inside[name])
            logits.append(
                (result.reference_prediction - of_negatives[:, target].mean()) / of_negatives[:, target].std()
            )
            result = seqlift.interior_gradients(data.model, x[name], steps=STEPS, **call)
            interior[name] = finding(result.contributions.sum(1).numpy(), inside[name])
        results.append(KindResult(text, n_references, label, float(torch.cat(logits).mean()), deeplift, interior))
    return results


def centring(data: Data, n: int) -> float:
    """Largest difference between zeros with a centred first layer and uniform, as a share of the largest score."""
    x, target = data.sequences(data.positives(TARGET, n)), data.targets.index(TARGET)
    explain = functools.partial(seqlift.deeplift, data.model, x, n_references=1, target=target)
    uniform = explain(reference_kind("uniform")).contributions
    centred = explain(reference_kind("zeros"), options=seqlift.DeepLiftOptions(center_first_layer=True)).contributions
    return float((centred - uniform).abs().max() / uniform.abs().max())


def say(text: str) -> None:
    print(textwrap.fill(" ".join(text.split()), 120) + "\n")


def report(data: Data, n: int, figure: Path | None) -> None:
    print(f"# References\n\n{machine(torch.device('cpu'))}. {versions('numpy', 'seqlift')}.\n")
    print("## How many\n")
    found = accuracies(data, n)
    say(
        f"""DeepLIFT of {n} held-out regions of {LENGTH} bp for {TARGET} with dinucleotide shuffles, against {MANY:,}
        shuffles that none of them uses. Errors are shares of the largest |contribution| of the region: over positions
        the root of the mean square, and the largest; medians over regions, in brackets the 95th percentile (of the
        correlation the 5th). "within s": regions whose largest standard error is at most the share s. "auto, s" adds
        references until that is so, at most 400."""
    )
    within = [f"within {share:g}" for share in SHARES]
    header = ["n_references", "used, mean", "error", "largest error", "correlation", *within, "seconds"]
    print(table(header, [each.row() for each in found]) + "\n")
    print("## Which kind\n")
    results = kinds(data, n)
    say(
        f"""AUROC of |contribution| for the bases in planted sites of the target's motif, over {n} held-out regions of
        each target (± standard error of a bootstrap over regions), for DeepLIFT and for interior gradients of {STEPS}
        steps. "logit": the network's answer to the references, as deviation from that to the test negatives, in their
        standard deviations."""
    )
    names = list(results[0].deeplift)
    header = ["references", "number", "logit", *(f"{m}, {t}" for m in ("DeepLIFT", "interior") for t in names)]
    print(table(header, [each.row() for each in results]) + "\n")
    say(
        f"""Zeros with `center_first_layer=True` differ from uniform by at most {centring(data, n):.1g} of the largest
        contribution."""
    )
    if figure:
        from references_figure import draw

        draw(figure, data, found, results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=200, metavar="N", help="of each target (default: %(default)s)")
    parser.add_argument("--figure", type=Path, metavar="PNG")
    parser.add_argument("--folder", type=Path, help="where data and network are kept (default: a temporary folder)")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = stack.enter_context(prepared(folder))
        report(data, options.regions, options.figure)


if __name__ == "__main__":
    main()
