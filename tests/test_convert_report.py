"""A report of scores that were made elsewhere: what nobody knows of them is said, all else is there."""

import re

import pytest

from fixtures.report import build_run
from seqlift.cli import main
from seqlift.convert import Source, convert
from seqlift.scores.file import open_scores


def carry(path, folder):
    """A score file as another program would hand it back: by way of chrombpnet's format."""
    with open_scores(path) as scores:
        names = {name: str(scores.attributes[name]) for name in ("target", "method")}
    done = convert(Source("seqlift", path), "chrombpnet", folder / "carried.h5")
    convert(Source("chrombpnet", done.files[0], regions=done.files[1]), "seqlift", path, **names)


@pytest.mark.parametrize("which", ["one", "all"])
def test_scores_from_elsewhere_get_a_report(tmp_path, which):
    run, config = build_run(tmp_path, regions=160)
    files = [path for path in sorted((run / "scores").glob("*.h5")) if "mutagenesis" not in path.name]
    carried = files[:1] if which == "one" else files
    for path in carried:
        carry(path, tmp_path)
    page = run / "report.html"
    assert main(["report", "--run-dir", str(run), "--config", str(config), "--output", str(page)]) == 0
    text = page.read_text()
    assert text.count("these scores come from another program, so completeness could not be checked") == len(carried)
    assert ("The scores come from another program" in text) == (which == "all")
    assert "largest contributions (predictions are unknown)" in text
    assert not re.search(r">\s*nan\b|\bNaN\b", re.sub(r"(?s)<script.*?</script>", "", text))
