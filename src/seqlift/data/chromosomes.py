"""Names of chromosomes: UCSC writes chr1, Ensembl 1, yeast has Roman numerals, and the mitochondrion many names.

Files of one assembly often differ only in these names. Here the names of two files are compared by their meaning, so
that an error can print the mapping from one to the other.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping

_MITOCHONDRION = {"m", "mt", "mito", "mtdna", "mitochondrion", "mitochondria"}
_SHOWN = 100  # names of a mapping: all chromosomes, not all scaffolds
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50}


def name_mapping(found: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Names in `found` that are not in `known` -> names in `known` of the same chromosome.

    `chr1`, `Chr1` and `1` mean the same, and so do `chrM`, `MT` and `Mito`; and `chrIV` and `chr4` where one side uses
    Roman numerals (then `chrX` is 10 only beside a `chrIX`, else a sex chromosome). Names that fit none or several are
    left out.
    """
    found, known = list(dict.fromkeys(found)), list(dict.fromkeys(known))
    here, there = _meanings(found), _meanings(known)
    by_meaning: dict[str, list[str]] = {}
    for name in known:
        by_meaning.setdefault(there[name], []).append(name)
    mapping = {}
    for name in found:
        meant = by_meaning.get(here[name], [])
        if name not in there and len(meant) == 1:
            mapping[name] = meant[0]
    # Two names of the file for one of the genome would put different sequences at one place
    taken = Counter([*mapping.values(), *(name for name in found if name in there)])
    return {old: new for old, new in mapping.items() if taken[new] == 1}


def mapping_text(mapping: Mapping[str, str]) -> str:
    """A mapping as in a config, `rename_chromosomes: {"1": chr1, M: chrM}`; a hundred names of a longer one."""

    def quoted(name: str) -> str:  # where YAML would read something else than text
        return name if re.fullmatch(r"[A-Za-z]\w*", name) else json.dumps(name)

    pairs = [f"{quoted(old)}: {quoted(new)}" for old, new in mapping.items()]
    more = [f"... ({len(pairs)} in all)"] if len(pairs) > _SHOWN else []
    return f"rename_chromosomes: {{{', '.join([*pairs[:_SHOWN], *more])}}}"


def sed_command(mapping: Mapping[str, str], found: Iterable[str]) -> str:
    """The sed command that renames the first column of a text file which holds these names."""
    everything = set(found) <= set(mapping)
    if everything and all(new == "chr" + old for old, new in mapping.items()):
        return "sed 's/^/chr/'"
    if everything and all(old == "chr" + new for old, new in mapping.items()):
        return "sed 's/^chr//'"
    if len(mapping) > _SHOWN:
        return "a sed script of such lines: s/^old\\t/new\\t/"
    # The tab keeps chr1 from being found in chr10
    edits = " ".join(f"-e 's/^{re.escape(old)}\\t/{new}\\t/'" for old, new in mapping.items())
    return f"sed {edits}"


def naming_advice(missing: Iterable[str], found: Iterable[str], known: Iterable[str]) -> str:
    """The remedy for names of a file that the genome lacks, as the end of a message.

    `found` are all names of the file and `known` those of the genome: one numeral alone is ambiguous.
    """
    missing, found = list(missing), list(found)
    lacking = set(missing)
    mapping = {old: new for old, new in name_mapping(found, known).items() if old in lacking}
    if not mapping:
        return "Use the FASTA file of the assembly the file was made on, or list the others in exclude_chromosomes"
    advice = (
        f"They are written in another way: rename them, by {mapping_text(mapping)} of a download, or by "
        f"{sed_command(mapping, found)} on the file"
    )
    others = [name for name in missing if name not in mapping]
    if others:
        advice += f"; {some(others)} fit no chromosome of the FASTA file: list them in exclude_chromosomes"
    return advice


def some(names: Iterable[str]) -> str:
    """The first five of some names, and how many there are."""
    names = list(names)
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")


def _meanings(names: Iterable[str]) -> dict[str, str]:
    """Canonical form of each name: without 'chr', in lower case, with Arabic numbers."""
    bare = {name: re.sub(r"^(chromosome|chrom|chr)[_.]?(?=.)", "", name, flags=re.IGNORECASE) for name in names}
    numerals = set(bare.values())
    roman = len(numerals & {"I", "II", "III", "IV"}) >= 2 or bool(numerals & {"II", "III", "IV", "VI", "VII", "VIII"})

    def meaning(name: str) -> str:
        if name.lower() in _MITOCHONDRION:
            return "mitochondrion"
        if roman and re.fullmatch(r"[IVXL]+", name) and (name != "X" or "IX" in numerals):
            return str(_value(name))
        return name.lower()

    return {name: meaning(text) for name, text in bare.items()}


def _value(numeral: str) -> int:
    """Value of a Roman numeral."""
    values = [_ROMAN[letter] for letter in numeral]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )
