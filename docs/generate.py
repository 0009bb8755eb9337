"""Pages of the documentation site that are made whenever it is built (a hook of MkDocs, named in mkdocs.yml).

The references of config, commands and Python come from the schema, the parsers and the list of public calls, so they
cannot fall behind. Files of the repository outside docs/ that the pages link to (benchmarks, notebooks, the template)
become pages, too, and links to them are changed to these.
"""

import argparse
import html
import importlib
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

import seqlift
from seqlift.cli import STAGES
from seqlift.config.schema import TYPE_WORDS
from seqlift.core.settings import BOUNDS

ROOT = Path(__file__).parents[1]

MIRRORED = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "configs/README.md",
    "configs/template.yaml",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "notebooks/*.ipynb",
)
"""Files outside docs/ that become pages at the same place of the site."""


def on_files(files, config):
    """Add the pages that are made (called by MkDocs)."""
    from mkdocs.structure.files import File

    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
    pages = {
        "reference/config.md": config_page(schema),
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
    }
    for pattern in MIRRORED:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            pages[_page_name(name)] = mirrored_page(name, path.read_text())
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links of the pages in docs/ to files outside of it (called by MkDocs)."""
    return in_site(markdown, f"docs/{page.file.src_uri}") if page.file.generated_by is None else markdown


# ---- files of the repository -----------------------------------------------------------------------------------------


def mirrored_page(name: str, text: str) -> str:
    """A file of the repository as a page: Markdown, a notebook, or anything else as it is."""
    if name.endswith(".ipynb"):
        return in_site(notebook_page(json.loads(text)), name)
    if name.endswith(".md"):
        return in_site(text, name)
    return f"# {posixpath.basename(name)}\n\n{_fence(text, name.rpartition('.')[2])}"


def notebook_page(notebook: dict) -> str:
    """Texts, code, and what it printed or drew when the notebook was run."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else _fence(text, "python"))
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", [])})
            if "image/png" in data:
                image = "".join(data["image/png"]).replace("\n", "")
                parts.append(f"![What the cell above draws](data:image/png;base64,{image})")
            else:
                parts.append(_fence("".join(data["text/plain"]), "text"))
    return "\n\n".join(parts)


def in_site(markdown: str, source: str) -> str:
    """Markdown of the repository's file `source`, its links to files outside docs/ as they read in the site."""
    place = _page_name(source.removeprefix("docs/"))

    def moved(match: re.Match) -> str:
        link, anchor = match[1], match[2] or ""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if ":" in link or (source.startswith("docs/") and target.startswith("docs/")):
            return match[0]
        page = "index.md" if target == "README.md" else _page_name(target.removeprefix("docs/"))
        return f"]({posixpath.relpath(page, posixpath.dirname(place) or '.')}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", moved, markdown)


