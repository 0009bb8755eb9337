"""Chromosome names: what means the same is found, and what may not is left alone."""

import subprocess

import pytest

from seqlift.data.chromosomes import mapping_text, name_mapping, naming_advice, sed_command

ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI"]


@pytest.mark.parametrize(
    ("found", "known", "mapping"),
    [
        (["1", "X", "MT"], ["chr1", "chrX", "chrM"], {"1": "chr1", "X": "chrX", "MT": "chrM"}),
        (["chr1", "chrM"], ["1", "MT"], {"chr1": "1", "chrM": "MT"}),
        (["Chr1", "chromosome2"], ["chr1", "chr2"], {"Chr1": "chr1", "chromosome2": "chr2"}),
        (["chr4", "chr10", "Mito"], [f"chr{n}" for n in ROMAN] + ["chrM"],
         {"chr4": "chrIV", "chr10": "chrX", "Mito": "chrM"}),
        (ROMAN, [f"chr{n}" for n in range(1, 17)], {numeral: f"chr{n}" for n, numeral in enumerate(ROMAN, start=1)}),
        # A worm has five autosomes and an X, which is not number ten
        (["1", "X", "10"], ["I", "II", "III", "IV", "V", "X"], {"1": "I"}),
        (["2L", "chr1"], ["chr2L", "chr1"], {"2L": "chr2L"}),
        # Nothing to mend: the names are known, or fit none
        (["chr1", "scaffold_3"], ["chr1", "chr2"], {}),
        # Two names for one chromosome would lay one on the other
        (["1", "Chr1"], ["chr1"], {}),
        (["1", "chr1"], ["chr1"], {}),
        (["1"], ["chr1", "Chr1"], {}),
    ],
)  # fmt: skip
def test_names_are_matched_by_what_they_mean(found, known, mapping):
    assert name_mapping(found, known) == mapping


def test_the_mapping_is_written_as_a_config_has_it():
    assert mapping_text({"1": "chr1", "MT": "chrM"}) == 'rename_chromosomes: {"1": chr1, MT: chrM}'


@pytest.mark.parametrize(
    ("mapping", "others"),
    [
        ({"1": "chr1", "2": "chr2"}, []),
        ({"chr1": "1"}, []),
        ({"1": "chr1"}, ["chrX", "chr11"]),
        ({"chr1": "chrI", "chr10": "chrX", "MT.2": "chrM"}, ["MTx2"]),
    ],
)
def test_the_sed_command_renames_as_said(mapping, others, tmp_path):
    found = [*mapping, *others]
    (tmp_path / "in.bed").write_text("".join(f"{old}\t5\t{old}\n" for old in found))
    command = f"{sed_command(mapping, found)} in.bed"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "".join(f"{mapping.get(old, old)}\t5\t{old}\n" for old in found)


def test_many_scaffolds_do_not_fill_the_screen():
    names = [f"scaffold_{number}" for number in range(20_000)]
    advice = naming_advice(names, names, ["chrM", *(f"chr{name}" for name in names)])
    assert "scaffold_99: chrscaffold_99, ... (20000 in all)}" in advice
    assert "by sed 's/^/chr/' on" in advice
    others = naming_advice(names, [*names, "chrM"], ["chrM", *(f"chr{name}" for name in names)])
    assert "by a sed script of such lines: s/^old\\t/new\\t/ on" in others
    assert len(others) < 6_000


def test_names_that_fit_none_are_told_apart():
    advice = naming_advice(["1", "scaffold7"], ["1", "scaffold7"], ["chr1"])
    assert 'rename_chromosomes: {"1": chr1}' in advice
    assert "scaffold7 fit no chromosome" in advice
    assert "Use the FASTA file of the assembly" in naming_advice(["scaffold7"], ["scaffold7"], ["chr1"])
