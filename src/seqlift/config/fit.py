"""Whether the windows fit the model and the stages that read them, and whether the genome has the chromosomes named.

Each of these would else end a run after hours: what is wrong with the windows shows when a model is built or motifs are
searched, a wrong chromosome when the regions are made.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path

from seqlift.config.checks import path_list, split_entry
from seqlift.config.schema import is_finite_number, show
from seqlift.data.chromosomes import name_mapping, some
from seqlift.models.settings import ModelSettings
from seqlift.motifs.settings import ModiscoSettings

SIMULATED_CHROMOSOMES = tuple(f"sim{number}" for number in range(1, 11))
"""Names in the genome that `seqlift simulate` makes."""

COMMON_SETTINGS = tuple(field.name for field in fields(ModelSettings))
_ANY_DEFAULT = 100  # bp: windows of this length fit every architecture with its default settings

_SMALL = 16 * 2**20  # bytes of a FASTA file that is read through for its names; a larger one needs its index beside it

Problems = Iterator[tuple[str, str]]


def fit_checks(config: dict, directory: Path, given: dict, broken: set[str]) -> Problems:
    """Rules between windows, model, motifs and genome.

    Parameters
    ----------
    config : dict
        With all defaults.
    directory : pathlib.Path
        Folder from which relative paths start.
    given : dict
        The config as the user wrote it.
    broken : set of str
        Sections that broke the schema, which are passed over.
    """
    sections = {key: value for key, value in config.items() if isinstance(value, dict) and key not in broken}
    lengths = config.get("lengths")
    if isinstance(lengths, list) and lengths and all(isinstance(each, int) and each >= 10 for each in lengths):
        yield from _check_model(sections.get("model", {}), given.get("model"), min(lengths))
        if "motifs" in sections:
            yield from _check_motifs(sections["motifs"], min(lengths))
    regions = sections.get("regions", {})
    names = _chromosomes(config, sections, directory)
    if names:
        yield from _check_chromosomes(regions, names)


def _check_model(model: dict, given: object, length: int) -> Problems:
    """Rules of the architecture.

    Its file imports PyTorch, which takes seconds, so only what can be wrong is checked: other settings than the
    defaults, or windows shorter than `_ANY_DEFAULT`, which a test holds above what the defaults need.
    """
    kind = model.get("type")
    own = set(given) - {"type", *COMMON_SETTINGS} if isinstance(given, dict) else set()
    if not isinstance(kind, str) or ":" in kind or (not own and length >= _ANY_DEFAULT):
        return
    from seqlift.models.architecture import kinds

    if kind not in kinds():
        return
    settings = kinds()[kind].settings.unchecked(model)
    wrong = list(settings.problems())
    yield from ((f"model.{key}", text) for key, text in wrong)
    shortest, key = settings.shortest_window()
    if not wrong and length < shortest:
        yield (
            f"model.{key}",
            f"{show(model[key])} needs windows of at least {shortest} bp, but the shortest length is {length}; use a "
            "smaller value, or longer windows",
        )


def _check_motifs(motifs: dict, length: int) -> Problems:
    """A seqlet, or a pattern with its flanks, and 20 bp in which it can lie here and there."""
    settings = motifs.get("tfmodisco")
    window = motifs.get("window")
    if not isinstance(settings, dict) or not is_finite_number(window):
        return
    least = ModiscoSettings.unchecked(settings).shortest
    if min(window, length) < least:
        key, value = ("motifs.window", window) if window <= length else ("lengths", length)
        yield (
            key,
            f"{show(value)} must be at least {least} bp, so that motifs can be searched with these motifs.tfmodisco "
            "settings; take more, or smaller windows and flanks there",
        )


def _check_chromosomes(regions: dict, names: list[str]) -> Problems:
    excluded = path_list(regions.get("exclude_chromosomes"))
    left = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in excluded)]
    if not left:
        yield "regions.exclude_chromosomes", f"{show(excluded)} leaves no chromosome of the genome; name fewer"
        return
    folds = regions.get("folds")
    if is_finite_number(folds) and folds > len(left):
        yield (
            "regions.folds",
            f"{show(folds)} must be at most {len(left)}, as whole chromosomes are held out and the genome has no more",
        )
    for key in ("valid", "test"):
        for index, entry in enumerate(path_list(regions.get(key))):
            parsed = (entry, 0, 0) if entry in names else split_entry(entry)
            if parsed is None:  # said already
                continue
            pattern, where = parsed[0], f"regions.{key}[{index}]"
            named = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
            if not named:
                meant = name_mapping([pattern], names)
                hint = f"did you mean {meant[pattern]}?" if meant else "name chromosomes as the FASTA file does"
                yield where, f"{show(entry)} is not in the genome, which has {some(names)}; {hint}"
            elif not named & set(left):
                yield where, f"{show(entry)} is left out by regions.exclude_chromosomes; delete either"


def _chromosomes(config: dict, sections: dict, directory: Path) -> list[str]:
    """Chromosomes of the genome; nothing where the file is not there yet or takes long to read."""
    if "simulate" in config:
        return list(SIMULATED_CHROMOSOMES)
    fasta, data_dir = sections.get("genome", {}).get("fasta"), config.get("data_dir")
    if not isinstance(fasta, str) or not isinstance(data_dir, str):
        return []
    path = directory / data_dir / fasta
    index = path.with_name(f"{path.name}.fai")
    try:
        if index.is_file() and index.stat().st_mtime >= path.stat().st_mtime:
            return [line.split("\t")[0] for line in index.read_text().splitlines()]
        if path.stat().st_size > _SMALL:
            return []
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):  # missing or damaged: other checks and stages say so
        return []
    return [name.decode(errors="replace") for name in re.findall(rb"^>[ \t]*(\S+)", content, flags=re.MULTILINE)]
