"""Downloads of public data: complete, checked against their checksum, peaks converted to narrowPeak."""

import contextlib
import fcntl
import hashlib
import http.client
import json
import logging
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import unquote, urlsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from seqlift import __version__
from seqlift.core.files import replacing
from seqlift.core.progress import SECONDS_BETWEEN_LINES
from seqlift.data.intervals import read_lines, read_peaks, split_fields
from seqlift.data.settings import URL
from seqlift.errors import SeqliftError, without_password

log = logging.getLogger(__name__)

_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # HTTP: busy or broken for now
_LONGEST_PAUSE = 60.0  # seconds


@dataclass(frozen=True)
class Fetched:
    """What `fetch` brought: its path, the number of bytes downloaded, and their SHA-256."""

    path: Path
    bytes: int
    sha256: str


def fetch(
    url: str,
    output: str | os.PathLike,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    md5_list: str | None = None,
    rename: Mapping[str, str] | None = None,
    attempts: int = 5,
    timeout: float = 60.0,
    pause: float = 1.0,
) -> Fetched:
    """Download a file over HTTP, check it, and put the complete file in place.

    A download that breaks off resumes where it stopped, also in a later call: until it is complete it lies beside
    `output` as `.<name>.part`. Of two calls for the same `output`, also in two processes, the later one waits for the
    other; an existing file with the expected checksum is not fetched again. If `output` ends in `.narrowPeak`, the file
    is read as peaks, its chromosomes are renamed, and sorted narrowPeak is written (the summit of a BED peak is the
    middle of the interval). Checksums are those of the file as the server sends it.

    Parameters
    ----------
    url : str
        http or https, without user name and password: messages and logs name it.
    output : path of the file to write
    sha256, md5, md5_list, rename : optional
        See `seqlift.data.settings.DownloadSettings`.
    attempts : int
        Tries in a row without a new byte before giving up.
    timeout : float
        Seconds without an answer before a try counts as failed.
    pause : float
        Seconds before the second try; doubled for each further one, up to a minute.

    Raises
    ------
    SeqliftError
        If the download fails, its checksum differs, or it holds no peaks where peaks are expected. `output` is not
        changed.
    """
    output = Path(output)
    to_peaks = output.name.endswith(".narrowPeak")
    if rename and not to_peaks:
        raise SeqliftError(f"{output}: chromosomes are renamed in peak files only; let its name end in .narrowPeak")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {"attempts": attempts, "timeout": timeout, "pause": pause}
        with _Download(url, output.with_name(f".{output.name}.part"), **settings) as source:
            expected = _expected_checksums(url, output, sha256, md5, md5_list, settings)
            if expected and not to_peaks and output.is_file():  # the call we waited for has brought it
                found = _checksums(output)
                if all(found[kind] == value for kind, value in expected.items()):
                    return Fetched(output, output.stat().st_size, found["sha256"])
            source.run(bool(expected))
            found = _checksums(source.part)
            if source.doubtful and any(found[kind] != value for kind, value in expected.items()):
                source.discard()  # perhaps the file changed between the pieces, or its end is missing
                source.run(True)
                found = _checksums(source.part)
            for kind, value in expected.items():
                if found[kind] != value:
                    size = source.bytes
                    source.discard()
                    raise SeqliftError(
                        f"{url}: the {kind} of the file received ({size} bytes) is {found[kind]}, must be {value}; it "
                        "may have changed at its source or on the way. Change the checksum only if the file is right"
                    )
            result = Fetched(output, source.bytes, found["sha256"])
            if to_peaks:
                try:
                    _write_narrow_peak(source.part, output, rename)
                except SeqliftError as error:
                    raise SeqliftError(str(error).replace(str(source.part), url)) from None
                finally:
                    source.discard()
            else:
                with replacing(output) as temporary:
                    source.move_to(temporary)
    except OSError as error:
        raise SeqliftError(
            f"{output}: cannot be written ({error.strerror or error}); make room on the disk, or the folder writable, "
            "and start again: the download resumes"
        ) from None
    return result


