"""Settings and data that all tests share."""

import os
import signal
import threading
from pathlib import Path

import pytest

from fixtures.download_server import Server

# Before numpy or torch are imported: threads that wait busily slow down small networks on shared cores
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

# What a script starts in the background ignores Ctrl-C, and so would all that tests start and stop by it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real data, `yeast/` and `human/`."""
    folder = os.environ.get("SEQLIFT_TEST_DATA")
    if not folder:
        pytest.skip("real data: set SEQLIFT_TEST_DATA to the folder that holds yeast/ and human/")
    return Path(folder).resolve(strict=True)


@pytest.fixture(scope="session")
def yeast(real_data) -> Path:
    """Folder of the real yeast data (sacCer3.fa.gz, Reb1.narrowPeak, Abf1.narrowPeak and others)."""
    return real_data / "yeast"


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine that fails now and then; the machine's proxy is not used."""
    monkeypatch.setenv("no_proxy", "*")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.ended.set()
    running.shutdown()
    thread.join()
    running.server_close()


# Whole workflows, browsers, other programs, real schedulers and servers take minutes: `make test-all` adds these files,
# and the tests marked `slow` of all files but test_workflow.py
EXTENDED = {
    "test_benchmarks.py",
    "test_browse_igv.py",
    "test_ddp.py",
    "test_fresh_clone.py",
    "test_convert_programs.py",
    "test_notebooks.py",
    "test_packaging.py",
    "test_report_browser.py",
    "test_slurm.py",
    "test_storage.py",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what only `make test-all` runs, and put files with tests of whole workflows first.

    The first of these makes the small run. Those that do not need it follow, so that few processes wait for it.
    """
    slow = dict.fromkeys(item.path for item in items if item.get_closest_marker("slow"))
    needing = {item.path for item in items if "finished_once" in getattr(item, "fixturenames", ())}
    first = next((path for path in slow if path in needing), None)

    def rank(item: pytest.Item) -> int:
        if item.path not in slow:
            return 3
        return 0 if item.path == first else 1 + (item.path in needing)

    items.sort(key=rank)
    for item in items:
        name = item.path.name
        if name in EXTENDED or (item.get_closest_marker("slow") and name != "test_workflow.py"):
            item.add_marker("extended")
