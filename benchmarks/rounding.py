"""How far DeepLIFT's contributions are from adding up, in units of rounding: the ground for the limit of its warning.

    python benchmarks/rounding.py

For each model of tests/fixtures/attribution_models.py and for deep networks with random weights: the largest |delta|,
divided by ε · (Σ|contribution| + the larger prediction).
"""

import sys
from pathlib import Path

import torch
from networks import NETWORKS, Data, make
from printing import table
from torch import Tensor, nn

import seqlift

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fixtures.attribution_models import MODELS, build, pairs

TYPES = (torch.float32, torch.float64)


def rounding(model: nn.Module, x: Tensor, references: Tensor, target: int = 0) -> float:
    """The largest delta of a model in units of rounding."""
    result = seqlift.deeplift(model, x, references, target=target)
    predictions = torch.maximum(result.prediction.abs()[:, None], result.reference_prediction.abs())
    size = result.contributions.abs().sum((1, 2))[:, None] + predictions
    return float((result.delta.abs() / size / torch.finfo(x.dtype).eps).max())


def main() -> None:
    """Print the page."""
    small = {name: [rounding(build(name, t).eval(), *pairs(t), 1) for t in TYPES] for name in MODELS}
    worst = sorted(small, key=lambda name: -max(small[name]))[:5]
    rows = [[name, *(f"{value:.1f}" for value in small[name])] for name in worst]
    for name in NETWORKS:
        data = Data(NETWORKS[name][1], 3)
        found = [rounding(make(name).to(t).eval(), *(values.to(t) for values in data.first(2))) for t in TYPES]
        rows.append([name, *(f"{value:.1f}" for value in found)])
    print(f"# Rounding of DeepLIFT\n\nThe five worst of {len(small)} small models, then deep networks.\n")
    print(table(["model", "float32", "float64"], rows))


if __name__ == "__main__":
    main()