def _write_narrow_peak(source: str | os.PathLike, output: str | os.PathLike, rename: Mapping[str, str] | None) -> None:
    """Write peaks (BED, narrowPeak or broadPeak) as narrowPeak, sorted by chromosome, start and end.

    A narrowPeak source keeps its columns. For any other, signal is the score, p and q are -1 (unknown); a missing name
    becomes '.', a missing score 0.
    """
    peaks = read_peaks(source, rename=rename)
    chosen = set(peaks["line"])
    fields_of = {number: split_fields(line) for number, line in read_lines(source) if number in chosen}
    lines = []
    for peak in peaks.sort_values(["chrom", "start", "end", "line"]).itertuples():
        fields = fields_of[peak.line]
        score = "0" if peak.score != peak.score else fields[4]
        rest = fields[6:9] if len(fields) == 10 else [score, "-1", "-1"]
        row = [peak.chrom, peak.start, peak.end, peak.name or ".", score, peak.strand, *rest, peak.summit - peak.start]
        lines.append("\t".join(map(str, row)) + "\n")
    with replacing(output) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _expected_checksums(
    url: str, output: Path, sha256: str | None, md5: str | None, md5_list: str | None, settings: dict
) -> dict[str, str]:
    """Kind of checksum -> value in lower case."""
    expected = {}
    for kind, value, digits in (("sha256", sha256, 64), ("md5", md5, 32)):
        if value is not None:
            if not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", value):
                raise SeqliftError(f"{kind} {value!r} must be {digits} hexadecimal digits")
            expected[kind] = value.lower()
    if md5_list is not None:
        name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
        known = {}
        with _Download(md5_list, output.with_name(f".{output.name}.md5.part"), **settings) as listing:
            listing.discard()  # an old piece of it is worth nothing
            try:
                listing.run(False)
                for _, line in read_lines(listing.part):
                    match = re.fullmatch(r"\s*([0-9a-fA-F]{32})\s+[* ]?(?:\./)?(\S+)\s*", line)
                    if match:
                        known[match[2]] = match[1].lower()
            except SeqliftError as error:
                raise SeqliftError(str(error).replace(str(listing.part), md5_list)) from None
            finally:
                listing.discard()
        if name not in known:
            some = ", ".join(list(known)[:5]) or "no checksum at all"
            raise SeqliftError(f"{md5_list}: has no line '<md5>  {name}'; it lists {some}. Give the checksum itself")
        expected["md5"] = known[name]
    return expected


class _BrokenOffError(Exception):
    """A try failed, the next may succeed; `pause` is how many seconds the server wants to wait."""

    def __init__(self, message: str, pause: float = 0.0):
        super().__init__(message)
        self.pause = pause


