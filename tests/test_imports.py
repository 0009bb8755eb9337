"""Imports run one way, in the order of the stages, so that each stage can be read without the later ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "seqlift"

# A module may import those above it. Those in one line do not import each other.
ORDER = [
    {"errors"},
    {"core"},
    {"data"},
    {"regions"},
    {"models"},
    {"training"},
    {"scores"},
    {"attribution"},
    {"tracks"},
    {"convert"},
    {"motifs"},
    {"aggregates"},
    {"evaluation"},
    {"faithfulness"},
    {"truth"},
    {"config"},
    {"report"},
    {"browse"},
    {"cli"},
    {"__main__"},
]
RANK = {module: rank for rank, modules in enumerate(ORDER) for module in modules}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imported(path: Path) -> set[str]:
    """Top-level modules of seqlift that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the import out, from seqlift.module"
            names |= {f"{node.module}.{alias.name}" if node.module == "seqlift" else str(node.module)
                      for alias in node.names}  # fmt: skip
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    inside = {name.split(".")[1] for name in names if name.startswith("seqlift.")}
    return {name for name in inside if name in RANK or (SOURCE / f"{name}.py").exists() or (SOURCE / name).is_dir()}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert own in RANK, f"{own} has no place in the order of the stages yet"
    for other in imported(path) - {own}:
        assert other in RANK and RANK[other] < RANK[own], f"{path.name} imports {other}, a later stage"


def test_every_command_has_its_module():
    from seqlift.cli import STAGES

    assert {path.stem for path in (SOURCE / "cli").glob("*.py")} - {"__init__", "shared"} == set(STAGES)


def test_commands_stay_short():
    """A command parses and delegates; what it does lies in functions that can be called without it."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in (SOURCE / "cli").glob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > 120} == {}


@pytest.mark.parametrize(
    ("code", "unneeded"),
    [
        ("import seqlift.cli", ["numpy", "torch", "pandas", "matplotlib"]),
        ("import seqlift.motifs.discovery, seqlift.motifs.compendium.tables", ["torch", "matplotlib", "scipy.stats"]),
        ("import seqlift.report", ["torch", "scipy.cluster", "scipy.stats"]),
        (
            "import torch, seqlift\nseqlift.deeplift(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(40, 1)),"
            " torch.eye(4).repeat(1, 1, 3)[:, :, :10])",
            ["torch._dynamo", "matplotlib", "scipy.stats"],
        ),
    ],
    ids=["commands", "motifs", "report", "explaining"],
)
def test_what_takes_seconds_to_import_is_imported_where_it_is_needed(code, unneeded):
    """Of a workflow of small jobs, starting them is most of the time."""
    check = f"{code}\nimport sys\nprint(*({{*{unneeded}}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
