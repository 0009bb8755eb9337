"""Where the workflow and its configs lie: inside an installed package, at the root of a checkout.

The repository keeps `workflow/` and `configs/` at its root, where Snakemake and its Workflow Catalog look for them. A
wheel holds both inside the package (pyproject.toml says so), where no other package's files can be.
"""

from pathlib import Path


def workflow_root() -> Path:
    """Folder that holds `workflow/Snakefile` and `configs/template.yaml`."""
    package = Path(__file__).resolve().parents[1]
    return package if (package / "workflow").is_dir() else package.parents[1]
