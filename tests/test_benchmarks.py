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
    page = run("universality.py", "--models", "nn.ReLU", "F.relu", "cummax", "--libraries", *libraries)
    (_, *header), _, *models = rows(page, "Models")
    assert header == libraries
    of = {name: dict(zip(libraries, outcomes, strict=True)) for name, *outcomes in models}
    assert set(of["nn.ReLU"].values()) == {"exact"}
    # A hook sees the module, not the function: its gradient is taken for a multiplier
    assert of["F.relu"]["seqlift"] == "exact"
    assert of["F.relu"]["tangermeme"].startswith("**warned")
    assert of["F.relu"]["captum"].startswith("**wrong")
    assert of["F.relu"].get("shap", "**refused**") == "**refused**"  # by its check of additivity
    assert of["cummax"]["seqlift"] == "refused by name"
    left = [changed for library, _, _, *changed in rows(page, "Is the model left as it was?") if library == "seqlift"]
    assert len(left) == 4 and not any(any(changed) for changed in left), "seqlift changed the model"


def test_speed():
    page = run("attribution.py", "--quick", "--networks", "paper, 200 bp", "--only", "speed", "precision")
    assert len(rows(page, "Ratios")) > 3
    speeds = {who for _, who, *_ in rows(page, "Speeds")[2:]}
    assert {"seqlift", "tangermeme", "captum", "floor", "seqlift path", "captum path", "floor path"} <= speeds
    errors = {kind: float(worst) for _, kind, _, _, worst in rows(page, "Precision")[3:]}
    assert errors["float32"] < 1e-4 < errors["bfloat16"] < 1


def test_input(tmp_path):
    sizes = ["--genome-size", "2000000", "--regions", "3000", "--lengths", "200", "--folder", str(tmp_path)]
    page = run("input.py", *sizes, "--rounds", "2", "--seconds", "0.3", "--networks", "paper, 200 bp")
    assert [row[:2] for row in rows(page, "Windows a second")[2:]] == [["200", "1"], ["200", "2"]]
    ((_, _, step, ratio),) = rows(page, "A step of training")[2:]
    assert float(step.split()[0]) > 0.1 and 0.5 < float(ratio.split()[0]) < 20
    starts = rows(page, "A start with a large genome")[2:]
    assert [row[0] for row in starts] == ["first", "later", "later, files not in memory"]
    assert not list(tmp_path.iterdir())


def test_time_covered_by_kernels(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from precision import covered

    assert covered([]) == 0
    assert covered([(5, 6), (0, 2), (1, 3), (1.5, 2), (3, 4)]) == 5


def test_scripts_can_be_imported():
    """In one process, since most of the time would go into importing the same libraries."""
    scripts = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
    assert len(scripts) > 20
    code = "import sys\nfor name in sys.argv[1:]:\n    print(name, flush=True)\n    __import__(name)"
    done = subprocess.run([sys.executable, "-c", code, *scripts], cwd=BENCHMARKS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == scripts


def test_seqlet_choice():
    page = run("seqlet_choice.py", "--regions", "2000", "--seqlets", "150", "--seeds", "1")
    for heading in ("All motifs equally frequent", "EWSR1-FLI1 rare"):
        found = {name: int(several.split()[0]) for name, several, *_ in rows(page, heading)[2:]}
        assert len(found) == 4 and all(1 <= number <= 12 for number in found.values())
        ours = next(number for name, number in found.items() if "seqlift" in name)
        assert found["the strongest"] <= ours


def test_the_page_of_a_gpu_is_made_on_the_cpu():
    page = run("gpu.py", "--quick", "--device", "cpu")
    assert "passed" in page.split("## Tests")[1] or "skipped" in page.split("## Tests")[1]
    who = {who for _, who, *_ in rows(page, "Speed of attribution")[2:]}
    assert who == {"seqlift", "tangermeme", "captum", "seqlift path", "captum path"}
    assert len(rows(page, "A step of training")) == 3 and len(rows(page, "Memory")) == 4
