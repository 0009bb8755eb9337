"""The notebooks run from top to bottom, in an empty folder, and show what their text says."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).parents[1] / "notebooks"
SHOWN = {
    "own_model_to_logos": ["MA0035.3", "completeness delta", "120,000 bases of 600 regions"],
    "reuse_tracks": ["40000", "of the best sites hold GATA or TATC", "AUROC 0.9"],
}
LARGEST = 200_000  # bytes, with pictures


def shown(book) -> str:
    """Everything that the cells print and return, as text."""
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(
        str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", "")) for output in outputs
    )


def test_every_notebook_is_run_here():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_committed_notebooks_are_executed_small_and_free_of_paths(name):
    path = FOLDER / f"{name}.ipynb"
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert path.stat().st_size < LARGEST
    assert "/tmp" not in path.read_text() and "image/png" in path.read_text()
    for text in SHOWN[name]:
        assert text in shown(book)


@pytest.mark.parametrize("name", SHOWN)
def test_notebooks_run(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where their data go
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    for cell in book.cells:
        cell.pop("outputs", None) if cell.cell_type != "code" else cell.update(outputs=[], execution_count=None)
    settings = {"timeout": 300, "kernel_name": "python3", "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(book, **settings).execute()
    for text in SHOWN[name]:
        assert text in shown(book)
