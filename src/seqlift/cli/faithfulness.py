"""`seqlift faithfulness`: do the scores say what the model does?"""

import argparse

from seqlift.cli.shared import accept_lists, add_required, add_shared
from seqlift.core.settings import add_flags, settings_from
from seqlift.faithfulness.settings import FaithfulnessSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    accept_lists(parser)
    add_shared(parser, "--model", "--regions", "--genome")
    add_required(parser, "--scores", "H5", "score files of `seqlift attribute`", nargs="+")
    parser.add_argument("--truth", metavar="BED", help="true sites, of simulated data; column 4 names target or motif")
    add_shared(parser, "--device")
    add_required(parser, "--output-dir", "DIR", "folder for faithfulness.tsv, curves.tsv and the figure")
    add_flags(parser, FaithfulnessSettings)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate the score files."""
    settings = settings_from(arguments, FaithfulnessSettings)

    from seqlift.data.genome import Genome
    from seqlift.faithfulness.judge import judge_explanations
    from seqlift.regions.table import read_regions

    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        result = judge_explanations(
            arguments.model,
            table,
            genome,
            arguments.scores,
            arguments.output_dir,
            **vars(settings),
            truth=arguments.truth,
            device=arguments.device,
        )
    for row in result.itertuples():
        areas = f"beyond random order by {row.deletion_area:.3f} on deletion and {row.insertion_area:.3f} on insertion"
        if row.deletion_area != row.deletion_area:  # NaN
            areas = "the output is not clearly above that of the references, so there is nothing to explain"
        print(f"{row.output}, {row.method}, {row.regions} regions: {areas}")
    print(f"evaluated: {arguments.output_dir}/faithfulness.tsv")
