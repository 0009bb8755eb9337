"""What is installed by pip has the workflow inside and runs it, without a checkout."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGS = {"demo.yaml", "template.yaml", "yeast.yaml"}


def call(*command: str | Path, folder: Path) -> subprocess.CompletedProcess:
    # Without the PYTHONPATH that may lead to the checkout
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with the wheel and the sdist, built by the backend that pyproject.toml names, without network."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "--directory", folder, folder=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A Python of its own into which the wheel is installed; what it needs is that of the Python that tests."""
    folder = tmp_path_factory.mktemp("a clean venv") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    python = folder / "bin" / "python"
    flags = ("--disable-pip-version-check", "--no-deps", "--no-index")
    call(sys.executable, "-m", "pip", "--python", python, "install", *flags, wheel, folder=folder.parent)
    site = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder.parent)
    # A line of a .pth is a folder to look into after the venv's own; the editable seqlift in it is not seen
    needed = {sysconfig.get_path(kind) + "\n" for kind in ("purelib", "platlib")}
    Path(site.stdout.strip(), "needed.pth").write_text("".join(needed))
    return python


def files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    made = ("__pycache__/", ".snakemake/")
    return {name: path.read_bytes() for name, path in found.items() if not any(part in f"/{name}" for part in made)}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_package_workflow_and_configs(wheel):
    expected = files(ROOT / "src" / "seqlift")
    expected |= {f"workflow/{name}": text for name, text in files(ROOT / "workflow").items()}
    expected |= {f"configs/{name}": (ROOT / "configs" / name).read_bytes() for name in CONFIGS}
    expected["environment.yml"] = (ROOT / "environment.yml").read_bytes()
    assert "py.typed" in expected  # so that type checkers read our type hints
    found = contents(wheel)
    metadata = {name for name in found if re.match(r"seqlift-[^/]+\.dist-info/", name)}
    assert {name.removeprefix("seqlift/"): text for name, text in found.items() if name not in metadata} == expected
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


def test_files_that_the_rules_name_are_in_the_wheel(wheel):
    found = contents(wheel)
    named = set()
    for name, text in found.items():
        if name.endswith(".smk"):
            # Captions and environments, relative to the file
            relative = re.findall(r'"(\.\.?/[^"]+\.(?:rst|ya?ml))"', text.decode())
            named |= {os.path.normpath(os.path.join(os.path.dirname(name), path)) for path in relative}
    assert "seqlift/environment.yml" in named and any(name.endswith(".rst") for name in named)
    assert named <= set(found)


def test_the_sdist_makes_the_same_wheel(built, wheel, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert {"README.md", "CHANGELOG.md", "CITATION.cff", "constraints.txt", "tests", "docs"} <= set(os.listdir(source))
    assert (source / "src" / "seqlift" / "py.typed").is_file()
    call(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path, folder=source)
    assert contents(tmp_path / wheel.name) == contents(wheel)


def test_the_installed_workflow_runs_in_an_empty_folder(installed, tmp_path):
    """The demo, as planned by Snakemake: its Snakefile, config and profile are those of the installation."""
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    seqlift = installed.with_name("seqlift")
    package = call(installed, "-c", "import seqlift; print(seqlift.__path__[0])", folder=folder).stdout.strip()
    assert Path(package).is_relative_to(installed.parents[1])
    done = call(seqlift, "run", "--dry-run", folder=folder)
    assert f"specific profile {package}/workflow/profiles/default" in done.stderr
    assert "results/demo/200bp/report.html" in done.stdout + done.stderr
    for name in ("workflow", "configs", "src"):
        assert str(ROOT / name) not in done.stdout + done.stderr
    template = call(seqlift, "template", folder=folder).stdout
    assert template == (ROOT / "configs" / "template.yaml").read_text()
