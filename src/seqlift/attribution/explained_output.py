"""The number f(x) that is explained for a sequence, for each kind of head.

* A class: its logit. Counts: log(1 + count).
* A profile has a logit z for each strand and base of the signal window, of which only differences matter. They are
  combined to f(x) = Σ w · (z(x) - mean z(x)), with w the softmax of the logits of the sequence that is explained: a
  rise where the model predicts the signal, relative to the rest of the window (Avsec et al., Nature Genetics 53:354,
  2021). The weights w belong to the sequence and are the same for its references, for the points of a path and for its
  mutations, so f is linear in z and its contributions are exact.

Control tracks are zero: what the sequence by itself predicts is explained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqlift.attribution.batch_size import default_batch_size
from seqlift.attribution.model_state import in_evaluation_mode
from seqlift.models.ensemble import Ensemble
from seqlift.models.outputs import Output, ProfileOutput
from seqlift.models.shape import Shape

_ROWS = 128  # sequences whose profiles are predicted at a time


class _WithoutControl(nn.Module):
    """A model with a profile head, given control tracks of zeros if it takes any."""

    def __init__(self, model: nn.Module, shape: Shape):
        super().__init__()
        self.model, self._control = model, (shape.control_channels, shape.window)

    def forward(self, sequences: Tensor) -> ProfileOutput:
        if not self._control[0]:
            return self.model(sequences)
        control = torch.zeros(len(sequences), *self._control, dtype=sequences.dtype, device=sequences.device)
        return self.model(sequences, control)


class LogCounts(nn.Module):
    """The log counts (N, T) of a model with a profile head."""

    def __init__(self, model: nn.Module, shape: Shape):
        super().__init__()
        self.model = _WithoutControl(model, shape)

    def forward(self, sequences: Tensor) -> Tensor:
        """(N, 4, L) -> (N, T)."""
        return self.model(sequences).log_counts


class WeightedLogits(nn.Module):
    """The profile logits of target `index`, minus their mean, as a weighted sum."""

    def __init__(self, model: nn.Module, shape: Shape, index: int):
        super().__init__()
        self.model, self._index = _WithoutControl(model, shape), index

    def logits(self, sequences: Tensor) -> Tensor:
        """The profile logits of the target, (N, S * W)."""
        return self.model(sequences).logits[:, self._index].flatten(1)

    def forward(self, sequences: Tensor, weights: Tensor) -> Tensor:
        """(N, 4, L), (N, S * W) -> (N, 1)."""
        logits = self.logits(sequences)
        return (weights * (logits - logits.mean(1, keepdim=True))).sum(1, keepdim=True)


@dataclass(frozen=True)
class ExplainedOutput:
    """An output of a model, as the methods take it."""

    module: nn.Module  # (N, 4, L) and `args` -> (N, T)
    target: int  # the column of what the module returns

    def args(self, sequences: Tensor, device: str | torch.device | None) -> tuple[Tensor, ...]:
        """Inputs of the module besides `sequences` (N, 4, L): for a profile its weights (N, S * W), on the CPU."""
        if not isinstance(self.module, WeightedLogits):
            return ()
        with in_evaluation_mode(self.module, device, look_inside=False) as where, torch.no_grad():
            found = [self.module.logits(rows.to(where)).softmax(1).cpu() for rows in sequences.split(_ROWS)]
        return (torch.cat(found),)

    def predict(self, sequences: Tensor, device: str | torch.device | None) -> Tensor:
        """The output for each sequence (N, 4, L): (N,), on the CPU."""
        args = self.args(sequences, device)
        with in_evaluation_mode(self.module, device, look_inside=False) as where, torch.no_grad():
            rows = zip(sequences.split(_ROWS), *(arg.split(_ROWS) for arg in args), strict=True)
            found = [self.module(*(values.to(where) for values in given))[:, self.target].cpu() for given in rows]
        return torch.cat(found)

    def batch_size(self, sequence: Tensor, device: str | torch.device | None) -> int:
        """Rows that the methods give to the module at a time, by one sequence (1, 4, L)."""
        args = self.args(sequence, device)
        with in_evaluation_mode(self.module, device, look_inside=False) as where:
            given = [values.to(where) for values in (sequence, *args)]
            return default_batch_size(self.module, given[0], tuple(given[1:]))


def explained_output(models: Sequence[nn.Module], output: Output, head: str, shape: Shape) -> ExplainedOutput:
    """An output of the mean of one or more models with the same head and shape: of their logits and log counts."""
    model = models[0] if len(models) == 1 else Ensemble(list(models))
    if head != "profile":
        return ExplainedOutput(model, output.index)
    if output.quantity == "counts":
        return ExplainedOutput(LogCounts(model, shape), output.index)
    return ExplainedOutput(WeightedLogits(model, shape, output.index), 0)
