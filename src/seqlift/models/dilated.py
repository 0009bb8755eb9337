"""A dilated residual CNN: every position sees its wide surroundings at single-base resolution.

The trunk of BPNet (Avsec et al., Nature Genetics 53:354, 2021): one wide convolution finds motifs, then residual
convolutions of width 3 and doubling dilation bring in context without pooling. The mean over positions is read by a
dense layer, so the attributions are spared the jumps of max pooling.
"""

from torch import Tensor, nn

from seqlift.errors import SeqliftError


class Dilated(nn.Module):
    """A wide convolution, residual dilated convolutions, mean over positions, a dense layer.

    Parameters
    ----------
    length : int
        Input length, bp.
    n_targets : int
        Number of logits T.
    filters : int
        Channels throughout.
    kernel : int
        Width of the first convolution, bp.
    layers : int
        Residual layers; layer i = 1, 2, ... has dilation 2**i bp.
    dense : int
        Units of the dense layer.
    dropout : float
        Share of the averaged channels and of the dense units dropped in training.
    """

    def __init__(
        self,
        *,
        length: int,
        n_targets: int,
        filters: int = 64,
        kernel: int = 21,
        layers: int = 4,
        dense: int = 32,
        dropout: float = 0.3,
    ):
        super().__init__()
        if 2**layers >= length:
            raise SeqliftError(
                f"model.layers (={layers}) reach {2**layers} bp to either side, beyond the length of {length} bp; "
                "take fewer layers"
            )
        self.scanner = nn.Sequential(
            nn.Conv1d(4, filters, kernel, padding="same", bias=False), nn.BatchNorm1d(filters), nn.ReLU()
        )
        self.residuals = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(filters, filters, 3, padding="same", dilation=2**i, bias=False),
                nn.BatchNorm1d(filters),
                nn.ReLU(),
            )
            for i in range(1, layers + 1)
        )
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(filters),
            nn.Dropout(dropout),
            nn.Linear(filters, dense),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dense, n_targets),
        )

    def forward(self, sequences: Tensor) -> Tensor:
        """Logits (N, T) of one-hot `sequences` (N, 4, L)."""
        positions = self.scanner(sequences)  # (N, filters, L)
        for residual in self.residuals:
            positions = positions + residual(positions)
        return self.head(self.pool(positions))
