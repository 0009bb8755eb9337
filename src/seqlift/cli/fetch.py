"""`seqlift fetch`: download a file, check it against its checksum and convert it."""

import argparse

from seqlift.cli.shared import add_required
from seqlift.core.settings import add_flags, settings_from
from seqlift.data.settings import DownloadSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "file to write; peaks are converted to sorted narrowPeak if its name ends in .narrowPeak"
    add_required(parser, "--output", "FILE", text)
    add_flags(parser, DownloadSettings)


def run(arguments: argparse.Namespace) -> None:
    """Fetch the file and print what came."""
    from seqlift.data.fetch import fetch

    source = settings_from(arguments, DownloadSettings)
    fetched = fetch(
        source.url,
        arguments.output,
        sha256=source.sha256,
        md5=source.md5,
        md5_list=source.md5_list,
        rename=source.rename_chromosomes,
    )
    checked = "checksum as expected" if source.sha256 or source.md5 or source.md5_list else "not checked"
    print(f"{fetched.path}: {fetched.bytes} bytes from {source.url}, {checked}, sha256 {fetched.sha256}")
