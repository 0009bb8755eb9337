"""Does memory grow with the number of sequences? Explains regions of a made-up genome, each number in a fresh process.

python benchmarks/peak_memory.py [--full] [--device cuda]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from printing import table

from seqlift.attribution.attribute import attribute_regions
from seqlift.attribution.settings import AttributionSettings, DeepLiftSettings
from seqlift.data.genome import Genome
from seqlift.models.build import build_model
from seqlift.models.checkpoint import save_checkpoint
from seqlift.models.shape import Shape

LENGTH, SPACING, N_REFERENCES = 200, 50, 20
ARCHITECTURE = {"type": "paper", "filters": 8, "dense": 8}  # small, so that many regions take little time


def write_inputs(folder: Path, n_regions: int) -> None:
    """A random genome, and a model that knows nothing; region i starts at i times the spacing."""
    bases = np.frombuffer(b"ACGT", np.uint8)
    genome = np.random.default_rng(0).choice(bases, n_regions * SPACING + LENGTH)
    (folder / "genome.fa").write_bytes(b">chr1\n" + genome.tobytes() + b"\n")
    torch.manual_seed(0)
    shape = Shape(LENGTH, n_targets=1)
    model = build_model(ARCHITECTURE, shape)
    save_checkpoint(folder / "model.ckpt", model, architecture=ARCHITECTURE, targets=["t"], shape=shape, training={})


def explain(folder: Path, n_regions: int, device: str) -> dict[str, float]:
    """In a process of its own: seconds, and its largest memory in bytes."""
    start = np.arange(n_regions) * SPACING
    regions = pd.DataFrame(
        {
            "chrom": "chr1",
            "start": start,
            "end": start + LENGTH,
            "name": [f"r{i}" for i in range(n_regions)],
            "strand": ".",
            "summit": start + LENGTH // 2,
            "kind": "peak",
            "split": "test",
            "target:t": 1,
        }
    )
    own = DeepLiftSettings(n_references=N_REFERENCES, tolerance=0.01)
    settings = AttributionSettings(max_regions=n_regions, seed=0, deeplift=own)
    began = time.perf_counter()
    with Genome(folder / "genome.fa") as genome:
        attribute_regions(
            folder / "model.ckpt",
            regions,
            genome,
            folder / "scores.h5",
            target="t",
            method="deeplift",
            settings=settings,
            device=device,
        )
    card = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    return {"seconds": time.perf_counter() - began, "memory": peak_memory(), "card": card}


def peak_memory() -> int:
    """The largest memory of this process so far, bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent had when it made this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory_section(numbers: list[int], device: torch.device) -> str:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, max(numbers))
        for n in [1, *numbers]:
            command = [sys.executable, __file__, "--child", name, "--regions", str(n), "--device", device.type]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            card = [f"{found['card'] / 1e6:,.0f} MB"] if device.type == "cuda" else []
            rows.append([f"{n:,}", f"{found['memory'] / 1e6:,.0f} MB", *card, f"{found['seconds']:.1f} s"])
    return (
        "## Memory\n\n`attribute_regions` from a genome to a score file, in a fresh process for each number of regions "
        f"of {LENGTH} bp with {N_REFERENCES} shuffled references each, with a small network. One region shows what "
        "Python and its libraries take.\n\n"
        + table(["regions", "peak memory", *(["on the card"] if device.type == "cuda" else []), "time"], rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="also 100,000 regions: minutes")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--child", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--regions", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(explain(arguments.child, arguments.regions, arguments.device)))
    else:
        print(memory_section([1000, 10_000, *([100_000] if arguments.full else [])], torch.device(arguments.device)))


if __name__ == "__main__":
    main()
