"""Networks for the speed tables, plain PyTorch with layers that every library has a rule for, and their sequences."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class BPNet(nn.Module):
    """After Avsec et al., Nature Genetics 53:354 (2021): 64 filters, eight dilated residual layers, a count head."""

    def __init__(self, filters: int = 64, layers: int = 8):
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(4, filters, 21, padding="same"), nn.ReLU())
        self.residuals = nn.ModuleList(
            nn.Sequential(nn.Conv1d(filters, filters, 3, padding="same", dilation=2**i), nn.ReLU())
            for i in range(1, layers + 1)
        )
        self.head = nn.Linear(filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        for layer in self.residuals:
            h = h + layer(h)
        return self.head(h.mean(-1))


def basset() -> nn.Module:
    """Kelley, Snoek & Rinn, Genome Research 26:990 (2016), for sequences of 600 bp."""
    return nn.Sequential(
        *(nn.Conv1d(4, 300, 19, padding=9), nn.BatchNorm1d(300), nn.ReLU(), nn.MaxPool1d(3)),
        *(nn.Conv1d(300, 200, 11, padding=5), nn.BatchNorm1d(200), nn.ReLU(), nn.MaxPool1d(4)),
        *(nn.Conv1d(200, 200, 7, padding=3), nn.BatchNorm1d(200), nn.ReLU(), nn.MaxPool1d(4)),
        *(nn.Flatten(), nn.Linear(200 * 12, 1000), nn.ReLU(), nn.Dropout(0.3)),
        *(nn.Linear(1000, 1000), nn.ReLU(), nn.Dropout(0.3), nn.Linear(1000, 164)),
    )


def paper() -> nn.Module:
    """The network of DeepLIFT's own genomics experiment (Shrikumar et al., arXiv 1704.02685), for any length."""
    return nn.Sequential(
        *(nn.Conv1d(4, 50, 11), nn.ReLU(), nn.Conv1d(50, 50, 11), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
        *(nn.Linear(50, 50), nn.ReLU(), nn.Dropout(0.5), nn.Linear(50, 3)),
    )


# Name: what makes it, and the length of its sequences, bp
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "BPNet, 1,000 bp": (BPNet, 1000),
    "BPNet, 2,114 bp": (BPNet, 2114),
    "Basset, 600 bp": (basset, 600),
    "paper, 200 bp": (paper, 200),
}


class Data:
    """Random sequences and R references of each, made when needed; on the CPU, as in real use."""

    def __init__(self, length: int, n_references: int):
        self._length = length
        self._generator = torch.Generator().manual_seed(0)
        self.sequences = torch.empty(0, 4, length)
        self.references = torch.empty(0, n_references, 4, length)

    def _random(self, *shape: int) -> Tensor:
        codes = torch.randint(0, 4, (*shape, self._length), generator=self._generator)
        return torch.nn.functional.one_hot(codes, 4).mT.float().contiguous()

    def first(self, n: int) -> tuple[Tensor, Tensor]:
        """Sequences (n, 4, L) and references (n, R, 4, L)."""
        missing = n - len(self.sequences)
        if missing > 0:
            self.sequences = torch.cat([self.sequences, self._random(missing)])
            self.references = torch.cat([self.references, self._random(missing, self.references.shape[1])])
        return self.sequences[:n], self.references[:n]


def make(name: str) -> nn.Module:
    """A network in evaluation mode, with the same weights each time, and BatchNorms that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = NETWORKS[name][0]()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        return model.eval()
