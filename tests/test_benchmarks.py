"""The benchmarks run, and their tables say what is known of a few models by hand."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *arguments], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(markdown: str, heading: str) -> list[list[str]]:
    """The cells of the tables under a heading."""
    section = markdown.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[text.strip() for text in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]


def test_universality():
    libraries = ["seqlift", "tangermeme", "captum", *(["shap"] if find_spec("shap") else [])]
    page = run("universality.py", "--models", "nn.ReLU", "F.relu", "sort", "--libraries", *libraries)
    (_, *header), _, *models = rows(page, "Models")
    assert header == libraries
    of = {name: dict(zip(libraries, outcomes, strict=True)) for name, *outcomes in models}
    assert set(of["nn.ReLU"].values()) == {"exact"}
    # A hook sees the module, not the function: its gradient is taken for a multiplier
    assert of["F.relu"]["seqlift"] == "exact"
    assert of["F.relu"]["tangermeme"].startswith("**warned")
    assert of["F.relu"]["captum"].startswith("**wrong")
    assert of["F.relu"].get("shap", "**refused**") == "**refused**"  # by its check of additivity
    assert of["sort"]["seqlift"] == "refused by name"
    left = [changed for library, _, _, *changed in rows(page, "Is the model left as it was?") if library == "seqlift"]
    assert len(left) == 4 and not any(any(changed) for changed in left), "seqlift changed what it borrowed"
