"""Files that are there whole or not at all, whenever the process that writes them is killed; nothing piles up."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqlift.core.files import replacing

# Writes half of a file that is to replace another one, says so, and waits
WRITER = """
import sys, time
from seqlift.cli import main
from seqlift.core.files import replacing

def run(arguments):
    with replacing(sys.argv[1]) as temporary, open(temporary, "w") as file:
        file.write("half")
        file.flush()
        print("writing", flush=True)
        time.sleep(600)

import seqlift.cli.template as stage  # any stage: the command handles signals, not the stage
stage.run = run
sys.exit(main(["template"]))
"""


def start_writing(path: Path) -> subprocess.Popen:
    """A command in the middle of writing `path`."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "writing\n"
    return writer


@pytest.mark.parametrize(
    ("number", "status", "left"), [(signal.SIGKILL, -9, 1), (signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0)]
)
def test_a_writer_that_is_stopped_leaves_the_older_file_and_no_litter(tmp_path, number, status, left):
    path = tmp_path / "scores.h5"
    path.write_text("older")
    writer = start_writing(path)
    writer.send_signal(number)
    writer.communicate(timeout=60)
    assert writer.returncode == status
    assert path.read_text() == "older"
    (*litter,) = tmp_path.glob(".*")
    assert len(litter) == left  # of SIGKILL nobody can know
    with replacing(path) as temporary:
        temporary.write_text("newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_what_another_process_writes_is_left_alone(tmp_path):
    path, other = tmp_path / "scores.h5", tmp_path / "scores.h5.json"
    writers = [start_writing(path), start_writing(other)]
    try:
        with replacing(path) as temporary:
            temporary.write_text("newer")
        assert len(list(tmp_path.glob(".scores.h5.*"))) == 2
        writers[1].kill()
        writers[1].communicate(timeout=60)
        with replacing(path) as temporary:  # only what was to become this very file is its business
            temporary.write_text("newest")
        assert len(list(tmp_path.glob(".scores.h5.json.*"))) == 1
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate(timeout=60)


def test_what_a_process_of_another_machine_left_goes_after_an_hour(tmp_path):
    path = tmp_path / "scores.h5"
    with replacing(path) as temporary:
        here = re.fullmatch(r"\.scores\.h5\.([0-9a-f]{8})-(\d+)\.\w+\.h5", temporary.name)
    assert int(here[2]) == os.getpid()
    elsewhere = f"{int(here[1], 16) ^ 1:08x}"
    fresh, old = (tmp_path / f".scores.h5.{elsewhere}-{process}.abcd.h5" for process in (1, 2))
    fresh.touch()
    old.touch()
    os.utime(old, (time.time() - 3700,) * 2)
    with replacing(path):
        assert fresh.exists() and not old.exists()


def test_an_error_leaves_the_older_file_and_no_litter(tmp_path):
    path = tmp_path / "new folder" / "table.tsv"
    with replacing(path) as temporary:
        assert temporary.name.endswith(".tsv")
        temporary.write_text("older")
    with pytest.raises(ValueError, match="in the middle"), replacing(path) as temporary:
        temporary.write_text("hal")
        raise ValueError("in the middle")
    assert [file.read_text() for file in path.parent.iterdir()] == ["older"]
