"""`seqlift run`: the whole workflow in the current folder, by Snakemake, also where there is no checkout."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from seqlift.config.text import check_text
from seqlift.core.gpus import visible_gpus
from seqlift.core.packaged import workflow_root
from seqlift.errors import SeqliftError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "seqlift run [-h] [--configfile YAML ...] [--cores N] [--profile NAME] [-n] [-- SNAKEMAKE ...]"
    parser.epilog = f"The workflow: {workflow_root() / 'workflow'}. A config to start from: seqlift template"
    add = parser.add_argument
    text = "settings of the run; of several files the later ones win (default: the demo on simulated data)"
    add("--configfile", nargs="+", default=[], metavar="YAML", help=text)
    add("--cores", metavar="N", help="CPU cores, a number or all (default: all, with --profile what the profile says)")
    text = "where and how jobs run, in place of the workflow's own profile: slurm, or the path of your own folder"
    add("--profile", metavar="NAME", help=text)
    add("-n", "--dry-run", action="store_true", help="only print which jobs would run, and why")
    add("snakemake", nargs="*", metavar="SNAKEMAKE", help="after --: flags and files for snakemake")


def run(arguments: argparse.Namespace) -> None:
    """Become Snakemake: its exit status, its screen and Ctrl-C are those of this command."""
    flags = snakemake_flags(arguments)
    if importlib.util.find_spec("snakemake") is None:
        raise SeqliftError(f"Snakemake is not installed for {sys.executable}; install it: pip install snakemake")
    # By the Python that runs seqlift: nothing need be activated. With -P, files in the current folder are no modules.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "snakemake", *flags])


def snakemake_flags(arguments: argparse.Namespace) -> list[str]:
    """Arguments of Snakemake. Flags with any number of values come before those with one."""
    workflow = workflow_root() / "workflow"
    for path in arguments.configfile:
        if not Path(path).exists():
            raise SeqliftError(
                f"--configfile {path}: no such file in {Path.cwd()}; `seqlift template > {path}` makes one to fill in"
            )
        check_text(Path(path))  # Snakemake would not say where it is wrong
    first = arguments.snakemake[0] if arguments.snakemake else ""
    if first.endswith((".yaml", ".yml")) and not arguments.configfile:
        # Snakemake would take it for a file to make, say that it is there, and be done
        raise SeqliftError(f"{first}: name a config with --configfile {first}")
    flags = ["--configfile", *arguments.configfile] if arguments.configfile else []
    gpus = visible_gpus() or []
    if len(gpus) > 1 and arguments.profile is None:
        flags += ["--resources", f"gpu={len(gpus)}"]  # the user's own --resources come later and win
    flags += ["--snakefile", str(workflow / "Snakefile")]
    if arguments.profile is not None:
        flags += ["--workflow-profile", str(profile_folder(arguments.profile, workflow / "profiles"))]
    # A cluster's profile says how many jobs there may be; all cores of this machine would be a limit for the cluster
    cores = arguments.cores or ("all" if arguments.profile is None else None)
    if cores is not None:
        flags += ["--cores", cores]
    return flags + ["--dry-run"] * arguments.dry_run + arguments.snakemake


def profile_folder(name: str, profiles: Path) -> Path:
    """The folder of a profile, by its path or by the name of one of the workflow's. Snakemake ignores a missing one."""
    for folder in (Path(name), profiles / name):
        if folder.is_dir():
            return folder
    known = ", ".join(sorted(folder.name for folder in profiles.iterdir()))
    raise SeqliftError(
        f"--profile {name}: neither a folder in {Path.cwd()} nor one of the workflow's profiles ({known}); "
        f"a profile among your settings of Snakemake goes after --: seqlift run -- --profile {name}"
    )
