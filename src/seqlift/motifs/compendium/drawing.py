"""Draw the logos of a compendium: each consensus on both strands, above its known motif, and all on one sheet.

The files are those of `drawing`. Contributions are in the units of the outputs that the motif was found in.
"""

import os

import numpy as np

from seqlift.motifs.compendium.build import read_compendium
from seqlift.motifs.database import Database
from seqlift.motifs.drawing import Shown, draw
from seqlift.motifs.logos import KINDS


def draw_compendium(
    compendium_dir: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    database: str | os.PathLike | Database,
    colours: str = "classic",
) -> dict:
    """Draw all logos of a folder that `seqlift compendium` wrote; all else is as of `drawing.draw_logos`."""
    compendium = read_compendium(compendium_dir)
    matrices = compendium.summary["motifs"]
    shown = Shown(
        title="All outputs and methods",
        message=compendium.summary["message"],
        target="",
        method="",
        lines=compendium.motifs.to_dict("records"),
        matrices=[{kind: np.array(matrices[motif][kind]) for kind in KINDS} for motif in compendium.motifs["motif"]],
        table=compendium.folder / "compendium.tsv",
        database=compendium.summary["database"]["name"],
    )
    return draw(shown, output_dir, database=database, colours=colours)
