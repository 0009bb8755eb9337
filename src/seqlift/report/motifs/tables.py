"""The patterns of each output and method as motif discovery left them, before any were merged."""

from pathlib import Path

from seqlift.motifs.folder import StoredPattern
from seqlift.motifs.logos import COLOURS
from seqlift.report.figures.canvas import Image, Room
from seqlift.report.figures.letters import frequency_image, logo_image
from seqlift.report.read.files import relative_link
from seqlift.report.read.run import Run

LOGOS = 2_000_000  # characters of the page that the logos of all tables take


def pattern_tables(run: Run, folder: Path, palette: dict[str, str] = COLOURS) -> list[dict]:
    """For each output its methods, each with the rows of patterns.tsv, small logos while there is room, and links."""
    return [
        {"target": output, "methods": [_of_method(run, output, method, folder, palette) for method in run.methods]}
        for output in run.outputs
    ]


def _of_method(run: Run, output: str, method: str, folder: Path, palette: dict[str, str]) -> dict:
    motifs = run.motifs[output, method]
    rows, room = [], Room(LOGOS // len(run.motifs))
    for pattern, row in zip(motifs.patterns, motifs.table.to_dict("records"), strict=True):
        logos = {} if room.full else _logos(pattern, row, palette)
        room.take(*logos.values())
        rows.append(row | {"logos": logos})
    names = ["patterns.meme", "patterns_negative.meme", "patterns.tsv", "hits.bed.gz", "seqlets.bed.gz", "logos"]
    present = [motifs.folder / name for name in names if (motifs.folder / name).exists()]
    return {
        "method": method,
        "summary": motifs.summary,
        "rows": rows,
        "links": [(path.name, relative_link(path, folder) + ("/" if path.is_dir() else "")) for path in present],
    }


def _logos(pattern: StoredPattern, row: dict, palette: dict[str, str]) -> dict[str, Image]:
    words = f"of {row['pattern']}: {row['consensus']}"
    cwm, pfm = f"Sequence logo of the mean contributions {words}", f"Sequence logo of the base frequencies {words}"
    return {
        "cwm": logo_image(pattern.shown("cwm"), cwm, height=44, palette=palette),
        "pfm": frequency_image(pattern.shown("pfm"), pfm, height=44, palette=palette),
    }
