"""Numbers, probabilities, times and lists as the page writes them."""

import math

import numpy as np
from markupsafe import Markup

from seqlift.evaluation.comparison import Value


def number(value: float | None, digits: int = 3) -> str:
    """A number with a fixed count of decimals; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """A number with its sign."""
    return "–" if value is None or math.isnan(value) else f"{value:+.{digits}f}".replace("-", "−")


def count(value: float | None) -> str:
    """A whole number with narrow spaces between thousands, at which no line breaks."""
    return "–" if value is None or math.isnan(value) else f"{int(value):,}".replace(",", "\u202f")


def percent(value: float | None, digits: int = 0) -> str:
    """A share in percent."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f}\u2009%"


def scientific(value: float | None) -> Markup:
    """A probability: as 0.012, or as 3.1 × 10⁻⁵ when it is small."""
    if value is None or math.isnan(value):
        return Markup("–")
    if value == 0 or value >= 0.001:
        return Markup(f"{value:.3f}" if value else "0")
    exponent = math.floor(math.log10(value))
    mantissa = round(value / 10.0**exponent, 1)
    if mantissa >= 10:
        mantissa, exponent = 1.0, exponent + 1
    return Markup(f"{mantissa:.1f}\u2009×\u200910<sup>−{-exponent}</sup>")


def duration(seconds: float | None) -> str:
    """Seconds as `48 s`, `12 min 5 s` or `2 h 3 min`."""
    if seconds is None or math.isnan(seconds):
        return "–"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def megabytes(size: float | None) -> str:
    """Memory in MB as `350 MB` or `12.3 GB`."""
    if size is None:
        return "–"
    return f"{size:.0f} MB" if size < 1000 else f"{size / 1024:.1f} GB"


def value(found: Value | None) -> Markup:
    """A number with its interval in small below it."""
    if found is None or found.value is None:
        return Markup("–")
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f'<span class="interval">{number(found.low)}–{number(found.high)}</span>'
    return Markup(number(found.value) + interval)


def listed(names: list[str]) -> str:
    """Names as `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def times(n: int) -> str:
    """How often, in words."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def median(values: np.ndarray) -> float | None:
    """The median of the finite values; None where there is none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None


def spread(values: np.ndarray) -> str:
    """Whole numbers in short: `20`, or `10–60, median 20` where they differ."""
    if not len(values):
        return "–"
    low, high = count(values.min()), count(values.max())
    return low if low == high else f"{low}–{high}, median {count(np.median(values))}"
