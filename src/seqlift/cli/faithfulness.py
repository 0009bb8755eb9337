"""`seqlift faithfulness`: do the scores say what the model does?"""

import argparse

from seqlift.cli.shared import add_shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `seqlift faithfulness`."""
    parser.add_argument(
        "--model",
        required=True,
        nargs="+",
        metavar="CKPT",
        help="the model.ckpt that was explained; of folds all of them",
    )
    add_shared(parser, "--regions", "--genome")
    parser.add_argument("--scores", required=True, nargs="+", metavar="H5", help="score files of `seqlift attribute`")
    parser.add_argument("--truth", metavar="BED", help="true sites, of simulated data; column 4 names target or motif")
    parser.add_argument("--max-regions", type=int, default=50, metavar="M", help="at most so many of each output")
    parser.add_argument(
        "--mutagenesis",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mutate these regions too, as a yardstick: 3 predictions a base",
    )
    parser.add_argument("--seed", type=int, default=1, help="of sample, references, random orders and bootstrap")
    add_shared(parser, "--device")
    parser.add_argument(
        "--output-dir", required=True, metavar="DIR", help="for faithfulness.tsv, curves.tsv and the figure"
    )


def run(arguments: argparse.Namespace) -> None:
    """Judge the score files."""
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
            max_regions=arguments.max_regions,
            mutagenesis=arguments.mutagenesis,
            truth=arguments.truth,
            seed=arguments.seed,
            device=arguments.device,
        )
    for row in result.itertuples():
        areas = f"beyond random order by {row.deletion_area:.3f} on deletion and {row.insertion_area:.3f} on insertion"
        if row.deletion_area != row.deletion_area:  # NaN
            areas = "the output is not clearly above that of the references, so there is nothing to take away"
        print(f"{row.output}, {row.method}, {row.regions} regions: {areas}")
    print(f"judged: {arguments.output_dir}/faithfulness.tsv")
