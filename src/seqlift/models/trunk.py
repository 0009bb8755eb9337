"""The trunk of BPNet: every position sees its wide surroundings at single-base resolution.

Avsec et al., Nature Genetics 53:354 (2021): one wide convolution finds motifs, then residual convolutions of width 3
and doubling dilation bring in context without pooling. Batch normalisation before every ReLU is ours.
"""

from torch import Tensor, nn

from seqlift.errors import SeqliftError
from seqlift.models.dense import FIRST_THRESHOLD, bias_of


class Trunk(nn.Module):
    """A wide convolution and residual dilated convolutions: (N, 4, L) -> (N, filters, L).

    Parameters
    ----------
    length : int
        Input length, bp.
    filters : int
        Channels throughout.
    kernel : int
        Width of the first convolution, bp.
    layers : int
        Residual layers; layer i = 1, 2, ... has dilation 2**i bp. Without any, the channels are those of the first.
    sparse : bool
        Whether the first channels begin by answering to good matches only, as those of `Basset` do.

    Raises
    ------
    SeqliftError
        If the last layer reaches beyond the sequence.
    """

    def __init__(self, *, length: int, filters: int, kernel: int, layers: int, sparse: bool):
        super().__init__()
        if 2**layers >= length:
            raise SeqliftError(
                f"model.layers (={layers}) reach {2**layers} bp to either side, beyond the length of {length} bp; "
                "take fewer layers"
            )

        def block(channels: int, width: int, dilation: int) -> nn.Sequential:
            convolution = nn.Conv1d(channels, filters, width, padding="same", dilation=dilation, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm1d(filters), nn.ReLU())

        self.scanner = block(4, kernel, 1)
        if sparse:
            nn.init.constant_(bias_of(self.scanner[1]), -FIRST_THRESHOLD)
        self.residuals = nn.ModuleList(block(filters, 3, 2**i) for i in range(1, layers + 1))

    def forward(self, sequences: Tensor) -> Tensor:
        """Channels (N, filters, L) of one-hot `sequences` (N, 4, L)."""
        positions = self.scanner(sequences)
        for residual in self.residuals:
            positions = positions + residual(positions)
        return positions
