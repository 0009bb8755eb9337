"""Settings of the training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seqlift.core.settings import SEED, Settings, setting


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How a network is trained."""

    epochs: int = setting(
        30,
        "Largest number of passes over the training regions; early stopping may end sooner.",
        advice="The learning rate falls to zero with the last one, so this is also the length of the schedule: 15 for "
        "many thousand regions, 60 for two thousand.",
        metavar="N",
        minimum=1,
    )
    patience: int = setting(
        10,
        "Number of epochs without a better validation loss after which training stops.",
        advice="Raise it if the loss is noisy (few valid regions).",
        metavar="N",
        minimum=1,
    )
    batch_size: int = setting(
        64,
        "Number of regions in one step, of all devices together.",
        advice="32 below 2,000 regions, 256 above 100,000.",
        metavar="N",
        minimum=2,
    )
    learning_rate: float = setting(
        0.003,
        "Highest learning rate of AdamW.",
        advice="Divide it by 3 if the loss jumps.",
        metavar="X",
        exclusiveMinimum=0,
        maximum=1,
    )
    schedule: Literal["cosine", "constant", "plateau"] = setting(
        "cosine",
        "Schedule of the learning rate: `cosine`, up over the first steps and down to zero with the last epoch; "
        "`constant`; or `plateau`, down whenever the validation loss stops falling.",
        advice="plateau is for long trainings of unknown length.",
    )
    weight_decay: float = setting(
        0.1,
        "Weight decay of AdamW.",
        advice="0.01 if there are enough regions that nothing overfits.",
        metavar="X",
        minimum=0,
    )
    gradient_clip: float | None = setting(
        None,
        "Largest norm of the gradient of a step, to which larger ones are clipped; null for none.",
        advice="1 to 10 if the loss jumps or becomes NaN.",
        metavar="X",
        exclusiveMinimum=0,
    )
    precision: Literal["32", "bf16-mixed", "16-mixed"] = setting(
        "32", "Precision of training, `32`, or `bf16-mixed` or `16-mixed`, which are faster on GPUs that support them."
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none",
        "With `balanced`, positives and negatives of each target have the same total weight in the loss; only for the "
        "head `classes`.",
        advice="For targets with few peaks among many.",
    )
    count_weight: float = setting(
        1.0,
        "Weight of the total counts relative to the shape of the profile, 1 for about the same; only for the head "
        "`profile`.",
        metavar="X",
        exclusiveMinimum=0,
    )
    jitter: int = setting(
        0,
        "Training windows are shifted by a random number of bp, at most this many to either side, newly drawn in each "
        "epoch.",
        advice="A tenth of the length teaches the model not to rely on the distance of a motif from the summit.",
        metavar="BP",
        minimum=0,
    )
    reverse_complement: bool = setting(
        True,
        "Read each training region on a random strand in each epoch.",
        advice="Right for all data without a strand, such as peaks.",
    )
    restarts: int = setting(
        2,
        "Largest number of restarts, with a distant seed, of a training that learned nothing: its validation loss is "
        "no better than that of constant predictions.",
        metavar="N",
        minimum=0,
        maximum=20,
    )
    tensorboard: bool = setting(
        False, "Also write logs for TensorBoard, to model/tensorboard/ (needs the package tensorboard)."
    )
    seed: int | tuple[int, ...] = setting(
        1,
        "Seed of the initial weights, the order of the regions, jitter and strands; or a list of seeds: one model is "
        "trained for each in its own job, and their mean is evaluated and explained.",
        advice="With attribution.model_std, a list shows how stable a result is. model.replicates does the same "
        "within one job, for small networks.",
        schema={
            "anyOf": [
                {"type": "integer", **SEED},
                {"type": "array", "minItems": 1, "items": {"type": "integer", **SEED}},
            ],
            "x-rule": "a whole number from 0 to 4294967295, or a list of such numbers",
        },
    )

    def check(self) -> Iterator[tuple[str, str]]:
        """Each seed once: the same model twice would have twice the weight in the mean."""
        if isinstance(self.seed, tuple) and len(set(self.seed)) < len(self.seed):
            yield "seed", f"(={list(self.seed)}) has a seed twice; delete one"
