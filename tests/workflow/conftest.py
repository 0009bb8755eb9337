"""The workflow in a folder with spaces in its path: fresh, or with the small run done."""

import os
import pickle
import shutil

import filelock
import pytest

from fixtures.user import SMALL, Checkout, Run, new_checkout


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    """A fresh copy, with the small config written."""
    fresh = new_checkout(tmp_path / "a path with spaces")
    fresh.write(SMALL)
    return fresh


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory) -> tuple[Checkout, Run]:
    """The small run, done once for all tests; processes of pytest-xdist share it, and wait for the one that does it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "finished"
    with filelock.FileLock(f"{folder}.lock"):
        record = folder / "run.pickle"
        if not record.exists():
            folder.mkdir()
            fresh = new_checkout(folder / "a path with spaces")
            fresh.write(SMALL)
            record.write_bytes(pickle.dumps((fresh, fresh.snakemake("--cores", "2"))))
        return pickle.loads(record.read_bytes())


@pytest.fixture
def finished(finished_once, tmp_path) -> Checkout:
    """A copy of the finished run, with the times of its files, to do with as a test likes."""
    copied = tmp_path / "a path with spaces"
    shutil.copytree(finished_once[0].folder, copied)
    return Checkout(copied)
