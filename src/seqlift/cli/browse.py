"""`seqlift browse`: the whole genome of a run in the web browser of this machine."""

import argparse
import contextlib
import webbrowser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", metavar="RESULTS", help="the run's folder, results/<name>/<length>bp")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--no-open", action="store_true", help="only print the address, open no window")


def run(arguments: argparse.Namespace) -> None:
    """Serve the run until Ctrl-C."""
    from seqlift.browse.page import INSTALL, find_igv
    from seqlift.browse.server import open_server
    from seqlift.browse.shown import read_shown

    shown = read_shown(arguments.results)
    server, address = open_server(shown, arguments.port)
    with server:
        if find_igv() is None:
            print(f"igv.js is not installed, so the page only lists the tracks; install it with: {INSTALL}", flush=True)
        print(f"{shown.title}: {address}\nCtrl-C stops it", flush=True)
        if not arguments.no_open:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
