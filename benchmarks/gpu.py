"""What a GPU gives: tests, speed, input, waiting and memory, in at most 6 minutes. Prints one page of Markdown.

make gpu                                            writes benchmarks/results/gpu.md
python benchmarks/gpu.py --quick --device cpu       only shows that it runs: its numbers mean nothing
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
from attribution import N_REFERENCES, Plan, Timed, note, pair_contestants, path_contestants, spread, take_turns
from input import step_section
from networks import NETWORKS, Data, make
from peak_memory import memory_section
from precision import busy_section, tf32
from printing import machine, table, versions

import seqlift

MINUTES = 6
COMPARED = ("seqlift", "tangermeme", "captum", "seqlift path", "captum path")
TESTS = Path(__file__).resolve().parents[1] / "tests" / "test_gpu.py"
NO_CARD = "make gpu: PyTorch finds no CUDA GPU on this machine, so there is nothing to measure."


def tests_section(quick: bool) -> str:
    """The last line of pytest."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS), *(["-k", "log"] * quick)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=TESTS.parents[1])
    return f"## Tests\n\n`tests/test_gpu.py`: {done.stdout.strip().splitlines()[-1].strip('= ')}"


def speed_section(names: list[str], device: torch.device, plan: Plan) -> str:
    """Pairs and points a second of each library at its best batch size, and how many times as fast seqlift is."""
    rows = []
    for name in names:
        model, data = make(name).to(device), Data(NETWORKS[name][1], N_REFERENCES)
        timed: dict[str, Timed] = {}
        for contestants in (pair_contestants, path_contestants):
            timed |= take_turns([one for one in contestants(model, data, device) if one.name in COMPARED], plan)[0]
        for who, result in timed.items():
            ours = timed["seqlift path" if who.endswith("path") else "seqlift"]
            ratio = "" if result is ours else spread(ours.over(result))
            rows.append([name, who, str(result.batch), f"{median(result.rates):,.0f}", ratio])
    return (
        "## Speed of attribution\n\n"
        f"DeepLIFT: pairs of a sequence and one of its {N_REFERENCES} references; paths: points between a sequence and "
        "one reference. Ratios are medians over rounds, with the smallest and the largest.\n\n"
        + table(["network", "who", "batch", "pairs or points/s", "seqlift is faster by"], rows)
    )


def largest_memory(names: list[str], device: torch.device, n: int) -> str:
    """Memory on the card that DeepLIFT of each network takes, with the batch size that seqlift chooses."""
    rows = []
    for name in names:
        model, data = make(name).to(device), Data(NETWORKS[name][1], N_REFERENCES)
        x, references = data.first(n)
        torch.cuda.reset_peak_memory_stats(device)
        seqlift.deeplift(model, x, references)
        rows.append([name, f"{torch.cuda.max_memory_allocated(device) / 1e6:,.0f} MB"])
    return "## Memory of each network\n\n" + table(["network", "peak memory on the card"], rows)


def sections(names: list[str], device: torch.device, folder: Path, quick: bool) -> Iterator[Callable[[], str]]:
    """The parts of the page in order of importance."""
    seconds = 0.01 if quick else 0.3
    plan = Plan((20,) if quick else (320, 1280, 5120), seconds, 2 if quick else 3)
    input_size = argparse.Namespace(
        device=device.type, genome_size=1_000_000 if quick else 20_000_000, networks=names, seconds=20 * seconds
    )
    on_card = device.type == "cuda"
    yield lambda: tests_section(quick)
    yield lambda: speed_section(names, device, plan)
    if on_card:
        yield lambda: busy_section(names, device, seconds)
    yield lambda: step_section(folder, input_size)
    if on_card:
        yield lambda: largest_memory(names, device, 256)
    yield lambda: memory_section([10 if quick else 2000], device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--quick", action="store_true", help="the smallest network and sizes")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(NO_CARD, file=sys.stderr)
        return
    names = list(NETWORKS)[-1:] if arguments.quick else list(NETWORKS)
    began = time.monotonic()
    device = torch.device(arguments.device)
    warnings.simplefilter("ignore")  # captum's, at every call
    print(f"# On a GPU\n\n{machine(device)}. {versions('seqlift', 'tangermeme', 'captum')}. float32 with TF32.")
    with tempfile.TemporaryDirectory() as folder, tf32(True):
        for make_section in sections(names, device, Path(folder), arguments.quick):
            if time.monotonic() - began > 0.8 * 60 * MINUTES:
                print(f"\nThe rest was left out: {MINUTES} minutes are nearly over.")
                break
            print(f"\n{make_section()}", flush=True)
            note(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
