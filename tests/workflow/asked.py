"""What every job of a plan asks for, by Snakemake's own account: `python asked.py Snakefile tasks.json answers.json`.

A task is {"config": path, "sizes": {ending of a file's name: MB}}; "" stands for all other files. Where sizes are
given, all files of the plan are made first, empty but of that size. An answer is a list of {"rule", "wildcards",
"threads", "asked"}, with `asked` for the first and for the second attempt.
"""

import json
import os
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

ASKED = ("mem_mb", "runtime", "gpu")


def make_files(jobs, sizes):
    """Files with holes, which take no room on the disk."""
    for name in {file for job in jobs for file in [*job.input, *job.output]}:
        size = next(size for ending, size in sizes.items() if name.endswith(ending))
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
        os.truncate(name, int(size * 2**20))


def ask(snakefile, task):
    """All jobs of a plan."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        planned = api.workflow(
            resource_settings=ResourceSettings(cores=2),
            config_settings=ConfigSettings(configfiles=[Path(task["config"])]),
            snakefile=Path(snakefile),
        )
        planned.dag(dag_settings=DAGSettings()).execute_workflow(executor="dryrun")
        jobs = [job for job in planned._workflow.dag.jobs if job.rule.shellcmd is not None]
        if task["sizes"]:
            make_files(jobs, task["sizes"])
            planned._workflow.iocache.deactivate()
        return [about(job) for job in jobs]


def about(job):
    found = {"rule": job.rule.name, "wildcards": dict(job.wildcards.items()), "threads": job.threads, "asked": []}
    for attempt in (1, 2):
        job.attempt = attempt
        given = {name: job.resources.get(name) for name in ASKED}
        found["asked"].append(
            {name: value if isinstance(value, int | None) else str(value) for name, value in given.items()}
        )
    return found


if __name__ == "__main__":
    answers = [ask(sys.argv[1], task) for task in json.loads(Path(sys.argv[2]).read_text())]
    Path(sys.argv[3]).write_text(json.dumps(answers))
