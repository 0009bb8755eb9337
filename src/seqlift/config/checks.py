"""Rules of the config that hold between keys, or between a key and the files: what a schema cannot say."""

import difflib
import importlib.util
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from seqlift.config.schema import is_finite_number, is_number_text, show
from seqlift.data.targets import SIGNAL_KEYS, Target, check_target
from seqlift.errors import SeqliftError

SIMULATED_GENOME = "genome.fa"
SIMULATED_PEAKS = ("both.bed", "GATA1.bed", "TAL1.bed")
"""Files that `seqlift simulate` makes, relative to the config's `data_dir`."""

SIMULATED_SITES = (*SIMULATED_PEAKS, "truth.bed")
"""Those of them that `aggregate.sites` can name."""

Targets = list[tuple[int, dict]]
"""Targets with their numbers in the config; those that are no section at all are left out."""

Problems = Iterator[tuple[str, str]]
"""Path of the key that is wrong, and what is said of it."""


class MissingFile(str):
    """What is said of a file that is not there: no mistake where rules of another workflow may still make it."""


class NamedFile(NamedTuple):
    """A data file that the config names: the path of its key, the file as written, and from where it is looked
    up, `data_dir` or the folder in which the workflow runs."""

    key: str
    path: str
    in_data_dir: bool

    def place(self, data_dir: str) -> str:
        """Where the file lies, relative to the folder in which the workflow runs."""
        return os.path.normpath(os.path.join(data_dir, self.path)) if self.in_data_dir else self.path


_FEW_REFERENCES = {
    "uniform": "all alike",
    "background": "all alike",
    "zeros": "all alike",
    "fasta": "those of the file",
}
"""Kinds of which more references bring nothing new, and why."""

_MOST_SHARDS = 1000  # of one score file: more of them take longer to start than to do their work

_TARGET_FILES = (*SIGNAL_KEYS, "unlabelled")
_REGION_FILES = ("exclude_regions", "include_regions", "negatives_file")
_INTERVAL = re.compile(r"(?P<chrom>.+):(?P<start>[0-9,]*[0-9])-(?P<end>[0-9,]*)")
_MEANT_AS_INTERVAL = re.compile(r".+:[^:]*-[^:]*")


def cross_checks(config: dict, directory: Path, table: object = None) -> Problems:
    """Rules that hold between keys; parts that already broke the schema are passed over.

    `table` is the path of the table of targets, where there is one.
    """
    targets = [(index, target) for index, target in enumerate(_list(config.get("targets"))) if isinstance(target, dict)]
    regions, model = _dict(config.get("regions")), _dict(config.get("model"))
    yield from _check_names(targets)
    yield from _check_peaks(targets, model)
    yield from _check_signal(targets, model)
    yield from _check_strands(targets)
    yield from _check_splits(regions)
    yield from _check_negatives(regions, model)
    yield from _check_lengths(config, targets)
    yield from _check_model(model, directory)
    yield from _check_without_effect(config, targets)
    yield from _check_attribution(_dict(config.get("attribution")))
    yield from _check_files(config, targets, directory)
    yield from _check_downloads(config, table)


def named_files(config: Mapping) -> list[NamedFile]:
    """All data files that a config names, also a wrong one; what `simulate` makes among them."""
    genome, regions = _dict(config.get("genome")), _dict(config.get("regions"))
    named = [("genome.fasta", genome.get("fasta"))]
    for index, target in enumerate(_list(config.get("targets"))):
        named += [(f"targets[{index}].{key}", _dict(target).get(key)) for key in ("peaks", *_TARGET_FILES)]
    named += [(f"regions.{key}", regions.get(key)) for key in _REGION_FILES]
    sites = _dict(_dict(config.get("aggregate")).get("sites"))
    named += [(f"aggregate.sites.{name}", path) for name, path in sites.items()]
    named += [("report.genes", _dict(config.get("report")).get("genes"))]
    files = [
        NamedFile(f"{key}[{index}]" if isinstance(value, list) else key, path, True)
        for key, value in named
        for index, path in enumerate(path_list(value))
    ]
    for method in ("deeplift", "interior_gradients"):
        references = _dict(_dict(config.get("attribution")).get(method)).get("references")
        if isinstance(references, str) and references.startswith("fasta:"):
            files.append(NamedFile(f"attribution.{method}.references", references.removeprefix("fasta:"), False))
    database = _dict(config.get("motifs")).get("database")
    if isinstance(database, str) and database.endswith(".meme") and not database.startswith("jaspar:"):
        files.append(NamedFile("motifs.database", database, False))
    return files


