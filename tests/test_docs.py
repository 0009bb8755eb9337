"""The documentation site: its references say what schema, parsers and package say, and it builds without a warning."""

import html
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import seqlift
from seqlift.cli import STAGES, main
from seqlift.config import resolve_config
from seqlift.regions.settings import RegionSettings
from test_config import SCHEMA, schema_keys

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as `make docs` builds it."""
    pytest.importorskip("mkdocs", reason="the site needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_config_reference_has_every_key_of_schema_and_template_with_its_default():
    """That the template has the keys of the schema, test_config.py says."""
    page = generate.config_page(SCHEMA)
    single = re.findall(r"^`(\S+)`\{ #\S+ \} (.*)$", page, flags=re.MULTILINE)
    sections = [
        (key, facts) for key, facts in re.findall(r"^##+ ([\w.]+) \{ #\S+ \}\n\n(.*)$", page, flags=re.MULTILINE)
    ]
    expected = schema_keys()
    assert {key for key, _ in [*single, *sections]} == {key for key, _ in expected}
    found = {(key, default) for key, facts in [*single, *sections] for default in re.findall(r"default `(.*)`$", facts)}
    assert found == {(key, json.dumps(default)) for key, default in expected if default not in (..., {})} | {
        (key, "{}") for key, default in expected if default == {} and key in dict(single)
    }


def test_config_reference_says_type_and_description():
    page = generate.config_page(SCHEMA)
    assert (
        "`regions.top_fraction`{ #regions.top_fraction } *a number, greater than 0, at most 1*, default `1.0`\n:   "
        in page
    )
    assert RegionSettings.__dataclass_fields__["top_fraction"].metadata["help"] in page
    assert "`targets.name`{ #targets.name } *made of letters, digits and . \\_ + - only" in page
    assert "`model.kernel`{ #model.paper.kernel } *a whole number, at least 1*, default `11`" in page


@pytest.mark.parametrize("stage", STAGES)
def test_commands_have_every_flag_that_help_prints(stage, capsys):
    page = generate.commands_page()
    section = re.search(rf"^## seqlift {stage} .*?(?=^## |\Z)", page, flags=re.DOTALL | re.MULTILINE)[0]
    with pytest.raises(SystemExit):
        main([stage, "--help"])
    printed = capsys.readouterr().out
    tasks = re.findall(r"^    (\w+)\b", printed, flags=re.MULTILINE) if "TASK" in printed else []
    for task in tasks:
        with pytest.raises(SystemExit):
            main([stage, task, "--help"])
        printed += capsys.readouterr().out
    shown = [
        flag for line in re.findall(r"^  (-.*?)(?:  |$)", printed, flags=re.MULTILINE) for flag in line.split(", ")
    ]
    flags = {flag.split()[0] for flag in shown} - {"-h", "--help"}
    in_page = {flag for line in re.findall(r"^`(-.*?)`\{", section, flags=re.MULTILINE) for flag in line.split(", ")}
    assert {flag.split()[0] for flag in in_page} == flags


def test_text_is_shown_as_it_is():
    markdown = pytest.importorskip("markdown")
    text = "results/<name>/ **no** _no_ [no](no) {#no} `a<b` 2**i & \\ *"
    shown = markdown.markdown(generate.plain(text), extensions=["attr_list"])
    assert html.unescape(re.sub("</?(p|code)>", "", shown)) == text.replace("`", "")


@pytest.mark.parametrize(
    ("source", "link", "expected"),
    [
        ("docs/hits.md", "motifs.md#names", "motifs.md#names"),
        ("docs/hits.md", "../benchmarks/results/hits.md", "benchmarks/results/hits.md"),
        ("docs/your_data.md", "../configs/template.yaml", "configs/template.md"),
        ("docs/convert.md", "../notebooks/reuse_tracks.ipynb", "notebooks/reuse_tracks.md"),
        ("configs/README.md", "../docs/your_data.md", "../your_data.md"),
        ("CHANGELOG.md", "docs/tracks.md#x", "tracks.md#x"),
        ("CHANGELOG.md", "README.md", "index.md"),
        ("docs/tracks.md", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_to_other_files_lead_to_their_pages(source, link, expected):
    assert generate.in_site(f"see [this]({link}).", source) == f"see [this]({expected})."


def test_a_notebook_is_shown_with_what_it_printed_and_drew():
    cells = [
        {"cell_type": "markdown", "source": ["# A title\n", "text"]},
        {
            "cell_type": "code",
            "source": ["print(1)"],
            "outputs": [{"text": ["1\n"]}, {"data": {"image/png": "QUJD\n", "text/plain": ["<Figure>"]}}],
        },
    ]
    page = generate.notebook_page({"cells": cells})
    assert page.startswith("# A title\ntext\n\n````python\nprint(1)\n````\n")
    assert "````text\n1\n````" in page and "(data:image/png;base64,QUJD)" in page and "Figure" not in page


def test_the_site_builds_without_a_warning_and_has_all_its_pages(site):
    for page in ("index", "reference/config", "reference/commands", "reference/python", "tutorial/first_run"):
        assert (site / f"{page}.html").is_file(), page
    text = (site / "reference" / "python.html").read_text()
    for name in seqlift.__all__:
        assert f"seqlift.{name}" in text or name == "__version__", name
    assert not list(site.rglob("*.py"))


def test_no_list_or_table_of_a_page_is_shown_as_text(site):
    """GitHub takes a list that follows a line of text for one; this site wants an empty line between them."""
    for path in site.rglob("*.html"):
        for paragraph in re.findall(r"<p>(.*?)</p>", path.read_text(), flags=re.DOTALL):
            assert not re.search(r"\n(- |\d+\. |\|)", paragraph), f"{path.relative_to(site)}: {paragraph[:200]}"


def test_a_page_that_links_to_nothing_breaks_the_build(tmp_path):
    pytest.importorskip("mkdocs", reason="the site needs the extra docs")
    for name in ("docs", "configs", "benchmarks", "notebooks", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".snakemake"))
    for name in ("mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    with (tmp_path / "docs" / "index.md").open("a") as page:
        page.write("\n[nothing](nothing.md)\n")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0 and "'nothing.md'" in done.stderr


def test_the_configs_of_the_tutorial_are_right(tmp_path):
    page = (ROOT / "docs" / "tutorial" / "own_data.md").read_text()
    first, *changes = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)]
    folder = tmp_path / first["data_dir"]
    folder.mkdir(parents=True)
    (folder / first["genome"]["fasta"]).touch()
    (folder / first["targets"][0]["peaks"]).touch()
    for config in [first, *({**first, **change} for change in changes)]:
        resolve_config(config, SCHEMA, directory=tmp_path)


def test_what_the_catalog_of_workflows_asks_for():
    """https://snakemake.github.io/snakemake-workflow-catalog reads these three, by these names."""
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert (ROOT / "workflow" / "Snakefile").is_file() and (ROOT / "config" / "README.md").is_file()
    assert list((ROOT / "workflow" / "rules").glob("*.smk"))
