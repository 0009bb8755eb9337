"""The sections on files and settings."""

from pathlib import Path

from seqlift.report.read.files import relative_link
from seqlift.report.read.run import METHOD_NAMES, MUTAGENESIS, Run

OF_MOTIFS = {
    "hits.bed.gz": "hits (BED)",
    "patterns_negative.meme": "patterns that lower the output (MEME)",
    "logos": "logos (SVG, PNG, PDF)",
    "modisco.h5": "TF-MoDISco's own result",
    "seqlets.bed.gz": "seqlets (BED)",
}
OF_TRACKS = {".standard_error.bw": "standard error over references (bigWig)"}
OF_RUN = {
    "tracks/igv_session.xml": "all tracks as a session of the IGV browser",
    "tracks/*.difference.bw": "DeepLIFT less interior gradients (bigWig)",
    "tracks/*.predicted*.bw": "predicted signal of every base (bigWig)",
    "motifs/compendium/*.tsv": "motifs of all outputs and methods (table)",
    "motifs/compendium/*.meme": "motifs of all outputs and methods (MEME)",
    "motifs/compendium/logos": "their logos (SVG, PNG, PDF)",
    "faithfulness/*.tsv": "how true the explanations are (table)",
    "aggregates/*/*.tsv": "mean contribution around sites (table)",
}


def file_list(run: Run, folder: Path) -> list[dict]:
    """Every file of the run with a link, what it is and its size."""

    def entry(path: Path, what: str) -> dict:
        return {
            "name": path.relative_to(run.directory).as_posix(),
            "link": relative_link(path, folder),
            "what": what,
            "size": _size(path),
        }

    files = [
        entry(run.directory / "regions.tsv.gz", "regions, labels and splits"),
        *(
            entry(folder_ / "model.ckpt", "the trained model with all that is needed to use it")
            for folder_ in run.model_folders()
        ),
        entry(run.directory / "model" / "metrics.json", "all numbers of the performance section"),
        entry(run.directory / "model" / "predictions.tsv.gz", "each held-out region with labels and predictions"),
    ]
    if run.head == "profile":
        files.append(entry(run.directory / "model" / "profiles.tsv.gz", "the example profiles of this page"))
    for output in run.outputs:
        for method in run.methods:
            label = f"{output}, {METHOD_NAMES[method]}"
            motifs = run.motifs[output, method]
            files += [
                entry(run.track(output, method), f"{label}: track for genome browsers (bigWig)"),
                entry(run.scores(output, method), f"{label}: scores of every base (HDF5)"),
                entry(motifs.folder / "patterns.meme", f"{label}: patterns (MEME)"),
                entry(motifs.folder / "patterns.tsv", f"{label}: patterns (table)"),
            ]
            for name, what in OF_MOTIFS.items():
                if (motifs.folder / name).exists():
                    files.append(entry(motifs.folder / name, f"{label}: {what}"))
            for suffix, what in OF_TRACKS.items():
                path = run.directory / "tracks" / f"{output}.{method}{suffix}"
                if path.is_file():
                    files.append(entry(path, f"{label}: {what}"))
        if run.mutagenesis:
            path = run.scores(output, MUTAGENESIS)
            files.append(entry(path, f"{output}, {METHOD_NAMES[MUTAGENESIS]}: effects of changed bases (HDF5)"))
    for name, what in OF_RUN.items():
        files += [entry(path, what) for path in sorted(run.directory.glob(name)) if path.exists()]
    # Its size depends on how long the jobs took
    provenance = entry(run.directory / "provenance.json", "versions, settings, checksums, seeds, time and memory")
    files.append(provenance | {"size": ""})
    return files


def _size(path: Path) -> str:
    if not path.is_file():
        return ""
    size = float(path.stat().st_size)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def settings_list(config: dict) -> list[tuple[str, list[tuple[str, str]]]]:
    """The configuration as (section, [(key, value)]), values as text."""
    sections = [("", [(key, _text(value)) for key, value in config.items() if not isinstance(value, dict)])]
    for key, value in config.items():
        if isinstance(value, dict):
            rows = []
            for name, inner in value.items():
                if isinstance(inner, dict) and inner:
                    rows += [(f"{name}.{deep}", _text(leaf)) for deep, leaf in inner.items()]
                else:
                    rows.append((name, _text(inner)))
            sections.append((key, rows))
    return [(title, rows) for title, rows in sections if rows]


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(inner)}" for key, inner in value.items()) or "–"
    if isinstance(value, list):
        return (
            "; ".join(_text(item) for item in value)
            if any(isinstance(item, dict) for item in value)
            else ", ".join(map(_text, value))
        )
    return str(value)
