"""`seqlift fetch`: download a file, check it against its checksum and convert it."""

import argparse

from seqlift.errors import SeqliftError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this stage."""
    parser.add_argument("--url", required=True, help="http or https")
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="a name in .narrowPeak has peaks converted to sorted narrowPeak"
    )
    checksum = parser.add_mutually_exclusive_group()
    checksum.add_argument("--sha256", metavar="HEX", help="checksum of the file as the server gives it")
    checksum.add_argument("--md5", metavar="HEX", help="checksum of the file as the server gives it")
    checksum.add_argument("--md5-list", metavar="URL", help="list of checksums with a line for the file")
    parser.add_argument(
        "--rename-chromosomes", nargs="+", default=[], metavar="OLD=NEW", help="of peaks: chr1=chrI chr2=chrII ..."
    )


def run(arguments: argparse.Namespace) -> None:
    """Fetch the file and say what came."""
    from seqlift.data.fetch import fetch

    rename = {}
    for text in arguments.rename_chromosomes:
        old, separator, new = text.partition("=")
        if not (old and separator and new):
            raise SeqliftError(f"--rename-chromosomes {text!r} must be OLD=NEW, as in chr1=chrI")
        if old in rename:
            raise SeqliftError(f"--rename-chromosomes names {old!r} twice; a chromosome has one new name")
        rename[old] = new
    fetched = fetch(
        arguments.url,
        arguments.output,
        sha256=arguments.sha256,
        md5=arguments.md5,
        md5_list=arguments.md5_list,
        rename=rename,
    )
    checked = "checksum as expected" if arguments.sha256 or arguments.md5 or arguments.md5_list else "not checked"
    print(f"{fetched.path}: {fetched.bytes} bytes from {arguments.url}, {checked}, sha256 {fetched.sha256}")
