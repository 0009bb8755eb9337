"""The patterns of each output and method as motif discovery left them, before any were merged."""

from pathlib import Path

from seqlift.motifs.logos import COLOURS
from seqlift.report.files_of_run import relative_link
from seqlift.report.letters import frequency_image, logo_image
from seqlift.report.run import Run


def pattern_tables(run: Run, folder: Path, palette: dict[str, str] = COLOURS) -> list[dict]:
    """For each output its methods, each with the rows of patterns.tsv, small logos and links."""
    return [
        {"target": output, "methods": [_of_method(run, output, method, folder, palette) for method in run.methods]}
        for output in run.outputs
    ]


def _of_method(run: Run, output: str, method: str, folder: Path, palette: dict[str, str]) -> dict:
    motifs = run.motifs[output, method]
    rows = []
    for pattern, row in zip(motifs.patterns, motifs.table.to_dict("records"), strict=True):
        words = f"of {row['pattern']}: {row['consensus']}"
        cwm, pfm = pattern.shown("cwm"), pattern.shown("pfm")
        rows.append(
            row
            | {
                "logos": {
                    "cwm": logo_image(
                        cwm, f"Sequence logo of the mean contributions {words}", height=44, palette=palette
                    ),
                    "pfm": frequency_image(
                        pfm, f"Sequence logo of the base frequencies {words}", height=44, palette=palette
                    ),
                }
            }
        )
    names = ["patterns.meme", "patterns_negative.meme", "patterns.tsv", "hits.bed.gz", "seqlets.bed.gz", "logos"]
    present = [motifs.folder / name for name in names if (motifs.folder / name).exists()]
    return {
        "method": method,
        "summary": motifs.summary,
        "rows": rows,
        "links": [(path.name, relative_link(path, folder) + ("/" if path.is_dir() else "")) for path in present],
    }