def path_list(value: object) -> list[str]:
    """One path or a list of them as a list; nothing of what is neither."""
    paths = [value] if isinstance(value, str) else _list(value)
    return [path for path in paths if isinstance(path, str)]


def module_file(module: str, directory: str | os.PathLike = ".") -> Path | None:
    """The file of a module, looked for as Python does: in the folder where the run is started, then in its path."""
    for folder in [directory, *sys.path]:
        place = Path(folder, *module.split("."))
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def _check_names(targets: Targets) -> Problems:
    names: dict[str, tuple[int, str]] = {}
    for index, target in targets:
        name = target.get("name")
        if not isinstance(name, str):
            continue
        first, other = names.setdefault(name.casefold(), (index, name))
        if first != index:
            same = "is the name of" if other == name else f"differs only in upper and lower case from {other!r},"
            yield (
                f"targets[{index}].name",
                f"{show(name)} {same} targets[{first}], too; give each target a name of its own",
            )
        if name.casefold() == "negative":
            yield f"targets[{index}].name", f"{show(name)} is the name of the negatives; choose another name"


def _check_peaks(targets: Targets, model: dict) -> Problems:
    """Targets may share their peaks only where their signals tell them apart, as cell types on one set of peaks."""
    seen: dict[tuple, int] = {}
    for index, target in targets:
        file = target.get("peaks")
        if not isinstance(file, str):
            continue
        signals = () if model.get("head") == "classes" else tuple(path_list(target.get(key)) for key in SIGNAL_KEYS)
        first = seen.setdefault((os.path.normpath(file), repr(signals)), index)
        if first != index:
            own = "peaks" if model.get("head") == "classes" else "peaks, or signal,"
            yield (
                f"targets[{index}].peaks",
                f"{show(file)} is the file of targets[{first}], too; each target needs {own} of its own",
            )


def _check_signal(targets: Targets, model: dict) -> Problems:
    head = model.get("head")
    for index, target in targets:
        where = f"targets[{index}]"
        files = {key: path_list(target.get(key)) for key in SIGNAL_KEYS}
        try:
            check_target(Target("", "", unlabelled="", **{key: tuple(paths) for key, paths in files.items()}))
        except SeqliftError as error:
            yield where, str(error)
        if head in ("counts", "profile") and not files["signal"]:
            yield f"{where}.signal", f"is missing; model.head (={head!r}) needs the signal of every target"
        for key in ("control", "control_minus"):
            if files[key] and head in ("classes", "counts"):
                yield f"{where}.{key}", f"changes nothing with model.head (={head!r}); delete it, or take head: profile"
        for key, paths in files.items():
            for path in paths:
                if "," in path:
                    yield f"{where}.{key}", f"{show(path)} must not hold a comma; a list of replicates is [a.bw, b.bw]"


def _check_strands(targets: Targets) -> Problems:
    """One model reads the signal of all its targets on one strand or on two, and their control likewise."""
    for kind in ("signal", "control"):
        have = [(index, bool(target.get(f"{kind}_minus"))) for index, target in targets if target.get(kind)]
        two = [index for index, both in have if both]
        for index, both in have:
            if two and not both:
                yield (
                    f"targets[{index}].{kind}_minus",
                    f"is missing, but targets[{two[0]}] has one; all targets are read on one strand or all on two",
                )


