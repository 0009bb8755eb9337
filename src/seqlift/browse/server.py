"""Serves a run to the web browser of this machine.

It listens on the loopback address alone. What it gives out are the few files that the run consists of, each under a
number: no address that a client sends ever becomes a path. Addresses begin with a secret that changes with each start,
so that other users of the machine cannot read along, and a request must name this machine as its host, so that no page
from elsewhere can reach it by a name of its own (DNS rebinding).
"""

import gzip
import http.server
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from seqlift.browse.names import Names, read_names
from seqlift.browse.page import configuration, find_igv, page, static
from seqlift.browse.shown import Shown
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError

log = logging.getLogger(__name__)

_CHUNK = 2**20  # bytes sent at a time
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)
_HEADERS = {
    # Scripts of this server only: nothing in a name can run, nothing outside is requested
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Accept-Ranges": "bytes",
}


@dataclass(frozen=True)
class Content:
    """Bytes that are served: how many, of which type, and how to read some of them."""

    size: int
    kind: str
    read: Callable[[int, int], bytes]


def open_server(shown: Shown, port: int = 0) -> tuple[http.server.ThreadingHTTPServer, str]:
    """A server of a run, on the loopback address, which begins with its `serve_forever`; and the address to open.

    Parameters
    ----------
    shown : Shown
    port : int
        0: any that is free.

    Raises
    ------
    SeqliftError
        If the port is taken or not allowed.
    """
    secret = secrets.token_urlsafe(12)
    contents = _contents(shown)
    names = read_names(shown)

    class Handler(_Handler):
        pass

    Handler.prefix, Handler.contents, Handler.names = f"/{secret}/", contents, names
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SeqliftError(f"--port (={port}) cannot be used: {reason}; take another one, or leave it out") from None
    port = server.server_address[1]
    Handler.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    return server, f"http://127.0.0.1:{port}/{secret}/"


def _contents(shown: Shown) -> dict[str, Content]:
    """Address below the secret -> what is there."""
    igv = find_igv()
    contents = {
        "": _text(page(shown, igv is not None), "text/html; charset=utf-8"),
        "page.css": _text(static("page.css"), "text/css"),
        "page.js": _text(static("page.js"), "text/javascript"),
        "config.json": _text(configuration(shown), "application/json"),
        "genome.fa": _sequence(shown.genome),
        "genome.fa.fai": _text(_index(shown.genome), "text/plain"),
    }
    if igv is not None:
        contents["igv.min.js"] = _file(igv, "text/javascript")
    for number, track in enumerate(shown.tracks):
        contents[f"tracks/{number}.bw"] = _file(track.path, "application/octet-stream")
    for number, (*_, path) in enumerate(shown.hits):
        contents[f"hits/{number}.bed"] = _text(hits_for_browser(path), "text/plain; charset=utf-8")
    for number, (_, path) in enumerate(shown.peaks):
        contents[f"peaks/{number}"] = _file(path, "application/octet-stream")
    if shown.genes is not None:
        contents["genes"] = _file(shown.genes, "application/octet-stream")
    return contents


def _text(content: bytes, kind: str) -> Content:
    return Content(len(content), kind, lambda start, end: content[start:end])


def _file(path: Path, kind: str) -> Content:
    def read(start: int, end: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(end - start)

    return Content(path.stat().st_size, kind, read)


def _sequence(genome: Genome) -> Content:
    """All chromosomes one behind the other, without headers and line ends: the index says where each begins."""

    def read(start: int, end: int) -> bytes:
        return _LETTERS[genome.encoded[start:end]].tobytes()

    return Content(len(genome.encoded), "text/plain", read)


def _index(genome: Genome) -> bytes:
    """As `samtools faidx` writes it: name, bases, where it begins, bases and bytes of a line (each is one line)."""
    lines = (f"{name}\t{size}\t{genome.offsets[name]}\t{size}\t{size}\n" for name, size in genome.sizes.items())
    return "".join(lines).encode()


def hits_for_browser(path: Path) -> bytes:
    """Hits as BED6 with the name of the known motif before that of the pattern, where it has one.

    igv.js ends a name at the first space.
    """
    lines = []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for line in file:
            fields = line.rstrip("\r\n").split("\t")
            if line.startswith("#") or len(fields) < 6:
                continue
            name = f"{fields[6]}·{fields[3]}" if len(fields) > 6 and fields[6] else fields[3]
            name = "_".join(name.split())
            lines.append("\t".join([*fields[:3], name, *fields[4:6]]) + "\n")
    return "".join(lines).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    prefix: str
    contents: dict[str, Content]
    names: Names
    hosts: set[str]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "seqlift", ""
    timeout = 60  # s; a connection that says nothing is closed

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if self.headers.get("Host", "").lower() not in self.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to 127.0.0.1 and localhost only", body)
            return
        address = urlsplit(self.path)
        if not address.path.startswith(self.prefix):
            self._refuse(HTTPStatus.NOT_FOUND, "open the whole address that seqlift browse printed", body)
            return
        name = address.path.removeprefix(self.prefix)
        if name == "search":
            text = parse_qs(address.query).get("q", [""])[0]
            found = json.dumps([place.as_result() for place in self.names.search(text)]).encode()
            self._send(_text(found, "application/json"), body)
        elif name in self.contents:
            self._send(self.contents[name], body)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page", body)

    def _send(self, content: Content, body: bool) -> None:
        span = _span(self.headers.get("Range"), content.size)
        if span is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self._end({"Content-Range": f"bytes */{content.size}", "Content-Length": "0"})
            return
        start, end, partial = span
        headers = {"Content-Type": content.kind, "Content-Length": str(end - start)}
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        self._end(headers)
        if body:
            for part in _parts(content, start, end):
                self.wfile.write(part)

    def _refuse(self, status: HTTPStatus, reason: str, body: bool) -> None:
        text = f"{reason}\n".encode()
        self.send_response(status)
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
        self._end({**headers, "Connection": "close"})
        if body:
            self.wfile.write(text)

    def _end(self, headers: dict[str, str]) -> None:
        for name, value in {**_HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def handle(self) -> None:
        """A web browser often closes a connection that it does not need any more; that is no error."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *values: Any) -> None:
        """Nothing on the screen for each request."""


def _parts(content: Content, start: int, end: int) -> Iterator[bytes]:
    for first in range(start, end, _CHUNK):
        yield content.read(first, min(first + _CHUNK, end))


def _span(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """First byte, the one behind the last, and whether it is a part; None if there is no such part (RFC 9110, 14)."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):  # none, several, or of another unit: all of it
        return 0, size, False
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
    if start >= size or (last and first and int(last) < start) or start >= end:
        return None
    return start, end, True
