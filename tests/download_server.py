"""A web server on this machine that fails in the ways in which servers and networks fail."""

import http.server
import threading
import time


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `faults` says what to do with the first requests for a path, one fault a request.

    A fault is a number (an HTTP status), ("busy", s): 503, to come back after s seconds, "close": answer nothing, or
    one of these, where n is a number of bytes of the body: ("cut", n): end the connection after them; ("short", n): the
    same, and the length was never told; ("stall", n): send nothing more, and leave the connection open. `ranges`:
    whether Range is honoured; `etag`: version mark, or None; `requests`: path, Range and If-Range of all.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {}
        self.faults = {}
        self.requests = []
        self.ranges = True
        self.etag = '"1"'
        self.ended = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, path):
        """What was asked for of a path: the Range of each request, None for all of it."""
        return [wanted for asked, wanted, _ in self.requests if asked == path]


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        faults = server.faults.get(self.path, [])
        fault = faults.pop(0) if faults else None
        self.close_connection = True
        if fault == "close":
            return
        kind, size = fault if isinstance(fault, tuple) else (None, 0)
        if kind == "busy":
            self.send_response(503)
            self.send_header("Retry-After", str(size))
            self.end_headers()
            return
        if isinstance(fault, int) or self.path not in server.files:
            self.send_error(fault or 404)
            return
        body = server.files[self.path]
        start = 0
        wanted = self.headers.get("Range")
        if wanted and server.ranges and self.headers.get("If-Range") in (None, server.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        if kind != "short":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : start + size] if fault else body[start:])
        if kind == "stall":
            self.wfile.flush()
            server.ended.wait()


def wait_until(condition, seconds=60.0):
    """Return when `condition()` is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
