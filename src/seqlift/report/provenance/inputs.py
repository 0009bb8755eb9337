"""The files that a run was made from, with the part that each plays, so that their checksums can be written down."""

from collections.abc import Iterator

from seqlift.config import custom_source, data_path


def input_files(config: dict, regions: dict) -> Iterator[tuple[str, str]]:
    """Role and path of every input file besides the genome.

    Parameters
    ----------
    config : dict
        The resolved configuration.
    regions : dict
        regions.json, which names the files that the regions were made from where they lay.
    """
    yield from _files_of_regions(regions)
    for target in config.get("targets") or ():
        if target.get("unlabelled"):
            yield f"unlabelled of {target['name']}", data_path(config, target["unlabelled"])
    source = custom_source(config) if (config.get("model") or {}).get("type") else None
    if source is not None:
        yield "model class", str(source)
    attribution = config.get("attribution") or {}
    for method in attribution.get("methods") or ():
        kind, _, path = str((attribution.get(method) or {}).get("references", "")).partition(":")
        if kind == "fasta":
            yield f"references of {method}", path
    database = (config.get("motifs") or {}).get("database", "jaspar:")
    if not database.startswith("jaspar:"):
        yield "motif database", database
    for name, path in ((config.get("aggregate") or {}).get("sites") or {}).items():
        yield f"sites {name}", data_path(config, path)
    genes = (config.get("report") or {}).get("genes")
    if genes:
        yield "genes", data_path(config, genes)


def _files_of_regions(regions: dict) -> Iterator[tuple[str, str]]:
    for target, peaks in regions["peaks"].items():
        yield f"peaks of {target}", str(peaks["path"])
    for target, files in ((regions.get("signal") or {}).get("files") or {}).items():
        for kind, paths in files.items():
            for path in paths:
                yield f"{kind.replace('_', ', ')} of {target}", str(path)
    negatives = (regions.get("negatives") or {}).get("file")
    if negatives:
        yield "negatives", str(negatives)
    for kind in ("exclude_regions", "include_regions"):
        for path in (regions.get("settings") or {}).get(kind) or ():
            yield kind.replace("_", " "), str(path)