def _page_name(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.md" if suffix in ("ipynb", "yaml") else name


def _fence(text: str, language: str) -> str:
    return f"````{language}\n{text.rstrip()}\n````\n"


# ---- the config ------------------------------------------------------------------------------------------------------


def config_page(schema: dict) -> str:
    """Every key of the config with its type, default and description, from the schema."""
    parts = [
        "# Config",
        "Every key of the config, its type, default and meaning. [The template](../configs/template.md) has the "
        "keys as a file to copy, with advice; [From your files to a config](../your_data.md) begins with the data.",
        "A key without a default is optional or required. An unknown key is an error.",
    ]
    for key, node in schema["properties"].items():
        parts += [f"## {key} {{ #{key} }}", _facts(node, key in schema["required"]), plain(node["description"])]
        parts += _keys_below(node, key)
    return "\n\n".join(part for part in parts if part) + "\n"


def _keys_below(node: dict, path: str) -> Iterator[str]:
    """The keys of a section, single ones first, then the sections in it, then those of each kind of model."""
    if "x-key" in node:  # a section whose keys the user chooses: this word is shown for them
        yield from _keys_below(node["additionalProperties"], f"{path}.{node['x-key']}")
        return
    node = node.get("items", node)
    keys = node.get("properties", {})
    sections = {key: below for key, below in keys.items() if "properties" in below}
    for key, below in keys.items():
        if key not in sections:
            yield _entry(f"{path}.{key}", f"{path}.{key}", below, key in node.get("required", []))
    for key, below in sections.items():
        here = f"{path}.{key}"
        yield f"### {here} {{ #{here} }}"
        yield plain(below["description"])
        yield from _keys_below(below, here)
    for branch in node.get("allOf", []):
        kind = branch["then"]["title"]
        named = f"`type: {kind}`" if kind != "custom" else "your own class"
        yield f"### {path}, {named} {{ #{path}.{kind} }}"
        for key, below in branch["then"]["properties"].items():
            if below is not True and "description" in below:
                yield _entry(f"{path}.{key}", f"{path}.{kind}.{key}", below, False)


def _entry(path: str, anchor: str, node: dict, required: bool) -> str:
    return f"`{path}`{{ #{anchor} }} {_facts(node, required)}\n:   {plain(node['description'])}"


def _facts(node: dict, required: bool) -> str:
    """Type and default in one line; nothing for a section, whose keys have them."""
    if "properties" in node or "x-key" in node:
        return "*required*" if required else ""
    default = f", default `{json.dumps(node['default'])}`" if "default" in node else ", required" if required else ""
    return f"*{type_words(node)}*{default}"


def type_words(node: dict) -> str:
    """What a value may be, in the words of the error messages."""
    if "x-rule" in node:
        return plain(node["x-rule"])
    if "enum" in node:
        return "one of " + ", ".join(f"`{choice}`" for choice in node["enum"])
    words = TYPE_WORDS[node["type"]]
    if node["type"] == "array":
        words += f", each {type_words(node['items'])}"
    found = [f"{text} {node[key]}" for key, text in BOUNDS.items() if key in node]
    return ", ".join([words, *found])


def plain(text: str) -> str:
    """Text as Markdown that shows it as it is; text between backticks stays code."""
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(piece if piece.startswith("`") else _escaped(piece) for piece in pieces)


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_{}\[\]#])", r"\\\1", html.escape(text, quote=False))


# ---- the commands ----------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Every stage of `seqlift` with its flags, from the parsers."""
    parts = [
        "# Commands",
        "One command for each stage, in the order in which the workflow runs them. `seqlift STAGE --help` prints the "
        "same. The exit status is 0 when all is done, 1 for bad input, 2 for wrong usage and 130 after Ctrl-C.",
    ]
    for stage, description in STAGES.items():
        parser = argparse.ArgumentParser(prog=f"seqlift {stage}", description=description)
        importlib.import_module(f"seqlift.cli.{stage}").add_arguments(parser)
        parts += _parser_parts(parser, 2)
    return "\n\n".join(parts) + "\n"


def _parser_parts(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    # argparse has no public way to read a parser; these names have been the same since Python 2.7
    anchor = parser.prog.replace(" ", "-")
    yield f"{'#' * level} {parser.prog} {{ #{anchor} }}"
    yield plain(parser.description[:1].upper() + parser.description[1:])
    formatter = argparse.HelpFormatter(parser.prog)
    tasks = {}
    for group in parser._action_groups:
        entries = []
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                tasks = action.choices
            elif not isinstance(action, argparse._HelpAction):
                entries.append(_flag(action, formatter, anchor))
        if entries:
            named = group.title not in ("options", "positional arguments")
            yield from [f"**{plain(group.title)}**"] if named else []
            yield from entries
    for task in tasks.values():
        yield from _parser_parts(task, level + 1)


def _flag(action: argparse.Action, formatter: argparse.HelpFormatter, anchor: str) -> str:
    name = (action.option_strings or [action.dest])[0]
    help_text = formatter._expand_help(action) if action.help else ""
    facts = " required" if action.required else ""
    if isinstance(action.default, str | int | float) and action.default is not False and "default" not in help_text:
        facts = f" default `{action.default}`"
    flag = formatter._format_action_invocation(action)
    return f"`{flag}`{{ #{anchor}.{name.lstrip('-')} }}{facts}\n:   {plain(help_text)}"


# ---- Python ----------------------------------------------------------------------------------------------------------


def python_page() -> str:
    """The public calls, in the order of `seqlift.__all__`; mkdocstrings reads their docstrings."""
    parts = [
        "# Python",
        "`import seqlift` gives these calls. Axes are (N, 4, L): sequence, base in the order A C G T, position.",
    ]
    for name in seqlift.__all__:
        if name != "__version__":
            options = f'    options:\n      heading: "seqlift.{name}"\n      toc_label: "{name}"'
            parts.append(f"::: {getattr(seqlift, name).__module__}.{name}\n{options}")
    return "\n\n".join(parts) + "\n"
