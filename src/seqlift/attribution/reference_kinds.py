"""The kinds of references by their names in a config, and what each one is.

The configuration and the commands read this table without importing PyTorch; `seqlift.attribution.references` makes
the references.
"""

from typing import NamedTuple


class Named(NamedTuple):
    """A kind of reference."""

    form: str  # its name, with what follows it in angle brackets
    pattern: str  # regular expression of the whole text
    help: str


KINDS = (
    Named("dinucleotide", "dinucleotide", "shuffles of the sequence that keep the counts of dinucleotides"),
    Named("mononucleotide", "mononucleotide", "shuffles that keep the counts of the bases alone"),
    Named("klet:<1 to 6>", "klet:[1-6]", "shuffles that keep the counts of words of this length"),
    Named("genomic", "genomic", "windows of the genome away from peaks whose GC content differs by at most 0.02"),
    Named("genomic:<tolerance>", "genomic:[0-9.]+", "such windows with another tolerance in GC content"),
    Named("uniform", "uniform", "a quarter of each base"),
    Named("background:<A>,<C>,<G>,<T>", r"background:[0-9.]+(,[0-9.]+){3}", "these frequencies of the bases"),
    Named("zeros", "zeros", "no base at all"),
    Named("fasta:<path>", r"fasta:[^{}\n]+", "sequences of a FASTA file, record k as reference k of every sequence"),
)
PATTERN = f"^({'|'.join(kind.pattern for kind in KINDS)})$"
RULE = f"{', '.join(kind.form for kind in KINDS[:-1])} or {KINDS[-1].form}"
HELP = "; ".join(f"{kind.form}: {kind.help}" for kind in KINDS)
