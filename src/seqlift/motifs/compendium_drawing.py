"""Draw the logos of a compendium: each consensus on both strands, above its known motif, and all on one sheet.

The files are those of `drawing` with the names of motifs: `<motif>.{cwm,hcwm,pfm}.*`, `<motif>.<kind>.reverse.*`,
`<motif>.match.*`, overview.svg and .png, logos.json. All logos of a kind share one y axis; contributions are in the
units of the outputs that the motif was found in.
"""

import json
import os
import re
from pathlib import Path

import numpy as np

from seqlift.errors import SeqliftError
from seqlift.files import replacing
from seqlift.motifs.compendium import Compendium, read_compendium
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.drawing import FORMAT, KnownMotif, match_figure, overview_figure
from seqlift.motifs.logos import FORMATS, KINDS, choose_palette, common_limits, save_figure, save_logos
from seqlift.motifs.naming import align

_OURS = re.compile(r"(m_\d+\.(cwm|hcwm|pfm|match)(\.reverse)?|overview)\.(svg|png|pdf)")


def draw_compendium(
    compendium_dir: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    database: str | os.PathLike | Database,
    colours: str = "classic",
) -> dict:
    """Draw all logos of a folder that `seqlift compendium` wrote.

    Parameters
    ----------
    compendium_dir, output_dir : path-like
        Logos of an earlier run in `output_dir` are taken away; other files stay.
    database : str, path-like or Database
        The known motifs by which the motifs were named.
    colours : str
        `classic` or `colour-blind`.

    Returns
    -------
    dict, what stands in logos.json

    Raises
    ------
    SeqliftError
        If the folder is broken, the database lacks a motif that names another, or there are no such colours.
    """
    palette = choose_palette(colours)
    compendium = read_compendium(compendium_dir)
    lines = compendium.motifs.rename(columns={"motif": "pattern"}).to_dict("records")
    matrices = compendium.summary["motifs"]
    shown = [{kind: np.array(matrices[line["pattern"]][kind]) for kind in KINDS} for line in lines]
    known = _known_motifs(compendium, shown, database if isinstance(database, Database) else load_database(database))
    limits = {kind: common_limits(kind, [one[kind] for one in shown]) for kind in KINDS}
    place = Path(output_dir)
    place.mkdir(parents=True, exist_ok=True)
    (place / "logos.json").unlink(missing_ok=True)  # it is written last: a folder with it is whole
    for path in place.iterdir():
        if _OURS.fullmatch(path.name):
            path.unlink()
    entries = []
    for line, own, match in zip(lines, shown, known, strict=True):
        files = save_logos(place, line["pattern"], own, limits, palette)
        if match is not None:
            save_figure(match_figure(own, match, limits, palette), place / f"{line['pattern']}.match", formats=FORMATS)
            files += [f"{line['pattern']}.match.{form}" for form in FORMATS]
        named = {"match_id": match.match_id, "name": match.name, "offset": match.offset} if match else None
        entries.append({"pattern": line["pattern"], "width": line["width"], "match": named, "files": files})
    sheet = overview_figure(
        "All outputs and methods", compendium.summary["message"], lines, shown, known, limits, palette
    )
    save_figure(sheet, place / "overview", dpi=100)
    manifest = {
        "format": FORMAT,
        "target": "",
        "method": "",
        "colours": colours,
        "palette": palette,
        "limits": limits,
        "overview": ["overview.svg", "overview.png"],
        "patterns": entries,
    }
    with replacing(place / "logos.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _known_motifs(compendium: Compendium, shown: list[dict], database: Database) -> list[KnownMotif | None]:
    """Of each motif the known one it is named after, turned and aligned; None for one without a name."""
    index = {identifier: i for i, identifier in enumerate(database.ids)}
    found: list[KnownMotif | None] = []
    for motif, match_id, own in zip(compendium.motifs["motif"], compendium.motifs["match_id"], shown, strict=True):
        if not match_id:
            found.append(None)
        elif match_id not in index:
            raise SeqliftError(
                f"{compendium.folder / 'compendium.tsv'}: {motif} is named after {match_id!r}, which {database.name} "
                f"does not hold; the motifs were named by {compendium.summary['database']['name']}: give that"
            )
        else:
            i = index[match_id]
            offset, reverse = align(own["pfm"], database, i)
            matrix = database.matrices[i][::-1, ::-1] if reverse else database.matrices[i]
            found.append(KnownMotif(match_id, database.names[i], matrix, offset))
    return found
