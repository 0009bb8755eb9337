"""The sizes of the input and the output of a model, which is all that it depends on in the data."""

from dataclasses import dataclass

from seqlift.errors import SeqliftError


@dataclass(frozen=True)
class Shape:
    """Sizes of the input and the output of a model.

    Attributes
    ----------
    length : int
        Length of the input, bp.
    n_targets : int
    strands : int
        Strands of the profile: 1, or 2 (plus, minus).
    window : int
        Length of the profile, bp: the center of the input, from (length - window) / 2 on.
    control_channels : int
        Control tracks over the window: 0, or one or two strands for each target, in the order of the targets, plus
        before minus.

    Raises
    ------
    SeqliftError
        If the sizes do not fit together.
    """

    length: int
    n_targets: int
    strands: int = 1
    window: int = 0
    control_channels: int = 0

    def __post_init__(self) -> None:
        if self.length < 1 or self.n_targets < 1:
            raise SeqliftError(f"a model needs a length (={self.length} bp) and targets (={self.n_targets})")
        if self.strands not in (1, 2) or self.control_channels not in (0, self.n_targets, 2 * self.n_targets):
            raise SeqliftError(
                f"the profile has {self.strands} strands and the control {self.control_channels} tracks for "
                f"{self.n_targets} targets; both have one or two strands for every target (the control may have none)"
            )
        if not 0 <= self.window <= self.length or (self.window and (self.length - self.window) % 2):
            raise SeqliftError(
                f"signal.window (={self.window} bp) must be at most the length of the regions (={self.length} bp) and "
                "differ from it by an even number, so that both have the same center on both strands"
            )
