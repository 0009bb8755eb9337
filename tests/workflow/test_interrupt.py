"""Killed at any stage, also in the middle of a write: the next run goes on, and ends with the files of a calm one."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fixtures.user import Checkout, environment, press_ctrl_c
from fixtures.watching import Watch

RUN = "results/small/200bp"

# When a run is killed: what the kernel tells of a file. A hidden name is one that is being written; of those, the
# first that happens counts. A log appears when its job begins.
MOMENTS = {
    "data": "modified my data/.genome.fa.",
    "targets": "modified results/small/targets.tsv.part",
    "regions": f"modified {RUN}/.regions.tsv.gz.",
    "first epoch": f"renamed to {RUN}/model/.resume.ckpt",
    "model": f"modified {RUN}/model/.model.ckpt.",
    "scores": f"modified {RUN}/scores/.TAL1.deeplift.h5.",
    "track": f"modified {RUN}/tracks/.TAL1.deeplift.bw.",
    "motifs": f"renamed to {RUN}/motifs/deeplift/TAL1/modisco.h5",
    "logos": f"modified {RUN}/motifs/interior_gradients/TAL1/logos/.",
    "hits": f"modified {RUN}/motifs/deeplift/TAL1/.hits.bed.gz.",
    "faithfulness": f"created {RUN}/logs/judge_explanations.log",
    "compendium": f"renamed to {RUN}/motifs/compendium/compendium.tsv",
    "grammar": f"modified {RUN}/motifs/compendium/.grammar.svg.",
    "report": f"modified {RUN}/.report.html.",
}


KEEPS = ".kept"


def results(checkout: Checkout) -> dict[str, Path]:
    """Data and results, without logs and the times of jobs."""
    names = [name for name in checkout.files() if name.startswith(("results/", "my data/"))]
    return {name: checkout.folder / name for name in names if not {"logs", "benchmarks", KEEPS} & set(Path(name).parts)}


def content(path: Path) -> bytes | list[str] | None:
    """What must be the same in every run: all but the times in it. None where that is everything."""
    if path.name == "provenance.json":
        return None
    if path.name == "report.html":
        text = path.read_text()
        assert text.rstrip().endswith("</html>")
        return re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    if path.name == "history.tsv":
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        times = rows[0].index("seconds")
        return ["\t".join(row[:times] + row[times + 1 :]) for row in rows]
    return path.read_bytes()


def differing(checkout: Checkout, calm: Checkout) -> list[str]:
    """Files that the calm run has under the same name with other content."""
    expected = results(calm)
    found = {name: path for name, path in results(checkout).items() if name in expected}
    return [name for name, path in found.items() if content(path) != content(expected[name])]


class Victim:
    """Snakemake running in a process group of its own, its screen in a file."""

    def __init__(self, checkout: Checkout):
        self.screen_file = checkout.folder.parent / "screen.txt"
        with self.screen_file.open("w") as screen:
            self.process = subprocess.Popen(
                checkout.command("--cores", "2"),
                cwd=checkout.folder,
                env=environment(),
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def screen(self) -> str:
        return self.screen_file.read_text()

    def interrupt(self) -> None:
        """Ctrl-C."""
        press_ctrl_c(self.process)
        assert self.process.returncode != 0 or "100%" in self.screen

    def kill_all(self) -> None:
        """Snakemake and its jobs, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and _members(self.process.pid):
            time.sleep(0.01)

    def kill_jobs(self) -> None:
        """What Snakemake has started, but not itself, as the system does when memory is short."""
        for job in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                if job.name() == "seqlift":
                    job.kill()
        assert self.process.wait(timeout=600) == 0 or "Error in rule" in self.screen


def _members(group: int) -> list[int]:
    """Processes of a group that still run."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="watches files by Linux's inotify")
def test_killed_again_and_again_it_ends_with_the_files_of_a_calm_run(checkout, finished_once):
    calm, run = finished_once
    assert run.status == 0, run.screen
    folders = {path.parent.relative_to(calm.folder) for path in map(calm.folder.__truediv__, calm.files())}
    folders = {folder for folder in folders if {"results", "my data"} & set(folder.parts)}
    for folder in folders:  # all are made now, and never empty, as Snakemake deletes those: so none is made unwatched
        (checkout.folder / folder).mkdir(parents=True, exist_ok=True)
        (checkout.folder / folder / KEEPS).touch()
    pending, not_whole, half_written = dict(MOMENTS), set(), 0
    final = results(calm).keys()
    kinds = itertools.cycle(["kill_all", "interrupt", "kill_jobs"])
    asked_to_unlock = False

    def seen(happened: list[tuple[str, str]]) -> str | None:
        """The first moment that has come; what is written under a final name is noted."""
        first = None
        for kind, path in happened:
            if kind != "renamed to" and path in final:
                not_whole.add(path)
            for moment in [m for m, start in pending.items() if f"{kind} {path}".startswith(start)]:
                del pending[moment]
                first = first or moment
        return first

    with Watch(checkout.folder, [checkout.folder / folder for folder in folders]) as watch:
        while True:
            seen(watch.events())  # what happened while all was being stopped
            victim = Victim(checkout)
            moment = None
            while moment is None and victim.process.poll() is None:
                moment = seen(watch.events(0.2))
            if moment is None:
                if victim.process.returncode == 0:
                    break
                assert "--unlock" in victim.screen, victim.screen  # Snakemake says what to do
                asked_to_unlock = True
                assert checkout.snakemake("--unlock").status == 0
                continue
            kind = next(kinds)
            getattr(victim, kind)()
            half_written += any(re.search(r"/\.[^/]+\.[0-9a-f]{8}-\d+\.", name) for name in results(checkout))
            assert differing(checkout, calm) == [], f"{kind} at {moment}"
            if asked_to_unlock and any(checkout.folder.glob(".snakemake/locks/*")):  # a user who knows it
                assert checkout.snakemake("--unlock").status == 0
    assert not pending
    assert not_whole == set()
    assert half_written  # else nothing was killed in the middle of a write
    assert differing(checkout, calm) == []
    assert results(checkout).keys() == final
