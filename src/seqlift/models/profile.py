"""BPNet: the signal at every base, and its total (Avsec et al., Nature Genetics 53:354, 2021).

Shape and size of the signal are predicted apart. One wide convolution over the trunk gives a logit for each base of the
signal window, target and strand; the mean of the trunk over positions gives the log of the total count. A control track
(input DNA, enzyme bias) is an input to both, so that the sequence has only to explain what the control does not: the
wide convolution is given its log at each base as further channels, the count its log total. As a convolution is
linear, the control has one of its own and the two are added. The trunk has batch normalisation, which BPNet has not: on
the ATAC cut sites of yeast (1,854 regions, 25 epochs) the validation loss ends at 165 instead of 181, the correlation
of the log counts at 0.74 instead of 0.64, and the site of Reb1 is among the strongest words instead of lost.
"""

import torch
from torch import Tensor, nn

from seqlift.models.dense import bias_of, dense_head
from seqlift.models.outputs import ProfileOutput
from seqlift.models.trunk import Trunk


class DilatedProfile(nn.Module):
    """The BPNet trunk, a wide convolution for the profile, the mean over positions for the counts.

    Parameters
    ----------
    length, n_targets, strands, window, control_channels : int
        See `seqlift.models.shape.Shape`.
    filters, kernel, layers, sparse : int, bool
        Of the trunk (`seqlift.models.trunk.Trunk`).
    dense : int
        Units of the dense layer between the mean over positions and the counts.
    dropout : float
        Share of the averaged channels and of the dense units dropped in training.
    profile_kernel : int
        Width of the convolution that makes the profile, bp.
    """

    def __init__(
        self,
        *,
        length: int,
        n_targets: int,
        strands: int,
        window: int,
        control_channels: int = 0,
        filters: int = 64,
        kernel: int = 21,
        layers: int = 4,
        sparse: bool = False,
        dense: int = 32,
        dropout: float = 0.3,
        profile_kernel: int = 75,
    ):
        super().__init__()
        self.shape = (n_targets, strands, window)
        self.start = (length - window) // 2
        channels = n_targets * strands
        self.trunk = Trunk(length=length, filters=filters, kernel=kernel, layers=layers, sparse=sparse)
        self.profile = _wide(filters, channels, profile_kernel)
        self.counts = nn.Sequential(*dense_head(filters + control_channels, dense, n_targets, dropout))
        self.control = None
        if control_channels:
            self.control = _wide(control_channels, channels, profile_kernel, bias=False)

    @property
    def output_bias(self) -> nn.Parameter:
        """Of the last layer of the counts, (T,)."""
        return bias_of(self.counts[-1])

    def forward(self, sequences: Tensor, control: Tensor | None = None) -> ProfileOutput:
        """Profile logits (N, T, S, W) and log counts (N, T) of one-hot `sequences` (N, 4, L).

        `control` (N, C, W) holds counts; it is needed if the model was made for control tracks.
        """
        positions = self.trunk(sequences)  # (N, filters, L)
        _, _, window = self.shape
        logits = self.profile(positions)[:, :, self.start : self.start + window]  # (N, T * S, W)
        pooled = positions.mean(2)  # (N, filters)
        if self.control is not None:
            assert control is not None
            logits = logits + self.control(torch.log1p(control))[:, :, :window]
            pooled = torch.cat([pooled, torch.log1p(control.sum(2))], 1)
        return ProfileOutput(logits.unflatten(1, self.shape[:2]), self.counts(pooled))


def _wide(inputs: int, outputs: int, kernel: int, bias: bool = True) -> nn.ConvTranspose1d:
    """A convolution over positions, written as a transposed one: the same map, but many times as fast on a CPU.

    Its first weights are spread as those of an ordinary convolution.
    """
    convolution = nn.ConvTranspose1d(inputs, outputs, kernel, padding=(kernel - 1) // 2, bias=bias)
    for weights in convolution.parameters():
        nn.init.uniform_(weights, -((inputs * kernel) ** -0.5), (inputs * kernel) ** -0.5)
    return convolution
