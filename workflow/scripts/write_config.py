"""The config with all its defaults, as YAML. Run by the rule write_config: a shell has no room for many targets."""

from pathlib import Path

Path(snakemake.output[0]).write_text(snakemake.params.config, encoding="utf-8")  # noqa: F821
