"""Writes the JSON schema of the config, and the settings part of its template: `python -m seqlift.config.generate`.

Both are made from the settings classes (`seqlift.config.settings`). Run it after changing a setting; a test compares.
"""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from seqlift.config.settings import Config, config_schema
from seqlift.core.packaged import workflow_root
from seqlift.core.settings import Settings, default_of, has_default, is_section
from seqlift.models.architecture import kinds
from seqlift.models.settings import ModelSettings
from seqlift.regions.settings import RegionSection

SETTINGS_MARK = "# ---- Settings "
"""Begins the line of the template after which everything is made from the settings."""


def template_settings() -> str:
    """The settings part of `configs/template.yaml`: every key with its default, description and advice."""
    lines: list[str] = []
    lines += _keys(RegionSection, 1, leave_out=("valid", "test", "folds"))  # those are above the mark
    for field in fields(Config):
        if field.name in ("name", "data_dir", "genome", "downloads", "simulate", "targets", "regions"):
            continue
        lines.append("")
        if not is_section(Config, field):
            lines += _key(Config, field, 0)
            continue
        lines += [*_comment(field.metadata["help"], 0), f"{field.name}:"]
        cls = get_type_hints(Config)[field.name]
        if cls is not ModelSettings:
            lines += _keys(cls, 1)
            continue
        default = ModelSettings.type
        lines += [*_keys(ModelSettings, 1), *_keys(kinds()[str(default)].settings, 1)]
        for name, kind in kinds().items():
            if name != default:
                lines += [
                    *_comment(f"Or {name}. {(kind.settings.__doc__ or '').strip()}", 0),
                    "#model:",
                    f"#  type: {name}",
                ]
                lines += [f"#{line}" if line.strip()[:1] != "#" else line[2:] for line in _keys(kind.settings, 1)]
        lines += _comment(
            "Or your own torch.nn.Module by its import path, looked for in the folder where you run snakemake first "
            "(docs/your_data.md has an example). The workflow runs this code: use only code that you trust, and do "
            "not open a "
            "model.ckpt of others that names one.", 0,
        )  # fmt: skip
        lines += ["#model:", "#  type: my_models:MyNetwork"]
        lines += _comment(
            "Keyword arguments of the class, besides length, n_targets and others that every class gets.", 0
        )
        lines.append("#  arguments: {}")
    return "\n".join(lines) + "\n"


def _keys(cls: type[Settings], depth: int, leave_out: tuple[str, ...] = ()) -> Iterator[str]:
    for field in fields(cls):
        if field.name in leave_out:
            continue
        if is_section(cls, field):
            yield from [*_comment(field.metadata["help"], depth), f"{'  ' * depth}{field.name}:"]
            yield from _keys(get_type_hints(cls)[field.name], depth + 1)
        else:
            yield from _key(cls, field, depth)


def _key(cls: type[Settings], field: Field, depth: int) -> Iterator[str]:
    yield from _comment(" ".join(filter(None, (field.metadata["help"], field.metadata["advice"]))), depth)
    value = default_of(field) if has_default(field) else None
    absent = field.metadata["optional"] and not value
    shown = "genes.gff3.gz" if field.name == "genes" else "my_negatives.bed" if absent else _yaml(value)
    yield f"{'  ' * depth}{'#' if absent else ''}{field.name}: {shown}"


def _comment(text: str, depth: int) -> list[str]:
    indent = "  " * depth
    return textwrap.wrap(
        text, 120, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
    )


def _yaml(value: Any) -> str:
    """A default as YAML."""
    if isinstance(value, str):
        return f'"{value}"' if value.isdigit() else value
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return json.dumps(value)


def schema_text() -> str:
    """The schema as YAML."""
    head = "# Made from the settings classes by `python -m seqlift.config.generate`; change them, not this file.\n"
    return head + yaml.safe_dump(config_schema(), sort_keys=False, allow_unicode=True, width=120)


def template_text(template: str) -> str:
    """The template with its settings part made again."""
    start = template.index("\n", template.index(SETTINGS_MARK)) + 1
    return template[:start] + "\n" + template_settings()


def main() -> None:
    """Write both files into the checkout."""
    root = workflow_root()
    (root / "workflow" / "schemas" / "config.schema.yaml").write_text(schema_text(), encoding="utf-8")
    path: Path = root / "configs" / "template.yaml"
    path.write_text(template_text(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
