"""Convert base-resolution scores between seqlift and other programs.

Scores are made once and used for years, in programs that each have a format. Here they change format and nothing else:
sequences and scores bit by bit as they were (as float32), and each row with its coordinates, which most formats leave
to a BED file beside them. What a format cannot store is reported, not invented.

==============  ==============================================================  =================================
format          scores                                                          coordinates
==============  ==============================================================  =================================
seqlift         score file of this package                                      inside
modisco         <prefix>.ohe.npz and <prefix>.shap.npz for TF-MoDISco           BED of the windows themselves
chrombpnet      HDF5 with raw/seq, shap/seq, projected_shap/seq                 narrowPeak, window on the summit
bpreveal        HDF5 with input_seqs, hyp_scores and coords_*                   inside, or BED of the windows
bpnet-lite      <prefix>.ohe.npz and <prefix>.attr.npz                          BED, window on the middle
bedgraph        contributions of the bases that are there                       inside; windows from a BED
==============  ==============================================================  =================================

Memory holds a block of rows at a time. Diagnostics of a score file (references, completeness, standard error) have no
place in other formats and are not carried.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift import __version__
from seqlift.convert.bedgraph import bedgraph_blocks, write_bedgraph
from seqlift.convert.hdf5 import (
    bpreveal_windows,
    read_bpreveal,
    read_chrombpnet,
    shape_of,
    write_bpreveal,
    write_chrombpnet,
)
from seqlift.convert.npz import check_pair, read_mask, read_pair, write_pair
from seqlift.convert.rows import BLOCK, Blocks, Rows, checked
from seqlift.convert.windows import read_windows, write_windows
from seqlift.data.genome import Genome
from seqlift.data.intervals import read_peaks
from seqlift.errors import SeqliftError
from seqlift.scores.file import Scores, check_name, create_scores, open_scores

FORMATS = ("seqlift", "modisco", "chrombpnet", "bpreveal", "bpnet-lite", "bedgraph")
_ARRAYS = {"modisco": ("window", "shap"), "bpnet-lite": ("middle", "attr")}  # what a BED line means; name of the scores


@dataclass(frozen=True)
class Source:
    """Scores in some format, as the command line names them.

    Attributes
    ----------
    format : str
        One of `FORMATS`.
    scores : path-like
    sequences : path-like, optional
        The one-hot archive of modisco and bpnet-lite.
    regions : path-like, optional
        The BED file of the rows' coordinates.
    kept : path-like, optional
        bpnet-lite's mask of loci (`idx_filename`).
    """

    format: str
    scores: str | os.PathLike
    sequences: str | os.PathLike | None = None
    regions: str | os.PathLike | None = None
    kept: str | os.PathLike | None = None


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes
    ----------
    files : list of pathlib.Path
    rows : int
    hypothetical_known : bool
        False: of each base only its own contribution is known, not those of the other three.
    """

    files: list[Path]
    rows: int
    hypothetical_known: bool


def convert(
    source: Source,
    to: str,
    output: str | os.PathLike,
    *,
    target: str | None = None,
    method: str | None = None,
    genome: Genome | None = None,
) -> Conversion:
    """Convert scores from one format to another.

    Parameters
    ----------
    source : Source
    to : str
        One of `FORMATS`.
    output : path-like
        The file to write; of modisco and bpnet-lite the prefix of the archives. All but the score file and bedGraph
        get `<output without suffix>.regions.bed` beside them.
    target, method : str
        What is explained and how, for a score file; names of letters, digits and . _ + -
    genome : Genome, optional
        Sequences are compared with it. bedGraph needs it for sequences, BPReveal for chromosome sizes.

    Raises
    ------
    SeqliftError
        If a file is missing, broken, or does not fit the others; if a format lacks what the other needs.
    """
    _check_request(source, to, target, method, genome)
    output = Path(output)
    with _opened(source, genome) as found:
        if to == "bedgraph":  # holds nothing but contributions, so it needs no others
            for _ in checked(replace(found, hypothetical_known=False), genome).blocks():
                pass
            assert genome is not None  # or `_check_request` had said so
            write_bedgraph(Path(source.scores), output, genome)
            return Conversion([output], len(found.coords), False)
        rows = checked(found, genome)
        if not rows.hypothetical_known and to != "seqlift":
            raise SeqliftError(
                f"{rows.name}: holds contributions of the bases that are there only; {to} needs hypothetical ones, "
                "which cannot be made from them: explain the model again and keep those"
            )
        files = _write(rows, to, output, genome, target, method, source)
    return Conversion(files, len(rows.coords), rows.hypothetical_known)


def _check_request(source: Source, to: str, target: str | None, method: str | None, genome: Genome | None) -> None:
    """Whether all that the two formats need was given, and nothing that they have no use for."""
    kind = source.format
    for name in (kind, to):
        if name not in FORMATS:
            raise SeqliftError(f"format {name!r} does not exist; choose from {', '.join(FORMATS)}")
    if kind == to:
        raise SeqliftError(f"--from and --to are both {to}; there is nothing to convert")
    if to == "bedgraph" and kind != "seqlift":
        raise SeqliftError(f"--to bedgraph needs --from seqlift; convert {kind} to seqlift first")
    needs = {"sequences": kind in _ARRAYS, "regions": kind in {*_ARRAYS, "chrombpnet", "bedgraph"}}
    for name, needed in needs.items():
        if needed and getattr(source, name) is None:
            raise SeqliftError(f"--{name} is missing; {kind} keeps {_KEPT_APART[name]} in a file of its own")
    for name, useful in {
        "sequences": needs["sequences"],
        "regions": kind != "seqlift",
        "kept": kind == "bpnet-lite",
    }.items():
        if getattr(source, name) is not None and not useful:
            raise SeqliftError(f"--{name} means nothing with --from {kind}; leave it out")
    if genome is None and ("bedgraph" in (kind, to) or to == "bpreveal"):
        name = "bpreveal" if to == "bpreveal" else "bedgraph"
        raise SeqliftError(f"--genome is missing; {name} needs the FASTA for {_OF_GENOME[name]}")
    for name, value in {"target": target, "method": method}.items():
        if to != "seqlift" and value is not None:
            raise SeqliftError(f"--{name} means nothing with --to {to}; leave it out")
        if to == "seqlift":
            check_name(f"--{name}", value)


