"""`seqlift attribute`: score every base of a target's regions."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `seqlift attribute`."""
    parser.add_argument("--model", required=True, metavar="CKPT", help="model.ckpt of `seqlift train`")
    parser.add_argument("--regions", required=True, metavar="TSV", help="regions.tsv.gz of `seqlift regions`")
    parser.add_argument("--genome", required=True, metavar="FASTA", help="the genome the regions lie on")
    parser.add_argument("--target", required=True, metavar="NAME", help="its positive regions are explained")
    parser.add_argument("--method", required=True, metavar="METHOD", help="deeplift or interior_gradients")
    parser.add_argument(
        "--references",
        default="dinucleotide",
        metavar="KIND",
        help="dinucleotide (shuffles of the sequence, default), uniform (a quarter of each base) or zeros",
    )
    parser.add_argument("--n-references", type=int, required=True, metavar="R", help="references of each sequence")
    parser.add_argument("--rule", default="rescale", help="DeepLIFT's rule (rescale)")
    parser.add_argument("--steps", type=int, default=50, metavar="K", help="interior gradients: points on each path")
    parser.add_argument(
        "--tolerance",
        type=float,
        required=True,
        metavar="SHARE",
        help="largest accepted completeness delta, as a share of the change in prediction (or of all contributions)",
    )
    parser.add_argument("--max-regions", type=int, required=True, metavar="M", help="a random sample of so many")
    parser.add_argument("--seed", type=int, required=True, help="of references and sample")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto: a GPU if there is one")
    parser.add_argument("--output", required=True, metavar="H5", help="the score file to write")


def run(arguments: argparse.Namespace) -> None:
    """Explain the regions and write the score file."""
    from seqlift.attribution.regions import attribute_regions
    from seqlift.genome import Genome
    from seqlift.regions import read_regions

    table = read_regions(arguments.regions)
    with Genome(arguments.genome) as genome:
        n = attribute_regions(
            arguments.model,
            table,
            genome,
            arguments.output,
            target=arguments.target,
            method=arguments.method,
            references=arguments.references,
            n_references=arguments.n_references,
            rule=arguments.rule,
            steps=arguments.steps,
            max_regions=arguments.max_regions,
            tolerance=arguments.tolerance,
            seed=arguments.seed,
            device=arguments.device,
        )
    print(f"{n} regions of {arguments.target} explained: {arguments.output}")
