"""Are deletion and insertion curves what they should be, and what do they say of wrong explanations? Prints Markdown.

    python benchmarks/faithfulness.py --runs results/demo/200bp results/yeast/300bp > benchmarks/results/faithfulness.md

The same curves by captum's FeatureAblation, with the k first bases as one feature and all others as another: its
attributions are then f(x) - f(deletion) and f(x) - f(insertion). And the areas of explanations that are wrong on
purpose: none should be better than chance, and noise should cost what it spoils. `--runs` adds the tables of finished
runs.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from captum.attr import FeatureAblation
from networks import paper
from printing import machine, table, versions
from torch import Tensor, nn

from seqlift import deeplift, mutagenesis
from seqlift.attribution.explained_output import ExplainedOutput
from seqlift.attribution.references import dinucleotide_shuffles
from seqlift.faithfulness.agreement import correlations
from seqlift.faithfulness.curves import SHARES, Curves, ablation_curves, areas_beyond, order_ranks, random_ranks

CPU = torch.device("cpu")
LENGTH, SEED, REFERENCES = 200, 7, 3


class Scanner(nn.Module):
    """Six filters that answer to good matches only."""

    def __init__(self):
        super().__init__()
        self.scan = nn.Conv1d(4, 6, 15)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.scan(x) - 12).sum((1, 2))[:, None]


def network(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 3:
                parameter.normal_()
    return model.eval()


def planted(model: nn.Module, n: int) -> Tensor:
    """Random sequences with three words that the first layer answers to, at random places."""
    generator = torch.Generator().manual_seed(0)
    x = nn.functional.one_hot(torch.randint(4, (n, LENGTH), generator=generator), 4).mT.float()
    first = next(module for module in model.modules() if isinstance(module, nn.Conv1d))
    for row in x:
        for word in first.weight[torch.randint(len(first.weight), (3,), generator=generator)]:
            start = int(torch.randint(LENGTH - word.shape[1], (1,), generator=generator))
            row[:, start : start + word.shape[1]] = nn.functional.one_hot(word.argmax(0), 4).T
    return x


def by_captum(model: nn.Module, x: Tensor, ranks: np.ndarray) -> Curves:
    """The curves of one order, by feature ablation."""
    ablation, references = FeatureAblation(model), dinucleotide_shuffles(x, REFERENCES, SEED)
    found = np.empty((2, len(x), len(SHARES)))
    for i, sequence in enumerate(x):
        fx = float(model(sequence[None])[0, 0])
        for s, share in enumerate(SHARES):
            first = torch.from_numpy(ranks[i, 0] < round(share * LENGTH))
            mask = first.long().expand(1, 4, LENGTH)
            values = [ablation.attribute(sequence[None], r[None], target=0, feature_mask=mask) for r in references[i]]
            lost = torch.stack(values).mean((0, 1, 2))  # (L,): of its feature at each base
            found[0, i, s] = fx - (float(lost[first][0]) if first.any() else 0)
            found[1, i, s] = fx - (float(lost[~first][0]) if (~first).any() else 0)
    return Curves(*found)


def same_curves(n: int) -> str:
    rows = []
    for name, make in (("scanner", Scanner), ("paper", paper)):
        model = network(make)
        x = planted(model, n)
        ranks = order_ranks(deeplift(model, x).contributions.sum(1).numpy(), x, SEED)
        times = []
        settings = {"n_references": REFERENCES, "seed": SEED, "device": CPU}
        for run in (
            lambda: ablation_curves(ExplainedOutput(model, 0), x, dinucleotide_shuffles, {"": ranks}, **settings)[""],  # noqa: B023
            lambda: by_captum(model, x, ranks),  # noqa: B023
        ):
            with torch.no_grad():
                run() if not times else None  # a warm-up of what is compiled
                begin = time.perf_counter()
                found = run()
            times.append((time.perf_counter() - begin, found))
        (ours, mine), (theirs, other) = times
        apart = max(np.abs(mine.deletion - other.deletion).max(), np.abs(mine.insertion - other.insertion).max())
        size = np.abs(other.deletion[:, 0] - other.deletion[:, -1]).max()
        rows.append(
            [name, f"{apart / size:.1e}", f"{1000 * ours / n:.1f}", f"{1000 * theirs / n:.1f}", f"{theirs / ours:.1f}"]
        )
    header = ["network", "largest difference, as a share of the change", "seqlift, ms a region", "captum, ms a region"]
    return table([*header, "ratio"], rows)


def wrong_explanations(n: int, trials: int) -> str:
    model = network(Scanner)
    x = planted(model, n)
    true = deeplift(model, x).contributions.sum(1).numpy()
    mutated = mutagenesis(model, x).contributions.sum(1).numpy()
    known = np.ones(true.shape, bool)
    random = np.random.default_rng(0)

    def evaluated(explanations: dict[str, np.ndarray]) -> dict[str, list]:
        orders = {name: order_ranks(scores, x, SEED) for name, scores in explanations.items()}
        orders["random"] = random_ranks(x, 3, SEED)
        settings = {"n_references": REFERENCES, "seed": SEED, "device": CPU}
        curves = ablation_curves(ExplainedOutput(model, 0), x, dinucleotide_shuffles, orders, **settings)
        return {name: areas_beyond(curves[name], curves["random"], SEED) for name in explanations}

    size = np.abs(true).max(1, keepdims=True)
    noisy = {f"{noise:g}": true + noise * size * random.normal(size=true.shape) for noise in (0, 0.1, 0.3, 1, 3)}
    named = {"DeepLIFT": true} | {
        f"DeepLIFT + {noise} × noise": scores for noise, scores in noisy.items() if noise != "0"
    }
    named |= {"mutagenesis": mutated, "size without sign": np.abs(true), "opposite": -true}
    rows = []
    for name, (deletion, insertion) in evaluated(named).items():
        cells = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in (deletion, insertion)]
        agreement = correlations(named[name], mutated, known)
        rows.append([name, *cells, *(f"{value:.2f}" for value in agreement)])
    text = table(["order", "deletion area", "insertion area", "Spearman with mutagenesis", "Pearson"], rows)
    moved = evaluated({str(i): random.permuted(true, axis=1) for i in range(trials)})
    for j, kind in enumerate(("deletion", "insertion")):
        values = np.array([estimates[j].value for estimates in moved.values()])
        held = np.mean([estimates[j].low <= 0 <= estimates[j].high for estimates in moved.values()])
        text += (
            f"\n\nScores moved to other places, {trials} times: {kind} area {values.mean():.4f} ± {values.std():.4f} "
        )
        text += f"(mean, standard deviation); {100 * held:.0f} % of the 95 % intervals hold 0."
    return text


def finished_runs(folders: list[Path]) -> str:
    rows = []
    for folder in folders:
        result = pd.read_csv(folder / "faithfulness" / "faithfulness.tsv", sep="\t")
        for row in result.itertuples():
            areas = [
                f"{getattr(row, name):.2f} [{getattr(row, name + '_low'):.2f}, {getattr(row, name + '_high'):.2f}]"
                for name in ("shuffles_deletion_area", "shuffles_insertion_area")
            ]
            halves = [f"{100 * getattr(row, name):.1f} %" for name in ("deletion_half", "random_deletion_half")]
            pearson = [getattr(row, f"{name}_pearson") for name in ("mutagenesis", "methods", "models", "references")]
            numbers = [*pearson, row.truth_auroc, row.truth_auprc]
            rows.append([row.output, row.method, *areas, *halves, *("" if n != n else f"{n:.2f}" for n in numbers)])
    header = ["output", "method", "deletion area", "insertion area", "half gone after", "in random order"]
    header += ["mutagenesis", "methods", "models", "references", "AUROC", "AUPRC"]
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], metavar="DIR", help="folders with faithfulness/")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    n, trials = (4, 4) if arguments.quick else (30, 100)
    print("# Deletion and insertion\n")
    print(f"{versions('seqlift', 'captum')}; {machine(CPU)}.\n")
    print(
        f"## The same curves by captum\n\n{n} sequences of {LENGTH} bp, DeepLIFT's order, {REFERENCES} shuffles each.\n"
    )
    print(same_curves(n))
    print(f"\n## Wrong explanations\n\n{n} sequences of {LENGTH} bp, the scanner; noise in largest contributions.\n")
    print(wrong_explanations(n, trials))
    if arguments.runs:
        print("\n## Finished runs\n")
        print(
            "Areas with dinucleotide shuffles, half-way shares with the method's own references; "
            "agreement is Pearson's correlation.\n"
        )
        print(finished_runs(arguments.runs))


if __name__ == "__main__":
    main()
