"""A model with everything needed to use it, as read from its file (`seqlift.models.checkpoint`)."""

import hashlib
from dataclasses import dataclass

import torch
from torch import nn

from seqlift.errors import SeqliftError
from seqlift.models.outputs import Output, outputs_of
from seqlift.models.shape import Shape


@dataclass(frozen=True)
class TrainedModel:
    """A model read from its file.

    Attributes
    ----------
    model : torch.nn.Module
        In evaluation mode, on the CPU; see `seqlift.models.build.build_model`.
    architecture, training : dict
        Settings of the architecture, and how it was trained.
    targets : list of str
        Names of the targets, in order.
    shape : Shape
        Sizes of input and output.
    fingerprint : str
        sha256 of the weights (`fingerprint`).
    package_version : str
        Version of seqlift that wrote the file.
    """

    model: nn.Module
    architecture: dict
    targets: list[str]
    shape: Shape
    training: dict
    fingerprint: str
    package_version: str

    @property
    def head(self) -> str:
        """classes, counts or profile."""
        return self.architecture["head"]

    @property
    def length(self) -> int:
        """Length of the input, bp."""
        return self.shape.length

    @property
    def learned(self) -> bool:
        """Whether validation was better than the best constant prediction; True if training did not test it."""
        return bool(self.training.get("learned", True))

    def learned_about(self, output: Output) -> bool:
        """Whether the model has learned one output, if training tested each; otherwise see `learned`."""
        by_target = self.training.get("learned_targets") or {}
        by_output = self.training.get("learned_outputs") or {}
        return bool(by_output.get(output.name, by_target.get(output.target, self.learned)))

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs: the targets, or `<target>.counts` and `<target>.profile` of each."""
        return [output.name for output in outputs_of(self.head, self.targets)]

    def output(self, name: str) -> Output:
        """The output of that name; SeqliftError if there is none."""
        for output in outputs_of(self.head, self.targets):
            if output.name == name:
                return output
        raise SeqliftError(f"the model has no output {name!r}; it has: {', '.join(self.outputs)}")


def fingerprint(state_dict: dict[str, torch.Tensor]) -> str:
    """sha256 over the names, types, shapes and bytes of all weights and buffers."""
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        values = state_dict[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
