"""The heads of a model and the names of its outputs.

A head says what is predicted for each target: `classes` (a logit), `counts` (log(1 + count of the signal window)), or
`profile` (the same log count, and a logit for each base of the signal window, whose softmax over strands and positions
is the expected shape of the signal).
"""

from typing import NamedTuple

from torch import Tensor

HEADS = ("classes", "counts", "profile")


class ProfileOutput(NamedTuple):
    """Prediction of a profile head for N sequences, T targets, S strands and a signal window of W bp.

    Attributes
    ----------
    logits : torch.Tensor, shape (N, T, S, W)
        Their softmax over S and W together is the expected fraction of the signal at each base.
    log_counts : torch.Tensor, shape (N, T)
        log(1 + total signal in the window).
    """

    logits: Tensor
    log_counts: Tensor


class Output(NamedTuple):
    """A predicted number that can be explained.

    Attributes
    ----------
    name : str
        Unique name: the target, for a profile head `<target>.counts` or `<target>.profile`.
    target : str
    index : int
        Index of the target.
    quantity : "class", "counts" or "profile"
    """

    name: str
    target: str
    index: int  # type: ignore[assignment]  # in place of tuple.index
    quantity: str


def outputs_of(head: str, targets: list[str]) -> list[Output]:
    """Outputs of a model, in the order of its targets."""
    kinds = {"classes": [("", "class")], "counts": [("", "counts")]}.get(
        head, [(".counts", "counts"), (".profile", "profile")]
    )
    return [Output(name + end, name, i, quantity) for i, name in enumerate(targets) for end, quantity in kinds]
