"""The benchmarks run, and their tables say what is known of a few models by hand."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from seqlift.data.genome import Genome
from seqlift.scores.file import open_scores

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


def test_speed():
    page = run("attribution.py", "--quick", "--networks", "paper, 200 bp", "--only", "speed", "precision")
    ratios = {what: float(ratio.split()[0]) for _, what, ratio, *_ in rows(page, "Ratios")[2:]}
    speeds = {who: float(speed.split()[0].replace(",", "")) for _, who, _, speed in rows(page, "Speeds")[2:]}
    assert all(0.005 < ratio < 200 for ratio in ratios.values())
    assert {"seqlift", "tangermeme", "captum", "floor", "seqlift path", "captum path", "floor path"} <= speeds.keys()
    # Two rounds: a median of ratios is near the ratio of medians, whichever way up it is
    assert 0.2 < ratios["speed over tangermeme"] / (speeds["seqlift"] / speeds["tangermeme"]) < 5
    assert 0.2 < ratios["time over the floor"] / (speeds["floor"] / speeds["seqlift"]) < 5
    errors = {kind: float(worst) for _, kind, _, _, worst in rows(page, "Precision")[3:]}
    assert errors["float32"] < 1e-4 < errors["bfloat16"] < 1


def test_memory(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import peak_memory

    peak_memory.write_inputs(tmp_path, 7)
    monkeypatch.setattr(peak_memory, "N_REFERENCES", 2)
    found = peak_memory.explain(tmp_path, 7, "cpu")
    with open_scores(tmp_path / "scores.h5") as scores:
        assert len(scores.sequences) == 7
    assert 5e7 < found["memory"] < 1e11  # bytes


def test_input(tmp_path):
    sizes = ["--genome-size", "2000000", "--regions", "3000", "--lengths", "200", "--folder", str(tmp_path)]
    page = run("input.py", *sizes, "--rounds", "2", "--seconds", "0.3", "--networks", "paper, 200 bp")
    windows = rows(page, "Windows a second")[2:]
    assert [row[:2] for row in windows] == [["200", "1"], ["200", "2"]]
    for _, _, *cells in windows:
        ours, tangermeme, loader = (float(cell.replace(",", "")) for cell in cells[:3])
        # Two rounds: a median of ratios is near the ratio of medians
        for other, ratio in zip((tangermeme, loader), cells[3:], strict=True):
            assert 0.2 < float(ratio.split()[0].replace(",", "")) / (ours / other) < 5
    ((_, _, step, ratio),) = rows(page, "A step of training")[2:]
    assert float(step.split()[0]) > 0.1 and 0.5 < float(ratio.split()[0]) < 20
    starts = rows(page, "A start with a large genome")[2:]
    assert [row[0] for row in starts] == ["first", "later", "later, files not in memory"]
    for _, *seconds, memory, mapped in starts:
        assert all(0 <= float(text.removesuffix(" s")) < 300 for text in seconds)
        assert 50 < float(memory.removesuffix(" MB").replace(",", "")) < 3000 and float(mapped.split()[0]) > 2
    assert float(starts[0][2].split()[0]) > float(starts[1][2].split()[0])  # the genome is encoded once
    assert not list(tmp_path.iterdir())


def test_random_genome_of_the_input_benchmark(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import input as benchmark

    benchmark.write_genome(tmp_path / "genome.fa", 24 * 6_000_500)
    with Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache") as genome:
        assert list(genome.sizes.values()) == [6_000_500] * 24
        shares = np.bincount(genome.codes("chr24"), minlength=5) / 6_000_500
    assert shares[4] == 0 and np.allclose(shares[:4], 0.25, atol=0.002)


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
