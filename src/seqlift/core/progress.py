"""Says how the long stages are going: a live bar on a terminal, a plain line now and then in a log file."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 15.0
_SHARE_BETWEEN_LINES = 0.02  # of the time so far: a job of days writes some hundred lines, not tens of thousands


def seconds_between_lines(elapsed: float) -> float:
    """Seconds until the next line of progress in a log, after this number of seconds."""
    return max(SECONDS_BETWEEN_LINES, _SHARE_BETWEEN_LINES * elapsed)


class TrainingProgress:
    """Epoch, validation loss, regions a second and the time left if all epochs are needed.

    Parameters
    ----------
    epochs : int
        Their largest number.
    regions : int
        Regions in an epoch.
    console : rich.console.Console, optional
        Standard error by default. The bar is drawn if it is a terminal; otherwise lines go to the log.
    shown : bool
        Whether there may be a bar: of several processes only the first has one.
    name : str
        What the text begins with.
    """

    def __init__(
        self, *, epochs: int, regions: int, console: Console | None = None, shown: bool = True, name: str = ""
    ):
        self.epochs = epochs
        self.regions = regions
        self.name = name
        console = console or Console(stderr=True)
        self._bar = None
        if shown and console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[rate]}"),
                TextColumn("at most"),
                TimeRemainingColumn(),
                TextColumn("left"),
                console=console,
                refresh_per_second=4,
            )
            self._task = self._bar.add_task("training", total=epochs * regions, rate="")
        self._first_epoch = 0
        self._started = self._said = time.monotonic()

    def start(self, epochs_done: int) -> None:
        """Begin, after `epochs_done` epochs of an earlier run."""
        self._first_epoch = epochs_done
        self._started = time.monotonic()
        self._said = -float("inf")
        if self._bar:
            self._bar.update(self._task, completed=epochs_done * self.regions)
            self._bar.start()

    def step(self, regions: int) -> None:
        """Count a batch of regions."""
        if self._bar:
            speed = self._bar.tasks[0].speed
            self._bar.update(self._task, advance=regions, rate=f"{speed:,.0f} regions/s" if speed else "")

    def epoch(self, history: list[dict], best_epoch: int, *, ended: bool) -> None:
        """Tell of the epoch that has just ended: the last row of `history`."""
        done, best = len(history), history[best_epoch - 1]["valid_loss"]
        text = (
            f"{self.name}epoch {done}/{self.epochs}, validation loss {history[-1]['valid_loss']:.4f} "
            f"(best {best:.4f} in epoch {best_epoch})"
        )
        if self._bar:
            self._bar.update(self._task, description=text, completed=done * self.regions)
            return
        now = time.monotonic()
        if ended or now - self._said >= seconds_between_lines(now - self._started):
            self._said = now
            per_epoch = (now - self._started) / (done - self._first_epoch)
            left = "" if ended else f", at most {_duration(per_epoch * (self.epochs - done))} left"
            log.info("%s, %s regions/s%s", text, f"{self.regions / per_epoch:,.0f}", left)

    def stop(self) -> None:
        """Leave the terminal as it was, also after an error."""
        if self._bar:
            self._bar.stop()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


@contextlib.contextmanager
def counted_progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """How far a count of regions has come, its rate and the time left; gives the function that counts on."""
    started = said = time.monotonic()
    done = 0
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task(what, total=total, rate="")

    def advance(n: int) -> None:
        nonlocal done, said
        done += n
        now = time.monotonic()
        rate, wait = done / max(now - started, 1e-9), seconds_between_lines(now - started)
        bar.update(task, advance=n, rate=f"{rate:,.0f} regions/s")
        if not console.is_terminal and (done == total or now - said >= wait):
            said = now
            left = math.ceil((total - done) / rate)
            log.info("%s: %d of %d regions, %.0f regions/s, %d s left", what, done, total, rate, left)

    with bar:
        yield advance