def _check_splits(regions: dict) -> Problems:
    held = {key: path_list(regions.get(key)) for key in ("valid", "test")}
    entries = {key: [(index, entry, split_entry(entry)) for index, entry in enumerate(held[key])] for key in held}
    for key, parsed in entries.items():
        for index, entry, interval in parsed:
            if interval is None:
                yield f"regions.{key}[{index}]", f"{show(entry)} {_INTERVAL_RULE}"
    for index, entry, interval in entries["test"]:
        for other_index, other, other_interval in entries["valid"]:
            if entry == other:
                yield (
                    f"regions.test[{index}]",
                    f"{show(entry)} is in regions.valid, too; a chromosome can be in one split only",
                )
            elif interval and other_interval and _overlap(interval, other_interval):
                yield (
                    f"regions.test[{index}]",
                    f"{show(entry)} overlaps regions.valid[{other_index}] {show(other)}; a base can be in one "
                    "split only",
                )


_INTERVAL_RULE = (
    "must be a chromosome, a shell pattern, or a part of a chromosome as chr20:1-40000000 or chr20:40000001- (both "
    "ends included, the first base is 1)"
)


def split_entry(entry: str) -> tuple[str, float, float] | None:
    """Chromosome or pattern of an entry of a split, first and last base from 1; None if it is a broken interval."""
    found = _INTERVAL.fullmatch(entry)
    if found:
        start, end = (float(found[part].replace(",", "") or math.inf) for part in ("start", "end"))
        return (found["chrom"], start, end) if 1 <= start <= end else None
    return None if _MEANT_AS_INTERVAL.fullmatch(entry) else (entry, 1, math.inf)


def _overlap(one: tuple[str, float, float], other: tuple[str, float, float]) -> bool:
    same = fnmatchcase(one[0], other[0]) or fnmatchcase(other[0], one[0])
    return same and one[1] <= other[2] and other[1] <= one[2]


def _check_negatives(regions: dict, model: dict) -> Problems:
    if regions.get("negatives") == "shuffled" and model.get("head") in ("counts", "profile"):
        yield (
            "regions.negatives",
            f"(='shuffled') have no measured signal for model.head (={model['head']!r}) to learn; use genome",
        )


def _check_lengths(config: dict, targets: Targets) -> Problems:
    lengths = [length for length in _list(config.get("lengths")) if is_finite_number(length)]
    for index, length in enumerate(lengths):
        if length in lengths[:index]:
            yield f"lengths[{index}]", f"{show(length)} is given twice; delete one"
    window = _dict(config.get("signal")).get("window")
    if lengths and is_finite_number(window) and window > min(lengths):
        yield "signal.window", f"{show(window)} must be at most the shortest length (={min(lengths)})"
    elif is_finite_number(window) and _dict(config.get("model")).get("head") == "profile":
        for length in lengths:
            if (length - window) % 2:
                rule = f"lie in the middle of {length} bp; take an {'odd' if length % 2 else 'even'} number"
                yield "signal.window", f"{show(window)} must {rule}"
    distance = _dict(config.get("regions")).get("merge_distance")
    if lengths and is_finite_number(distance) and 2 * distance >= min(lengths) > 0:
        yield (
            "regions.merge_distance",
            f"{show(distance)} must be smaller than half the shortest length (={min(lengths)}), so that a merged "
            "summit lies inside the window",
        )


def _check_model(model: dict, directory: Path) -> Problems:
    kind = model.get("type")
    module, separator, _ = kind.partition(":") if isinstance(kind, str) else ("", "", "")
    if separator and not _can_be_imported(module, directory):
        yield (
            "model.type",
            f"{show(kind)} lives nowhere: there is no module {module} in {directory.resolve()} or installed; put "
            f"{module.replace('.', '/')}.py into the folder where you run snakemake",
        )


def _can_be_imported(module: str, directory: Path) -> bool:
    """Whether there is such a module, found out without running any of it."""
    if module_file(module, directory):
        return True
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except ValueError:  # a module that is running and has no file, such as __main__
        return False


