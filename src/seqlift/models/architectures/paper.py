"""The network of DeepLIFT's own genomics experiment (Shrikumar et al., arXiv 1704.02685, section 4.2 and appendix)."""

from dataclasses import dataclass

from torch import Tensor, nn

from seqlift.core.settings import setting
from seqlift.errors import SeqliftError
from seqlift.models.dense import bias_of
from seqlift.models.settings import DROPOUT, Architecture, Head, Kind, Layer


@dataclass(frozen=True, kw_only=True)
class PaperSettings(Architecture):
    """The small network of the DeepLIFT paper's genomics experiment."""

    filters: int = setting(50, "Number of filters of both convolutions.", minimum=1)
    kernel: int = setting(11, "Width of both convolutions in bp.", minimum=1)
    dense: int = setting(50, "Number of units of the dense layer.", minimum=1)
    dropout: float = setting(0.5, "Fraction of the dense units dropped in training.", schema=DROPOUT)

    def shortest_window(self) -> tuple[int, str]:
        """Two convolutions without padding."""
        return 2 * self.kernel - 1, "kernel"

    def layers_of(self, head: Head, outputs: int) -> list[Layer]:
        """Both convolutions."""
        return [Layer(1.0, self.filters, 4 * self.kernel), Layer(1.0, self.filters, self.filters * self.kernel)]


class Paper(nn.Module):
    """Two convolutions with ReLU, global average pooling, one dense layer with dropout, logits.

    Parameters
    ----------
    length : int
        Input length, bp.
    n_targets : int
        Number of outputs T.
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
        filters: int = PaperSettings.filters,
        kernel: int = PaperSettings.kernel,
        dense: int = PaperSettings.dense,
        dropout: float = PaperSettings.dropout,
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

    @property
    def output_bias(self) -> nn.Parameter:
        """Of the last layer, (T,)."""
        return bias_of(self.layers[-1])

    def forward(self, sequences: Tensor) -> Tensor:
        """Outputs (N, T) of one-hot `sequences` (N, 4, L)."""
        return self.layers(sequences)


ARCHITECTURE = Kind(PaperSettings, Paper)
