"""Chromosome sizes for the header of a track."""

import json
import os
from pathlib import Path

from seqlift.errors import SeqliftError


def read_sizes(path: str | os.PathLike) -> dict[str, int]:
    """Chromosome sizes in bp, in file order, from `regions.json` or a FASTA.

    Raises
    ------
    SeqliftError
        If the file is missing or is neither.
    """
    path = Path(path)
    if path.suffix != ".json":
        from seqlift.data.genome import Genome

        with Genome(path) as genome:
            return {name: int(size) for name, size in genome.sizes.items()}
    try:
        sizes = json.loads(path.read_text(encoding="utf-8"))["genome"]["chromosomes"]
        return {str(name): int(size) for name, size in sizes.items()}
    except FileNotFoundError:
        raise SeqliftError(f"{path}: no such file; `seqlift regions` makes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SeqliftError(
            f"{path}: holds no sizes under genome/chromosomes ({error}); give the regions.json that `seqlift regions` "
            "wrote, or the FASTA"
        ) from None
