"""Motif folders made by hand, without TF-MoDISco, from seqlets whose places are known."""

import json

import h5py
import numpy as np

from seqlift.motifs.folder import FORMAT, TEXT
from seqlift.motifs.output import PATTERN_COLUMNS
from seqlift.scores.file import open_scores


def write_folder(folder, score_path, patterns, *, offset=0, message="", **summary):
    """A folder of `seqlift motifs` for this score file.

    patterns : list of dict with `name` (pos_0, ...), `seqlets` [(row, start, reverse)], `width`, `start`, `end`
        (informative part), and optionally `flipped` and `known` (its name).
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with open_scores(score_path) as scores, h5py.File(folder / "modisco.h5", "w") as file:
        contributions, sequences, hypothetical = scores.contributions[:], scores.sequences[:], scores.hypothetical[:]
        for one in patterns:
            width = one["width"]

            def mean(values, one=one, width=width):
                parts = [values[row, :, start : start + width] for row, start, _ in one["seqlets"]]
                turned = [part[::-1, ::-1] if s[2] else part for part, s in zip(parts, one["seqlets"], strict=True)]
                return np.mean(turned, axis=0, dtype=float).T

            sign, number = one["name"].split("_")
            group = file.create_group(f"{sign}_patterns/pattern_{number}")
            group["contrib_scores"] = mean(contributions)
            group["hypothetical_contribs"] = mean(hypothetical)
            group["sequence"] = mean(sequences)
            row, start, reverse = zip(*one["seqlets"], strict=True)
            group["seqlets/example_idx"] = np.array(row)
            group["seqlets/start"] = np.array(start) - offset
            group["seqlets/is_revcomp"] = np.array(reverse, bool)
            known = one.get("known", "")
            strand = "-" if one.get("flipped") else "+"
            values = {
                "pattern": one["name"],
                "seqlets": len(row),
                "name": known,
                "match_id": "MA1" if known else "",
                "p": 1e-5,
                "q": 1e-4,
                "strand": strand,
                "trim_start": one["start"],
                "trim_end": one["end"],
            }
            rows.append([str(values.get(column, "" if column in TEXT else 0)) for column in PATTERN_COLUMNS])
        about = {
            "format": FORMAT,
            "target": scores.attributes["target"],
            "method": scores.attributes["method"],
            "regions": len(scores.coords),
            "patterns": len(patterns),
            "settings": {"offset": offset},
            "fold": None,
            "message": message,
            **summary,
        }
    lines = ["\t".join(row) for row in [PATTERN_COLUMNS, *rows]]
    (folder / "patterns.tsv").write_text("\n".join(lines) + "\n")
    (folder / "motifs.json").write_text(json.dumps(about))
    return folder