_KEPT_APART = {"sequences": "the one-hot sequences", "regions": "the coordinates of its rows"}
_OF_GENOME = {"bpreveal": "the sizes of all chromosomes", "bedgraph": "chromosome sizes and sequence"}


@contextlib.contextmanager
def _opened(source: Source, genome: Genome | None) -> Iterator[Rows]:
    """The rows of a source, with their coordinates."""
    path = Path(source.scores)
    if source.format == "seqlift":
        with open_scores(path) as scores:
            known = scores.attributes.get("hypothetical") != "unknown"
            yield Rows(path.name, scores.coords, scores.sequences.shape[2], lambda: _own_blocks(scores), known)
    elif source.format in _ARRAYS:
        assert source.sequences is not None and source.regions is not None  # or `_check_request` had said so
        sequences = Path(source.sequences)
        n, _, length = check_pair(sequences, path)
        kept = None if source.kept is None else read_mask(source.kept)
        rule = _ARRAYS[source.format][0]
        coords = read_windows(source.regions, rows=n, length=length, rule=rule, scores=path.name, kept=kept)
        yield Rows(path.name, coords, length, lambda: read_pair(sequences, path))
    elif source.format == "bedgraph":
        assert source.regions is not None and genome is not None  # likewise
        lines = read_peaks(source.regions)
        length = int(lines["end"].iloc[0] - lines["start"].iloc[0])
        coords = read_windows(source.regions, rows=len(lines), length=length, rule="window", scores=path.name)
        with bedgraph_blocks(path, coords, genome) as blocks:
            yield Rows(path.name, coords, length, blocks, hypothetical_known=False)
    else:
        n, length = shape_of(path, source.format)
        coords = bpreveal_windows(path, length) if source.format == "bpreveal" else None
        if source.regions is not None:
            rule = "summit" if source.format == "chrombpnet" else "window"
            lines = read_windows(source.regions, rows=n, length=length, rule=rule, scores=path.name)
            _check_same_places(source, coords, lines)
            coords = lines
        if coords is None:
            raise SeqliftError(
                f"{path}: holds scores of a FASTA file, without coordinates; give them with --regions, a BED file with "
                "one line a row"
            )
        read = read_bpreveal if source.format == "bpreveal" else read_chrombpnet
        yield Rows(path.name, coords, length, lambda: read(path))


def _own_blocks(scores: Scores) -> Blocks:
    for first in range(0, len(scores.coords), BLOCK):
        rows = slice(first, first + BLOCK)
        yield scores.sequences[rows], scores.hypothetical[rows].astype(np.float32, copy=False)


def _check_same_places(source: Source, inside: pd.DataFrame | None, lines: pd.DataFrame) -> None:
    """Where a file has coordinates of its own, the BED file may add names and strands, not other places."""
    if inside is None:
        return
    for column in ("chrom", "start"):
        wrong = np.flatnonzero((inside[column] != lines[column]).to_numpy())
        if len(wrong):
            one, other = inside.iloc[wrong[0]], lines.iloc[wrong[0]]
            raise SeqliftError(
                f"{source.regions}: row {wrong[0]} lies at {other['chrom']}:{other['start']}, in {source.scores} at "
                f"{one['chrom']}:{one['start']}; leave --regions out, or give the BED file of these scores"
            )


def _write(
    rows: Rows,
    to: str,
    output: Path,
    genome: Genome | None,
    target: str | None,
    method: str | None,
    source: Source,
) -> list[Path]:
    """The rows in another format; the files written, coordinates last."""
    if to == "seqlift":
        assert target is not None and method is not None  # likewise
        attributes = {
            "target": target,
            "method": method,
            "source": f"{source.format}: {rows.name}",
            "package_version": __version__,
        }
        if not rows.hypothetical_known:
            attributes["hypothetical"] = "unknown"
        with create_scores(output, rows.coords, length=rows.length, attributes=attributes) as writer:
            for sequences, hypothetical in rows.blocks():
                writer.append(
                    sequences=sequences,
                    hypothetical=hypothetical,
                    contributions=np.where(sequences, hypothetical, np.float32(0)),
                    prediction=np.full(len(sequences), np.nan, np.float32),  # no format says what the model said
                )
        return [output]
    if to in _ARRAYS:
        files = [output.with_name(f"{output.name}.{part}.npz") for part in ("ohe", _ARRAYS[to][1])]
        write_pair(rows, files[0], files[1])
        regions = output.with_name(f"{output.name}.regions.bed")
    else:
        files = [output]
        if to == "bpreveal":
            assert genome is not None  # likewise
            write_bpreveal(rows, output, genome)
        else:
            write_chrombpnet(rows, output)
        regions = output.with_name(f"{output.stem}.regions.bed")
    write_windows(rows.coords, regions)
    return [*files, regions]
