# The data: simulated, downloaded, or simply there.

SIMULATED_FILES = [
    SIMULATED_GENOME,
    *SIMULATED_PEAKS,
    "truth.bed",
    "motifs.meme",
    "simulation.json",
]

# A file that is there belongs to the user: no rule makes it, so nothing can plan, overwrite or delete it
MISSING = {
    file: download
    for file, download in downloads(config).items()
    if not os.path.exists(data_path(config, file))
}


if SIMULATED:

    rule simulate_data:
        output:
            [data_path(config, name) for name in SIMULATED_FILES],
        log:
            f"results/{config['name']}/logs/simulate_data.log",
        benchmark:
            f"results/{config['name']}/benchmarks/simulate_data.tsv"
        localrule: True
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            folder=subpath(output[0], parent=True),
            settings=as_flags(config["simulate"]),
            version=RESULTS_VERSION["simulate"],
        message:
            "Simulating a genome with planted GATA1 and TAL1 motifs"
        shell:
            "seqlift simulate {params.settings:q} --output-dir {params.folder:q} > {log:q} 2>&1"


if MISSING:

    rule download_file:
        output:
            data_path(config, "{file}"),
        log:
            f"results/{config['name']}/logs/download/{{file}}.log",
        benchmark:
            f"results/{config['name']}/benchmarks/download/{{file}}.tsv"
        wildcard_constraints:
            file="|".join(map(re.escape, MISSING)),
        localrule: True
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=60,
        params:
            source=download_flags,
        message:
            "Downloading {wildcards.file}"
        shell:
            "seqlift fetch {params.source:q} --output {output:q} 2>&1 | tee -i {log:q}"
