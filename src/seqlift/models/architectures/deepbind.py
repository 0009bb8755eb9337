"""A DeepBind-like network: motif scanners, of whose hits the strongest and the mean are read by a dense layer.

After Alipanahi et al., Nature Biotechnology 33:831 (2015): one convolution, ReLU, pooling over the whole sequence by
maximum and by mean, a dense layer. The maximum asks whether there is a good match anywhere, the mean how many there
are; where they lie does not matter. The two batch normalisations are ours: without them three transcription factors of
yeast are hardly learnt in 40 epochs (validation loss 0.43, with them 0.27; always saying the base rate: 0.46).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqlift.core.settings import setting
from seqlift.models.dense import bias_of, dense_head
from seqlift.models.settings import DROPOUT, Architecture, Head, Kind, Layer


@dataclass(frozen=True, kw_only=True)
class DeepBindSettings(Architecture):
    """One convolution, the maximum and the mean of each filter, a dense layer. The simplest."""

    filters: int = setting(64, "Number of filters.", minimum=1)
    kernel: int = setting(21, "Width of the filters in bp.", minimum=1)
    dense: int = setting(32, "Number of units of the dense layer.", minimum=1)
    dropout: float = setting(
        0.3, "Fraction of the pooled filters and of the dense units dropped in training.", schema=DROPOUT
    )

    def layers_of(self, head: Head, outputs: int) -> list[Layer]:
        """One convolution."""
        return [Layer(1.0, self.filters, 4 * self.kernel)]


class DeepBind(nn.Module):
    """Convolution with normalisation, ReLU, global maximum and mean, a dense layer.

    Parameters
    ----------
    length : int
        Input length, bp; any, as both poolings take the whole sequence.
    n_targets : int
        Number of outputs T.
    filters : int
        Motif scanners.
    kernel : int
        Their width, bp.
    dense : int
        Units of the dense layer.
    dropout : float
        Share of the pooled scanners and of the dense units dropped in training.
    """

    def __init__(
        self,
        *,
        length: int,
        n_targets: int,
        filters: int = DeepBindSettings.filters,
        kernel: int = DeepBindSettings.kernel,
        dense: int = DeepBindSettings.dense,
        dropout: float = DeepBindSettings.dropout,
    ):
        super().__init__()
        self.scanner = nn.Sequential(
            nn.Conv1d(4, filters, kernel, padding="same", bias=False), nn.BatchNorm1d(filters), nn.ReLU()
        )
        self.strongest, self.mean = nn.AdaptiveMaxPool1d(1), nn.AdaptiveAvgPool1d(1)
        self.head = nn.Sequential(nn.Flatten(), *dense_head(2 * filters, dense, n_targets, dropout))

    @property
    def output_bias(self) -> nn.Parameter:
        """Of the last layer, (T,)."""
        return bias_of(self.head[-1])

    def forward(self, sequences: Tensor) -> Tensor:
        """Outputs (N, T) of one-hot `sequences` (N, 4, L)."""
        hits = self.scanner(sequences)  # (N, filters, L)
        return self.head(torch.cat([self.strongest(hits), self.mean(hits)], 1))


ARCHITECTURE = Kind(DeepBindSettings, DeepBind)
