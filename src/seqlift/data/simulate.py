"""DeepLIFT's genomics experiment with known truth: GATA1 and TAL1 sites planted in random DNA (arXiv 1704.02685, 4.2).

A quarter of the sequences hold no motif, a quarter GATA1 only, a quarter TAL1 only, a quarter both. A motif occurs one
to three times in a sequence, each count equally often. Each instance is sampled from the motif's JASPAR matrix, column
by column and without pseudocount, on either strand; all non-overlapping placements of the instances are equally likely.
All other bases are independent with A, C, G, T = 0.3, 0.2, 0.2, 0.3.

The sequences lie on contigs with more of that background between them, written as the files of a real project: a
genome, a peak file for each target, and the true sites.
"""

import functools
import json
import os
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seqlift.core.files import replacing
from seqlift.errors import SeqliftError

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "seqlift simulation 1"
BACKGROUND = (0.3, 0.2, 0.2, 0.3)
JASPAR_RELEASE = "JASPAR2024"  # all releases since 2014 hold these two versions, with the same counts
MOTIFS = {"GATA1": "MA0035.3", "TAL1": "MA0091.1"}
TARGETS = {"both": ("GATA1", "TAL1"), "GATA1": ("GATA1",), "TAL1": ("TAL1",)}
CLASSES = {"none": (), "GATA1": ("GATA1",), "TAL1": ("TAL1",), "both": ("GATA1", "TAL1")}
MAX_INSTANCES = 3
CONTIGS = 10
SPACER = 600  # bp; negatives of 200 bp fit between two sequences and stay 200 bp away from both


