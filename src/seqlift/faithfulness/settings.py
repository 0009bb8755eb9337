"""Settings of the tests of faithfulness."""

from dataclasses import dataclass

from seqlift.core.settings import SEED, Settings, setting


@dataclass(frozen=True, kw_only=True)
class FaithfulnessSettings(Settings):
    """How the explanations are tested on the model that they explain."""

    max_regions: int = setting(
        50,
        "Number of held-out regions of each output on which its explanations are tested; 0 skips this stage.",
        advice="The intervals narrow with the square root; the time grows with it.",
        metavar="M",
        minimum=0,
    )
    mutagenesis: bool = setting(
        True,
        "Also mutate every base of these regions, as the reference method. Each base takes three predictions.",
    )
    seed: int = setting(
        1, "Seed of the sample of regions, of the references that replace bases, and of random orders.", schema=SEED
    )
