"""The targets of a config as the table that `seqlift regions --targets` reads. Run by the rule write_targets."""

from seqlift.targets import Target, write_targets

targets = [Target(**target) for target in snakemake.params.targets]  # noqa: F821
write_targets(snakemake.output[0], targets)  # noqa: F821