@dataclass(frozen=True)
class Motif:
    """A planted motif, GATA1 or TAL1, with the counts of its JASPAR matrix, shape (4, W), bases A C G T."""

    name: str
    jaspar_id: str
    jaspar_name: str
    counts: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Share of each base at each position, shape (4, W)."""
        return self.counts / self.counts.sum(axis=0)

    @property
    def width(self) -> int:
        """Positions of the motif, bp."""
        return self.counts.shape[1]


@dataclass(frozen=True)
class Simulation:
    """The parameters of a simulation, read from its `simulation.json`.

    Attributes
    ----------
    motifs : dict
        Name -> `Motif`.
    targets : dict
        Target -> names of the motifs in its sequences, all of which are required.
    background : array, shape (4,)
    length : int, bp
    max_instances : int
        Largest number of instances of a motif in a sequence.
    """

    folder: Path
    motifs: dict[str, Motif]
    targets: dict[str, tuple[str, ...]]
    background: np.ndarray
    length: int
    max_instances: int

    @functools.cached_property
    def sites(self) -> "pd.DataFrame":
        """All planted sites, as `read_peaks` gives them; read once."""
        from seqlift.data.intervals import read_peaks

        return read_peaks(self.folder / "truth.bed")


def simulate(
    output_dir: str | os.PathLike, *, seed: int, n_sequences: int = 8000, length: int = 200, contigs: int = CONTIGS
) -> Simulation:
    """Make the experiment and write genome.fa, one BED per target, truth.bed, motifs.meme and simulation.json.

    The same arguments give the same bytes. Each contig gets the same number of sequences of each class, give or take
    one. The score of a peak is the number of instances planted for its target.

    Parameters
    ----------
    output_dir : path-like
        Folder for the files; made if needed.
    seed : int
        At least 0.
    n_sequences : int
        A multiple of 4, for the four classes.
    length : int, bp
        Length of a sequence; three instances of each motif must fit.
    contigs : int
        The contigs are named sim1, sim2 and so on; spacer DNA of 600 bp lies before, between and after the sequences.

    Raises
    ------
    SeqliftError
        If a number is out of range.
    """
    motifs = {name: jaspar_motif(name, jaspar_id) for name, jaspar_id in MOTIFS.items()}
    shortest = MAX_INSTANCES * sum(motif.width for motif in motifs.values())
    if n_sequences <= 0 or n_sequences % len(CLASSES):
        raise SeqliftError(f"the number of sequences (={n_sequences}) must be a positive multiple of {len(CLASSES)}")
    if length < shortest:
        raise SeqliftError(f"the length (={length}) must be at least {shortest} bp: three instances of each motif")
    if contigs < 1:
        raise SeqliftError(f"the number of contigs (={contigs}) must be at least 1")
    if seed < 0:
        raise SeqliftError(f"the seed (={seed}) must be 0 or more")

    rng = np.random.default_rng(seed)
    genome: dict[str, np.ndarray] = {}
    regions: list[tuple] = []
    sites: list[tuple] = []
    for number, classes in enumerate(_deal_classes(n_sequences, contigs, rng), start=1):
        chrom = f"sim{number}"
        contig = rng.choice(4, size=SPACER + len(classes) * (length + SPACER), p=BACKGROUND).astype(np.uint8)
        for i, label in enumerate(classes):
            start = SPACER + i * (length + SPACER)
            planted = _plant(contig[start : start + length], [motifs[name] for name in CLASSES[label]], rng)
            name = f"seq{len(regions) + 1:05d}"
            regions.append((name, chrom, start, start + length, label))
            sites += [(chrom, start + at, motif, strand, name) for at, motif, strand in planted]
        genome[chrom] = contig

    folder = Path(output_dir)
    _write_lines(folder / "genome.fa", _fasta(genome))
    planted_in: dict[str, list[str]] = {region[0]: [] for region in regions}
    for _, _, motif, _, region in sites:
        planted_in[region].append(motif.name)
    for target, wanted in TARGETS.items():
        lines = (
            f"{chrom}\t{start}\t{end}\t{name}\t{sum(motif in wanted for motif in planted_in[name])}\t."
            for name, chrom, start, end, label in regions
            if set(wanted) <= set(CLASSES[label])
        )
        _write_lines(folder / f"{target}.bed", lines)
    _write_lines(
        folder / "truth.bed",
        (f"{chrom}\t{at}\t{at + motif.width}\t{motif.name}\t0\t{strand}" for chrom, at, motif, strand, _ in sites),
    )
    _write_lines(folder / "motifs.meme", _meme(motifs.values()))
    description = {
        "format": FORMAT,
        "seed": seed,
        "sequences": n_sequences,
        "length": length,
        "max_instances": MAX_INSTANCES,
        "background": dict(zip("ACGT", BACKGROUND, strict=True)),
        "spacer": SPACER,
        "contigs": {chrom: len(contig) for chrom, contig in genome.items()},
        "motifs": {
            motif.name: {
                "jaspar_id": motif.jaspar_id,
                "jaspar_name": motif.jaspar_name,
                "release": JASPAR_RELEASE,
                "pseudocount": 0,
                "counts": dict(zip("ACGT", motif.counts.tolist(), strict=True)),
            }
            for motif in motifs.values()
        },
        "targets": TARGETS,
        "classes": {label: sum(region[-1] == label for region in regions) for label in CLASSES},
        "columns": ["name", "chrom", "start", "end", "class"],
        "regions": regions,
    }
    _write_lines(folder / "simulation.json", [json.dumps(description)])  # last: where it is, the others are
    return read_simulation(folder)


def read_simulation(folder: str | os.PathLike) -> Simulation:
    """Read back what `simulate` wrote into `folder`.

    Raises
    ------
    SeqliftError
        If the folder holds no simulation or its description is not whole.
    """
    path = Path(folder) / "simulation.json"
    try:
        description = json.loads(path.read_text())
        if description["format"] != FORMAT:
            raise ValueError(f"its format is {description['format']!r}")
        motifs = {
            name: Motif(
                name, motif["jaspar_id"], motif["jaspar_name"], np.array([motif["counts"][base] for base in "ACGT"])
            )
            for name, motif in description["motifs"].items()
        }
        return Simulation(
            folder=Path(folder),
            motifs=motifs,
            targets={target: tuple(names) for target, names in description["targets"].items()},
            background=np.array([description["background"][base] for base in "ACGT"]),
            length=description["length"],
            max_instances=description["max_instances"],
        )
    except OSError as error:
        raise SeqliftError(f"{path}: {error.strerror}; make the simulation with `seqlift simulate`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SeqliftError(
            f"{path} is not a whole {FORMAT!r} file ({error}); make it again with `seqlift simulate`"
        ) from None


def jaspar_motif(name: str, jaspar_id: str) -> Motif:
    """The JASPAR matrix with this id and version, from the database that pyjaspar brings along."""
    from pyjaspar import jaspardb

    database = jaspardb(release=JASPAR_RELEASE)
    try:
        found = database.fetch_motif_by_id(jaspar_id)
    finally:
        database.conn.close()
    counts = np.array([found.counts[base] for base in "ACGT"], dtype=float)
    return Motif(name, jaspar_id, found.name, counts)


def _deal_classes(n_sequences: int, contigs: int, rng: np.random.Generator) -> list[list[str]]:
    """Classes of the sequences of each contig, in their order."""
    labels = np.repeat(list(CLASSES), n_sequences // len(CLASSES))
    return [rng.permutation(labels[contig::contigs]).tolist() for contig in range(contigs)]


def _plant(sequence: np.ndarray, motifs: list[Motif], rng: np.random.Generator) -> list[tuple[int, Motif, str]]:
    """Plant 1 to 3 instances of each motif in `sequence`, shape (L,), in place; returns (start, motif, strand)."""
    instances = [motif for motif in motifs for _ in range(rng.integers(1, MAX_INSTANCES + 1))]
    instances = [instances[i] for i in rng.permutation(len(instances))]
    # An order of the instances and a choice of their slots among the free bases: each placement is equally likely.
    free = len(sequence) - sum(motif.width for motif in instances)
    slots = np.sort(rng.choice(free + len(instances), size=len(instances), replace=False))
    planted, shift = [], 0
    for i, (slot, motif) in enumerate(zip(slots, instances, strict=True)):
        at = int(slot) - i + shift
        shift += motif.width
        strand = "+-"[rng.integers(2)]
        cumulative = np.cumsum(motif.probabilities, axis=0)[:3]
        instance = (rng.random(motif.width) >= cumulative).sum(axis=0)  # (W,), codes 0 to 3
        sequence[at : at + motif.width] = instance if strand == "+" else 3 - instance[::-1]
        planted.append((at, motif, strand))
    return planted


def _fasta(genome: dict[str, np.ndarray]) -> Iterable[str]:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    for chrom, contig in genome.items():
        yield f">{chrom}"
        text = letters[contig].tobytes().decode()
        yield from (text[i : i + 80] for i in range(0, len(text), 80))


def _meme(motifs: Iterable[Motif]) -> Iterable[str]:
    """Minimal MEME motif format, version 4."""
    background = " ".join(f"{base} {share}" for base, share in zip("ACGT", BACKGROUND, strict=True))
    yield textwrap.dedent(f"""\
        MEME version 4

        ALPHABET= ACGT

        strands: + -

        Background letter frequencies
        {background}
        """)
    for motif in motifs:
        yield f"MOTIF {motif.jaspar_id} {motif.jaspar_name}"
        yield f"letter-probability matrix: alength= 4 w= {motif.width} nsites= {round(motif.counts[:, 0].sum())} E= 0"
        yield from (" ".join(f"{share:.6f}" for share in column) for column in motif.probabilities.T)
        yield ""


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))