def _check_without_effect(config: dict, targets: Targets) -> Problems:
    """Settings that would be ignored in silence."""
    model, training, regions = (_dict(config.get(key)) for key in ("model", "training", "regions"))
    head = model.get("head")
    if training.get("class_weights") == "balanced" and head in ("counts", "profile"):
        yield "training.class_weights", f"(='balanced') changes nothing with model.head (={head!r}); delete it"
    if training.get("count_weight") not in (None, 1.0) and head in ("classes", "counts"):
        value = show(training["count_weight"])
        yield "training.count_weight", f"{value} changes nothing with model.head (={head!r}); delete it"
    if (
        _dict(config.get("attribution")).get("model_std") is True
        and "folds" not in regions
        and model.get("replicates") == 1
        and len(_list(training.get("seed"))) < 2
    ):
        yield (
            "attribution.model_std",
            "(=True) needs several models that can differ; take regions.folds, several training.seed, or "
            "model.replicates of 2 and more",
        )
    if _dict(config.get("attribution")).get("each_fold") is True and not regions.get("folds"):
        yield "attribution.each_fold", "(=True) needs folds; take regions.folds instead of valid and test"
    methods = _list(_dict(config.get("attribution")).get("methods"))
    if _dict(config.get("tracks")).get("difference") is True and len(set(methods)) < 2:
        yield "tracks.difference", "(=True) needs two methods; take attribution.methods: [deeplift, interior_gradients]"
    if _dict(config.get("signal")).get("window") and targets and not any(t.get("signal") for _, t in targets):
        yield (
            "signal.window",
            f"{show(config['signal']['window'])} changes nothing, as no target has a signal; delete it",
        )


def _check_attribution(attribution: dict) -> Problems:
    most, size = attribution.get("max_regions"), attribution.get("shard_size")
    if isinstance(most, int) and isinstance(size, int) and size > 0 and most > size * _MOST_SHARDS:
        yield (
            "attribution.max_regions",
            f"{show(most)} makes {math.ceil(most / size)} jobs of attribution.shard_size (={size}); must be at most "
            f"{_MOST_SHARDS}: set it close to the number of peaks, or raise attribution.shard_size",
        )
    for method in ("deeplift", "interior_gradients"):
        settings = _dict(attribution.get(method))
        references = settings.get("references")
        if not isinstance(references, str):
            continue
        key = f"attribution.{method}"
        kind, _, rest = references.partition(":")
        if kind == "background" and not math.isclose(sum(_numbers(rest)), 1, abs_tol=0.01):
            yield f"{key}.references", f"{show(references)} must be four shares, of A, C, G and T, that sum to 1"
        elif kind == "genomic" and rest and not all(0 <= number <= 1 for number in _numbers(rest)):
            yield f"{key}.references", f"{show(references)} must have a tolerance in GC content from 0 to 1"
        if settings.get("n_references") == "auto" and kind in _FEW_REFERENCES:
            yield (
                f"{key}.n_references",
                f"(='auto') needs references that are drawn at random, but {references} are {_FEW_REFERENCES[kind]}; "
                "take shuffles or genomic windows, or a number",
            )
        for name in ("center_first_layer", "gradient_correction"):
            if settings.get(name) is True and kind not in ("zeros", "fasta"):
                yield (
                    f"{key}.{name}",
                    f"(=True) changes nothing with {references} as references, as they have one base, or shares that "
                    "sum to one, where the sequence has; delete it, or take zeros",
                )


def _numbers(text: str) -> list[float]:
    """Numbers between commas; nan where there is none."""
    return [float(part) if is_number_text(part) else math.nan for part in text.split(",")]


