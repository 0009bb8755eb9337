"""Running snakemake as a user does: a copy of the workflow, a small config, what was seen on the screen."""

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]

# Everything small: 400 sequences, four short epochs, one target
SMALL = {
    "name": "small",
    "data_dir": "my data",
    "simulate": {"sequences": 400},
    "genome": {"fasta": "genome.fa"},
    "targets": [{"name": "TAL1", "peaks": "TAL1.bed"}],
    "regions": {"valid": ["sim8", "sim9"], "test": ["sim10"]},
    "model": {"type": "basset", "filters": [8], "kernels": [15], "pools": [10], "dense": [8]},
    "training": {"epochs": 4, "batch_size": 16, "learning_rate": 0.01},
    "attribution": {
        "max_regions": 100,
        "deeplift": {"n_references": 4},
        "interior_gradients": {"steps": 8, "tolerance": 2.0},
        "mutagenesis": {"max_regions": 6},
    },
    "motifs": {"max_seqlets": 200},
    "report": {"examples": 1},
}


def changed(config: dict, **changes) -> dict:
    """Copy of `config` with sections merged and other keys replaced."""
    new = copy.deepcopy(config)
    for key, value in changes.items():
        new[key] = {**new.get(key, {}), **value} if isinstance(value, dict) else value
    return new


@dataclass(frozen=True)
class Run:
    """What a user saw."""

    status: int
    screen: str

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs by rule, from Snakemake's table; empty where nothing is to be done."""
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal ", self.screen, flags=re.DOTALL)
        rows = [line.split() for line in table[1].splitlines()] if table else []
        return {rule: int(count) for rule, count in rows if rule != "all"}


@dataclass(frozen=True)
class Checkout:
    """A copy of the workflow in `folder`, where snakemake is run."""

    folder: Path

    def write(self, config: dict, name: str = "my config.yaml") -> None:
        (self.folder / name).write_text(yaml.safe_dump(config, sort_keys=False))

    def command(self, *flags: str, config: str | None = "my config.yaml") -> list[str]:
        given = ["--configfile", config] if config else []
        # By its path: nothing is activated
        return [str(Path(sys.executable).parent / "snakemake"), *given, *flags]

    def snakemake(self, *flags: str, config: str | None = "my config.yaml") -> Run:
        done = subprocess.run(
            self.command(*flags, config=config),
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        return Run(done.returncode, done.stdout)

    def start(self, *flags: str) -> subprocess.Popen:
        """Start snakemake in the background, in a process group of its own, as a shell does."""
        return subprocess.Popen(
            self.command(*flags),
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def files(self) -> dict[str, int]:
        """All files but Snakemake's own, with the time of their last change in ns."""
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        relative = {path.relative_to(self.folder).as_posix(): path.stat().st_mtime_ns for path in paths}
        return {name: time for name, time in relative.items() if not name.startswith(".snakemake/")}


def environment() -> dict[str, str]:
    """The user's environment: no folder of the virtual environment in PATH, no profile of their own."""
    own = str(Path(sys.executable).parent)
    path = os.pathsep.join(part for part in os.get_exec_path() if part != own)
    hidden = ("SNAKEMAKE_PROFILE", "VIRTUAL_ENV")
    return {**{key: value for key, value in os.environ.items() if key not in hidden}, "PATH": path}


def press_ctrl_c(process: subprocess.Popen) -> str:
    """What a terminal does at Ctrl-C: SIGINT to the whole group; returns what was printed until the end."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=120)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def new_checkout(folder: Path) -> Checkout:
    for name in ("workflow", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".snakemake"))
    shutil.copy(ROOT / "environment.yml", folder)
    return Checkout(folder)
