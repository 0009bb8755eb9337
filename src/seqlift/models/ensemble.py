"""The mean of several networks of one kind, over one strand or both.

With a thousand regions the initial weights decide how good a network becomes; the mean of several varies less and is
better than most of them. They are trained on the same batches, each with its own loss, because networks that are
trained for their mean become alike. The mean over both strands makes prediction and attribution the same for a sequence
and its reverse complement; training reads one random strand instead.
"""

from typing import Any

import torch
from torch import Tensor, nn

from seqlift.models.outputs import ProfileOutput


def mean(outputs: list[Any]) -> Any:
    """Mean of several predictions; for profiles, of the logits and of the log counts."""
    if isinstance(outputs[0], ProfileOutput):
        return ProfileOutput(*(mean(list(parts)) for parts in zip(*outputs, strict=True)))
    return torch.stack(outputs).mean(0) if len(outputs) > 1 else outputs[0]


def other_strand(control: Tensor, n_targets: int) -> Tensor:
    """Control tracks (N, C, W) of the reverse complement: positions reversed and strands exchanged."""
    n, channels, window = control.shape
    return control.reshape(n, n_targets, channels // n_targets, window).flip(2, 3).reshape(n, channels, window)


class Ensemble(nn.Module):
    """The mean of several networks, over one strand or both.

    Parameters
    ----------
    members : list of torch.nn.Module
        (N, 4, L) -> (N, T), or (N, 4, L), control -> ProfileOutput.
    both_strands : bool
        Whether the mean is also over the sequence and its reverse complement.
    """

    def __init__(self, members: list[nn.Module], both_strands: bool = False):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.both_strands = both_strands

    def each(self, sequences: Tensor, control: Tensor | None = None) -> list[Tensor | ProfileOutput]:
        """Prediction of each member for the given strand, for training."""
        given = (sequences,) if control is None else (sequences, control)
        return [member(*given) for member in self.members]

    def forward(self, sequences: Tensor, control: Tensor | None = None) -> Tensor | ProfileOutput:
        """Mean prediction for one-hot `sequences` (N, 4, L): (N, T), or a profile."""
        found = mean(self.each(sequences, control))
        return mean([found, self._reverse(sequences, control, found)]) if self.both_strands else found

    def _reverse(self, sequences: Tensor, control: Tensor | None, found: Any) -> Any:
        """Mean prediction for the reverse complement, in the coordinates of the given strand."""
        if control is not None:
            control = other_strand(control, found.log_counts.shape[1])
        reverse = mean(self.each(sequences.flip(1, 2), control))
        if isinstance(reverse, ProfileOutput):
            return reverse._replace(logits=reverse.logits.flip(2, 3))
        return reverse
