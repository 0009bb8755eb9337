"""A session of IGV: opens all tracks of a run over its genome, with letters scaled by their contribution.

Paths are relative to the session file, so that the results may be moved or sent as a whole, together with what they
refer to outside (peaks, and the FASTA file if it is not packed). Contributions and differences are drawn by IGV's
`dynseq` renderer: bars from afar, letters near by.
"""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from seqlift.core.files import replacing
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError
from seqlift.tracks.appearance import BLACK, PURPLE, Appearance, appearances, first_locus
from seqlift.tracks.two_bit import write_two_bit

_HEIGHT = 80  # pixels
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # not allowed in XML 1.0, even escaped


def write_session(
    path: str | os.PathLike,
    genome_path: str | os.PathLike,
    *,
    tracks: Sequence[str | os.PathLike],
    peaks: Sequence[str | os.PathLike] = (),
    hits: Sequence[str | os.PathLike] = (),
    genes: str | os.PathLike | None = None,
) -> Path:
    """Write an IGV session; where the FASTA file is packed also `genome.2bit` beside it.

    Parameters
    ----------
    path : path-like
        The XML file to write.
    genome_path : path-like
        FASTA file. IGV reads a plain one (it makes the index `.fai` beside it if there is none); of a packed one a 2bit
        file is made.
    tracks : sequence of path-like
        bigWigs, with the JSON beside them that says what they are.
    peaks, hits : sequence of path-like
        BED, narrowPeak or broadPeak files, and hits.bed.gz of `seqlift hits`.
    genes : path-like, optional
        BED, GFF3 or GTF.

    Returns
    -------
    pathlib.Path
        The genome that the session refers to.

    Raises
    ------
    SeqliftError
        If a file is missing, or its path has characters that XML does not allow.
    """
    path, shown = Path(path), appearances(tracks)
    features = [(file, _peak_name(Path(file)), BLACK) for file in peaks]
    features += [(file, f"{hits_name(Path(file))} hits", PURPLE) for file in hits]
    features += [(genes, Path(genes).name, BLACK)] if genes is not None else []
    for file, *_ in features:
        if not Path(file).is_file():
            raise SeqliftError(f"{file}: no such file; name only what is there")
    genome = igv_genome(Path(genome_path), path.parent)
    root = ElementTree.Element("Session", genome=_relative(genome, path), version="8", hasGeneTrack="false")
    locus = first_locus(shown[0].path) if shown else None
    if locus:
        root.set("locus", locus)
    resources = ElementTree.SubElement(root, "Resources")
    data = ElementTree.SubElement(root, "Panel", name="DataPanel", height=str((_HEIGHT + 10) * max(1, len(shown))))
    groups = list(dict.fromkeys(each.group for each in shown))
    for each in shown:
        _add_track(resources, data, path, each, groups.index(each.group) + 1)
    below = ElementTree.SubElement(root, "Panel", name="FeaturePanel")
    ElementTree.SubElement(below, "Track", id="Reference sequence", name="Reference sequence", visible="true")
    for file, name, colour in features:
        _add_features(resources, below, path, Path(file), name, colour)
    ElementTree.indent(root)
    with replacing(path) as temporary:
        text = ElementTree.tostring(root, encoding="unicode")
        temporary.write_text(f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n{text}\n', encoding="utf-8")
    return genome


def hits_name(path: Path) -> str:
    """Output and method of motifs/<method>/<output>/hits.bed.gz."""
    return f"{path.parent.name} {path.parent.parent.name}".strip()


def igv_genome(fasta: Path, folder: Path) -> Path:
    """The genome in a form that IGV reads: the FASTA file itself, or a 2bit file made of it in `folder`."""
    with Genome(fasta) as genome:
        with open(fasta, "rb") as file:
            if file.read(2) != b"\x1f\x8b":
                return fasta
        target = folder / "genome.2bit"
        write_two_bit(genome, target)
        return target


def _add_track(
    resources: ElementTree.Element, panel: ElementTree.Element, session: Path, shown: Appearance, group: int
) -> None:
    place = _relative(shown.path, session)
    ElementTree.SubElement(resources, "Resource", path=place, type="bw")
    ElementTree.SubElement(
        panel,
        "Track",
        id=place,
        name=_text(shown.name),
        clazz="org.broad.igv.track.DataSourceTrack",
        renderer="DYNSEQ" if shown.letters else "BAR_CHART",
        color=_colour(shown.colour),
        altColor=_colour(shown.colour),
        autoScale="false",
        autoscaleGroup=str(group),
        height=str(_HEIGHT),
        windowFunction="mean",
        visible="true",
    )


def _add_features(
    resources: ElementTree.Element,
    panel: ElementTree.Element,
    session: Path,
    file: Path,
    name: str,
    colour: tuple[int, int, int],
) -> None:
    place = _relative(file, session)
    ElementTree.SubElement(resources, "Resource", path=place, type=feature_format(file))
    ElementTree.SubElement(
        panel,
        "Track",
        id=place,
        name=_text(name),
        clazz="org.broad.igv.track.FeatureTrack",
        color=_colour(colour),
        displayMode="EXPANDED",
        visible="true",
    )


def feature_format(file: Path) -> str:
    """What IGV calls the format of a file, by its name; a file of another name is BED."""
    name = file.name.lower().removesuffix(".gz").removesuffix(".bgz")
    known = {"narrowpeak": "narrowPeak", "broadpeak": "broadPeak", "gff": "gff3", "gff3": "gff3", "gtf": "gtf"}
    return known.get(name.rpartition(".")[2], "bed")


def _peak_name(path: Path) -> str:
    return f"{path.name.removesuffix('.gz').rpartition('.')[0] or path.name} peaks"


def _relative(file: Path, session: Path) -> str:
    place = Path(os.path.relpath(file.resolve(), session.resolve().parent)).as_posix()
    if _NO_XML.search(place):
        raise SeqliftError(f"{place!r}: a path with characters that no XML file can hold; rename the file or folder")
    return place


def _text(name: str) -> str:
    return _NO_XML.sub("?", name)


def _colour(colour: tuple[int, int, int]) -> str:
    return ",".join(map(str, colour))