class _Download:
    """A partial download: the part received so far, and how to get the rest.

    Beside the part are notes: the URL and the server's version mark (ETag or date), so that pieces of two versions are
    never joined. Inside its `with` no other process writes the part: a killed workflow may leave one that still does.
    """

    _lock: IO[bytes]

    def __init__(self, url: str, part: Path, *, attempts: int, timeout: float, pause: float):
        if not re.fullmatch(URL["pattern"].strip("^$"), url):
            raise SeqliftError(f"{without_password(url)!r}: must be {URL['x-rule']}")
        self.url = url
        self.part = part
        self.doubtful = False
        self._notes = part.with_name(part.name + ".json")
        self._attempts = attempts
        self._timeout = timeout
        self._pause = pause

    @property
    def bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def __enter__(self) -> Self:
        while True:
            self._lock = open(self.part, "ab")
            try:
                self._wait_for_lock()
                if self._holds_part():
                    return self
            except BaseException:
                self._lock.close()
                raise
            self._lock.close()  # the other process has finished that part: there is another file now

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            if self._holds_part() and not self.bytes:
                self._notes.unlink(missing_ok=True)
                self.part.unlink()

    def _holds_part(self) -> bool:
        """Whether the locked file is still the part: a complete one is moved away."""
        return self.part.exists() and os.path.samestat(os.fstat(self._lock.fileno()), self.part.stat())

    def _wait_for_lock(self) -> None:
        with contextlib.suppress(OSError):  # a file system without locks: go on without
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("%s: waiting for another process that is downloading it", self.url)
                fcntl.flock(self._lock, fcntl.LOCK_EX)

    def move_to(self, path: Path) -> None:
        """Move the complete part to its place."""
        self._notes.unlink(missing_ok=True)
        self.part.replace(path)

    def discard(self) -> None:
        """Start again. The part is emptied, not deleted, because the lock is on this file."""
        if self.part.exists():
            os.truncate(self.part, 0)
        self._notes.unlink(missing_ok=True)
        self.doubtful = False

    def run(self, checked: bool) -> None:
        """Get the whole file. If its checksum is `checked` later, pieces may be joined without a version mark."""
        failures = 0
        most = self.bytes
        while True:
            try:
                self._receive(checked)
                return
            except _BrokenOffError as error:
                failures = 0 if self.bytes > most else failures + 1
                most = max(most, self.bytes)
                if failures >= self._attempts:
                    raise SeqliftError(
                        f"{self.url}: cannot be fetched: {error} ({failures} tries in a row without a new byte, "
                        f"{self.bytes} bytes so far). Check the address and the network (behind a proxy: https_proxy), "
                        "and start again: the download resumes"
                    ) from None
                pause = min(max(self._pause * 2 ** max(failures - 1, 0), error.pause), _LONGEST_PAUSE)
                log.info("%s: %s; %d bytes so far, trying again in %g s", self.url, error, self.bytes, pause)
                time.sleep(pause)

    def _receive(self, checked: bool) -> None:
        """Try once to get what is missing."""
        have, headers = self._resume(checked)
        headers |= {"User-Agent": f"seqlift/{__version__}", "Accept-Encoding": "identity"}
        try:
            response = urllib.request.urlopen(urllib.request.Request(self.url, headers=headers), timeout=self._timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and have:  # the request was for bytes past the end
                if error.headers.get("Content-Range") == f"bytes */{have}":
                    return
                self.discard()
                raise _BrokenOffError("the file has changed at its source") from None
            if error.code in _TRY_AGAIN:
                wanted = error.headers.get("Retry-After", "")  # seconds, or a date, which is ignored
                pause = float(wanted) if wanted.isdecimal() else 0.0
                raise _BrokenOffError(f"the server answers {error.code} {error.reason}", pause) from None
            answer = f"{error.code} {error.reason}"
            raise SeqliftError(f"{self.url}: the server answers {answer}, must be 200; check the address") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise SeqliftError(
                    f"{self.url}: the server's certificate is not trusted ({error.reason.verify_message}); install the "
                    "system's ca-certificates, or set SSL_CERT_FILE"
                ) from None
            raise _BrokenOffError(str(error.reason)) from None
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOffError(str(error) or type(error).__name__) from None
        except ValueError as error:  # an impossible host name
            raise SeqliftError(f"{self.url}: the address is not valid ({error}); correct it") from None
        with response:
            self._store(response, have)

    def _resume(self, checked: bool) -> tuple[int, dict[str, str]]:
        """How many bytes can be kept, and the headers that request the rest."""
        have = self.bytes
        if not have:
            return 0, {}
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            url, version = notes["url"], notes["version"]
        except (OSError, ValueError, KeyError, TypeError):
            return 0, {}
        if url != self.url or not (version or checked):
            return 0, {}
        return have, {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})

    def _store(self, response: http.client.HTTPResponse, have: int) -> None:
        """Write the body of the answer after the first `have` bytes, or from the start if the server sends all."""
        if response.status == 206 and have:
            sent = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if not sent or int(sent[1]) != have:
                self.discard()
                raise _BrokenOffError("the server sent another part than requested")
            self.doubtful = True
        else:
            have = 0
            etag = response.headers.get("ETag") or ""
            version = response.headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag
            self._notes.write_text(json.dumps({"url": self.url, "version": version}), encoding="utf-8")
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None and length.isdecimal() else None
        if total is None and not response.chunked:
            self.doubtful = True  # a connection that broke looks like the end
        name = unquote(urlsplit(self.url).path).rsplit("/", 1)[-1]
        said = time.monotonic()
        console = Console(stderr=True)
        columns = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()]
        columns.append(TimeRemainingColumn())
        bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        with open(self.part, "ab" if have else "wb") as file, bar as progress:
            task = progress.add_task(name, total=total, completed=have)
            while True:
                try:
                    block = response.read1(2**16)  # whatever is there: nothing is lost if the server stalls
                except (OSError, http.client.HTTPException) as error:
                    raise _BrokenOffError(f"the connection broke: {error or type(error).__name__}") from None
                if not block:
                    break
                file.write(block)
                file.flush()
                progress.update(task, advance=len(block))
                if progress.disable and time.monotonic() - said >= SECONDS_BETWEEN_LINES:
                    said = time.monotonic()
                    of_all = "" if total is None else f" of {total / 1e6:,.0f}"
                    log.info("%s: %s%s MB", name, f"{file.tell() / 1e6:,.0f}", of_all)
        if total is not None and self.bytes != total:
            raise _BrokenOffError(f"the connection ended after {self.bytes} of {total} bytes")


def _checksums(path: Path) -> dict[str, str]:
    found = {}
    for kind in ("sha256", "md5"):
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.new, kind, usedforsecurity=False))
        found[kind] = digest.hexdigest()
    return found
