"""A fresh clone of the repository: a dry-run works without an edit, a network or a GPU."""

import os
import subprocess

import pytest

from fixtures.user import ROOT, Checkout, Run, environment


def git(*arguments: str, folder=ROOT) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Checkout:
    """What `git clone` gives of the last commit."""
    try:
        git("rev-parse", "HEAD")
    except (AssertionError, OSError) as error:
        pytest.skip(f"a clone needs git and a checkout with its history: {error}")
    folder = tmp_path_factory.mktemp("clone") / "a path with spaces"
    git("clone", "--quiet", str(ROOT), str(folder))
    return Checkout(folder)


@pytest.fixture
def alone(tmp_path) -> tuple[list[str], dict[str, str]]:
    """What comes before a command, and the environment, of a user without network, GPU, caches or settings."""
    home = tmp_path / "new home"
    home.mkdir()
    nowhere = "http://127.0.0.1:9"  # the port that nobody listens on
    proxies = {f"{kind}_proxy": nowhere for kind in ("http", "https", "all")}
    hidden = {key: "" for key in ("CUDA_VISIBLE_DEVICES", "no_proxy", "NO_PROXY")}
    kept = {key: value for key, value in environment().items() if not key.startswith("XDG_")}
    without_network = ["unshare", "--map-root-user", "--net"]  # not even an address of its own
    try:
        subprocess.run([*without_network, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):  # not on this machine, or not for this user
        without_network = []
    upper = {key.upper(): value for key, value in proxies.items()}
    return without_network, {**kept, **proxies, **upper, **hidden, "HOME": str(home)}


@pytest.mark.parametrize(
    ("config", "data"), [(None, "simulate_data"), ("configs/yeast.yaml", "download_file")], ids=["demo", "yeast"]
)
def test_a_dry_run_works_without_edits_network_or_gpu(clone, alone, config, data):
    first, variables = alone
    command = [*first, *clone.command("-n", config=config)]
    seen = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=clone.folder, env=variables, timeout=600, check=False, **seen)
    assert done.returncode == 0, done.stdout
    jobs = Run(done.returncode, done.stdout).jobs
    assert jobs["train_model"] == jobs["write_report"] == 1 and jobs[data] >= 1
    assert git("status", "--porcelain", folder=clone.folder) == ""
    assert not os.path.exists(clone.folder / "results")
