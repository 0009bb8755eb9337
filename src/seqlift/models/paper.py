"""The network of DeepLIFT's own genomics experiment (Shrikumar et al., arXiv 1704.02685, section 4.2 and appendix).

The average over all positions makes it hard to train: one site among 180 positions moves it little, and until some
filter has found a motif there is next to no gradient to follow. The first weights see to that, not the layers, which
are the paper's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqlift.errors import SeqliftError

# Standard deviations above the mean, on random DNA, at which a filter of the second convolution starts to answer, so
# that its average is of few good matches and not of the base composition.
FIRST_THRESHOLD = 3.0
# Makes up for the averages being small. `benchmarks/paper_table.py` trains with and without all this.
DENSE_GAIN = 10.0
SAMPLE = 200  # random sequences, with as many bp as give 100 positions after both convolutions


class Paper(nn.Module):
    """Two convolutions with ReLU, global average pooling, one dense layer with dropout, logits.

    Parameters
    ----------
    length : int
        Input length, bp.
    n_targets : int
        Number of logits T.
    filters : int
        Filters of both convolutions.
    kernel : int
        Width of both convolutions, bp; without padding, so the input must be at least 2 * kernel - 1 long.
    dense : int
        Units of the dense layer.
    dropout : float
        Share of the dense units dropped in training.
    """

    def __init__(
        self,
        *,
        length: int,
        n_targets: int,
        filters: int = 50,
        kernel: int = 11,
        dense: int = 50,
        dropout: float = 0.5,
    ):
        super().__init__()
        if length < 2 * kernel - 1:
            raise SeqliftError(f"a length of {length} bp is too short for model.kernel (={kernel}): at least 2k - 1")
        self.layers = nn.Sequential(
            nn.Conv1d(4, filters, kernel),
            nn.ReLU(),
            nn.Conv1d(filters, filters, kernel),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(filters, dense),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dense, n_targets),
        )
        self._draw_weights()

    def _draw_weights(self) -> None:
        """He's initialisation; then the second convolution is made to answer rarely, and the dense layer listen."""
        layers = [layer for layer in self.layers if isinstance(layer, nn.Conv1d | nn.Linear)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        first, second, dense, _ = layers
        with torch.no_grad():
            sequences = F.one_hot(torch.randint(4, (SAMPLE, 2 * first.kernel_size[0] + 98)), 4).mT
            matches = second(first(sequences.to(first.weight)).relu())  # (SAMPLE, filters, 100)
            deviation = matches.std((0, 2))
            second.weight /= deviation[:, None, None]
            second.bias.copy_(-matches.mean((0, 2)) / deviation - FIRST_THRESHOLD)
            dense.weight *= DENSE_GAIN

    def forward(self, sequences: Tensor) -> Tensor:
        """Logits (N, T) of one-hot `sequences` (N, 4, L)."""
        return self.layers(sequences)
