"""Networks of one architecture side by side, read on both strands: what they agree on is less a matter of chance.

With a thousand regions the first weights decide how well a network ends; the mean of several varies less and is better
than most of them. They see the same batches but are trained for themselves, each with a loss of its own, because
networks that are trained for their mean grow alike. The mean over both strands makes prediction and attribution the
same for a sequence and its reverse complement.
"""

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of the logits of several networks over both strands.

    Parameters
    ----------
    members : list of torch.nn.Module, (N, 4, L) -> (N, T)
    """

    def __init__(self, members: list[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def each(self, sequences: Tensor) -> Tensor:
        """Logits of each member (M, N, T) of the strand that is given: what training needs."""
        return torch.stack([member(sequences) for member in self.members])

    def forward(self, sequences: Tensor) -> Tensor:
        """Logits (N, T) of one-hot `sequences` (N, 4, L)."""
        return (self.each(sequences) + self.each(sequences.flip(1, 2))).mean(0) / 2