def _check_files(config: dict, targets: Targets, directory: Path) -> Problems:
    data_dir = config.get("data_dir")
    if not isinstance(data_dir, str):
        return
    simulated = "simulate" in config
    folder = directory / data_dir
    if simulated and (folder / SIMULATED_GENOME).exists() and not _is_simulated(folder):
        yield (
            "data_dir",
            f"{show(data_dir)} holds a {SIMULATED_GENOME} that `simulate` did not make and would write over; name "
            "another folder, or delete the file if it is a leftover",
        )
    made = {"genome.fasta": (SIMULATED_GENOME,)} | {f"targets[{i}].peaks": SIMULATED_PEAKS for i, _ in targets}
    fetched = {os.path.normpath(name) for name in _dict(config.get("downloads")) if isinstance(name, str)}
    for file in named_files(config):
        if simulated and file.key in made:
            if file.path not in made[file.key]:
                names = " or ".join(made[file.key])
                yield file.key, f"{show(file.path)} must be {names}, as `simulate` makes the data"
        elif simulated and file.key.startswith("targets["):
            yield file.key, "cannot be had with `simulate`, which makes peaks alone; delete it"
        elif not (simulated and file.key.startswith("aggregate.sites.") and file.path in SIMULATED_SITES):
            hint = f"data_dir is {data_dir!r}; " if file.in_data_dir else ""
            place = directory / file.place(data_dir)
            in_the_way = next((folder for folder in place.parents if folder.exists()), directory)
            if place.is_dir() or os.path.normpath(file.path) not in fetched:
                yield from _check_file(file.key, file.path, place, hint)
            elif not in_the_way.is_dir():
                yield file.key, f"{show(file.path)} cannot be put there: {in_the_way} is a file, must be a folder"


def _check_downloads(config: dict, table: object) -> Problems:
    """Each download is of one file that the config names, and lands in the folder where it belongs."""
    targets, data_dir = config.get("targets"), config.get("data_dir")
    files = named_files(config)
    seen: dict[str, str] = {}  # place -> key
    for name, source in _dict(config.get("downloads")).items():
        key = f"downloads.{name}"
        if not isinstance(name, str) or not isinstance(data_dir, str):
            continue
        path = os.path.normpath(name)
        places = {os.path.normpath(file.place(data_dir)) for file in files if os.path.normpath(file.path) == path}
        place = min(places, default=path)
        if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
            yield (
                key,
                "must be relative and must not lead out by ..: downloads are put into data_dir alone, or, a motif "
                "database and references, into the folder where you run snakemake; name it so, or fetch it yourself",
            )
        elif isinstance(table, str) and path == os.path.normpath(table):
            yield key, "is the table of targets, which must be there when the config is read; put it there yourself"
        elif not places and (targets or not isinstance(table, str)):  # no word on files of a table that cannot be read
            close = difflib.get_close_matches(path, [file.path for file in files], n=1)
            advice = f"did you mean {close[0]}?" if close else "write it as elsewhere in the config"
            yield key, f"is no file that the config names; {advice}"
        elif len(places) > 1:
            yield key, f"names two files, {' and '.join(sorted(places))}; give one of them another name"
        elif place in seen:
            yield key, f"is the file of {seen[place]}, too; keep one of them"
        elif "simulate" in config and path in (SIMULATED_GENOME, *SIMULATED_SITES):
            yield key, "is made by `simulate`; delete the download, or `simulate`"
        seen.setdefault(place, key)
        given = [kind for kind in ("sha256", "md5", "md5_list") if kind in _dict(source)]
        if len(given) > 1:
            yield key, f"has {' and '.join(given)}; keep one checksum"
        if _dict(source).get("rename_chromosomes") and not name.endswith(".narrowPeak"):
            yield (
                f"{key}.rename_chromosomes",
                "is for peaks that come as narrowPeak; let the file's name end in .narrowPeak, or delete it",
            )


def _is_simulated(folder: Path) -> bool:
    """Whether `simulate` made the genome in a folder: it writes the genome first, and may have been killed then."""
    if (folder / "simulation.json").exists():
        return True
    try:
        with open(folder / SIMULATED_GENOME, "rb") as file:
            return file.read(6) == b">sim1\n"
    except OSError:
        return False


def _check_file(key: str, path: str, place: Path, hint: str) -> Problems:
    if place.is_dir():
        yield key, f"{show(path)} is a folder ({place}), must be a file"
    elif not place.is_file():
        said = f"{show(path)} is missing: there is no file {place}; {hint}correct the path or put the file there"
        yield key, MissingFile(said)


def _dict(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list:
    return value if isinstance(value, list) else []
