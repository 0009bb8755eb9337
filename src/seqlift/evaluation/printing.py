"""The comparison of a model with its baselines as text for a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqlift.evaluation.comparison import Row, comparison, profile_comparison

MIN_WIDTH = 100  # where there is no terminal to ask


def print_comparison(metrics: dict, console: Console | None = None) -> None:
    """Print a table of the held-out numbers of every target, the model above its baselines.

    Parameters
    ----------
    metrics : dict
        The content of metrics.json.
    console : rich.console.Console, optional
        Default: standard output.
    """
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = MIN_WIDTH
    for output, learned in metrics["learned_outputs"].items():
        if not learned:
            text = f"WARNING: the model learned nothing about {output}; do not read anything into its numbers"
            console.print(Text(text, style="bold red"))
    console.print(comparison_table(comparison(metrics)))
    profiles = profile_comparison(metrics)
    if profiles:
        console.print()
        console.print(Text("Median Jensen-Shannon distance of profiles (base 2; 0 is best)", style="bold"))
        console.print(comparison_table(profiles))


def comparison_table(rows: Sequence[Row]) -> Table:
    """Rows of one kind as a table: value and interval a column."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="", padding=(0, 1), pad_edge=False)
    table.add_column("target", overflow="fold")
    table.add_column("predictor", overflow="fold")
    columns = list(dict.fromkeys(column for row in rows for column in row.values))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    before = None
    for row in rows:
        cells = [
            str(row.values[column]).replace(" (", "\n").rstrip(")") if column in row.values else "-"
            for column in columns
        ]
        table.add_row(Text(row.target if row.target != before else ""), Text(row.name), *map(Text, cells))
        before = row.target
    return table
