"""Genes near the regions, from an annotation file: to search by, and to draw beside the contributions."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd

from seqlift.data.chromosomes import name_mapping, sed_command, some
from seqlift.data.intervals import read_lines
from seqlift.errors import SeqliftError

NEAR = 10_000  # bp: a gene whose start is farther from a region is not called its neighbour
_NAMES = ("gene_name", "Name", "gene", "gene_id", "ID")  # attributes of GTF and GFF3, the most readable first
_GTF = re.compile(r'(\w+) "([^"]*)"')


@dataclass(frozen=True)
class Neighbour:
    """A gene beside a region; `distance`: bp from the region's middle to its 5' end, `inside`: it overlaps."""

    name: str
    start: int
    end: int
    strand: str
    distance: int
    inside: bool


def read_genes(path: str | os.PathLike, chromosomes: Iterable[str]) -> pd.DataFrame:
    """Genes of a BED, GFF3 or GTF file, plain or gzipped; recognised by the name of the file.

    Of GFF3 and GTF the lines whose type ends in `gene` count; of BED all.

    Parameters
    ----------
    path : path of the file
    chromosomes : iterable of str
        Of the run. The file may have more and fewer, but must not call one of them by another name.

    Returns
    -------
    pandas.DataFrame
        chrom, start, end (bp, 0-based, end exclusive), name, strand, sorted by chrom and start.

    Raises
    ------
    SeqliftError
        If the file is missing, is of another kind, has a bad line, holds no gene, or names chromosomes in another way
        (with the command that renames them); the message names the line.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if kind not in (".bed", ".gff", ".gff3", ".gtf"):
        raise SeqliftError(f"{path}: `report.genes` must end in .bed, .gff, .gff3 or .gtf (or these with .gz)")
    rows = []
    for number, line in read_lines(path):
        if line.startswith("##FASTA"):
            break
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t")
        try:
            row = _bed(fields) if kind == ".bed" else _gff(fields)
        except (IndexError, ValueError):
            form = f"a line of a {kind[1:]} file: tabs between its columns, whole numbers for start and end"
            raise SeqliftError(f"{path}: line {number} is not {form}") from None
        if row is not None:
            rows.append(row)
    if not rows:
        why = "" if kind == ".bed" else " (no line whose type ends in `gene`)"
        raise SeqliftError(f"{path}: no gene in it{why}")
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "name", "strand"])
    _check_names(path, table["chrom"], list(chromosomes))
    return table.sort_values(["chrom", "start", "end", "name"], kind="stable", ignore_index=True)


def _check_names(path: Path, chroms: pd.Series, known: list[str]) -> None:
    present = list(dict.fromkeys(chroms))
    renamed = {old: new for old, new in name_mapping(present, known).items() if old not in known}
    if renamed:
        raise SeqliftError(
            f"{path}: {int(chroms.isin(list(renamed)).sum())} of {len(chroms)} genes lie on chromosomes that the run "
            f"names in another way: {some(renamed)}; it has {some(known)}. Rename them in a copy of the file, by "
            f"{sed_command(renamed, present)}"
        )
    if not set(present) & set(known):
        raise SeqliftError(
            f"{path}: no gene lies on a chromosome of the run, which has {some(known)}; the file has {some(present)}. "
            "Use the annotation of the run's assembly"
        )


def neighbours(genes: pd.DataFrame, regions: pd.DataFrame) -> list[list[Neighbour]]:
    """The genes of each region: those that overlap it, and the one whose start is nearest within `NEAR` bp.

    `genes` are as from `read_genes`; those of one region are sorted by distance.
    """
    by_chrom = {
        chrom: (part, part["start"].to_numpy(), part["end"].to_numpy(), (part["strand"] == "-").to_numpy())
        for chrom, part in genes.groupby("chrom", sort=False)
    }
    found: list[list[Neighbour]] = []
    for chrom, start, end in regions[["chrom", "start", "end"]].itertuples(index=False, name=None):
        if chrom not in by_chrom:
            found.append([])
            continue
        part, starts, ends, reverse = by_chrom[chrom]
        inside = (starts < end) & (ends > start)
        distance = np.abs(np.where(reverse, ends - 1, starts) - (start + end) // 2)  # to the 5' end
        nearest = int(np.argmin(distance))
        rows = set(np.flatnonzero(inside)) | ({nearest} if distance[nearest] <= NEAR else set())
        chosen = [
            Neighbour(row.name_, int(row.start), int(row.end), row.strand, int(distance[i]), bool(inside[i]))
            for i, row in ((i, part.iloc[i].rename({"name": "name_"})) for i in sorted(rows))
        ]
        found.append(sorted(chosen, key=lambda gene: (gene.distance, gene.name)))
    return found


def _bed(fields: list[str]) -> tuple:
    start, end = int(fields[1]), int(fields[2])
    name = fields[3] if len(fields) > 3 and fields[3] not in ("", ".") else f"{fields[0]}:{start}-{end}"
    return fields[0], start, end, name, fields[5] if len(fields) > 5 and fields[5] in "+-" else "."


def _gff(fields: list[str]) -> tuple | None:
    start, end, attributes = int(fields[3]) - 1, int(fields[4]), fields[8]
    if not fields[2].endswith("gene"):
        return None
    found = dict(_GTF.findall(attributes))
    if not found:
        pairs = (pair.partition("=") for pair in attributes.split(";"))
        found = {key.strip(): unquote(value.strip()) for key, _, value in pairs}
    name = next((found[key] for key in _NAMES if found.get(key)), f"{fields[0]}:{start}-{end}")
    return fields[0], start, end, name, fields[6] if fields[6] in "+-" else "."
