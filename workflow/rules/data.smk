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
    file: source
    for file, source in downloads(config).items()
    if not os.path.exists(file)
}

DATA_FOLDER = data_path(config, "{file}").removesuffix("{file}")
MISSING_DATA = [
    file.removeprefix(DATA_FOLDER) for file in MISSING if file.startswith(DATA_FOLDER)
]
MISSING_ELSEWHERE = [file for file in MISSING if not file.startswith(DATA_FOLDER)]


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
        # 95 MB and 2 s
        resources:
            mem_mb=1000,
            runtime=START_MINUTES,
        params:
            folder=subpath(output[0], parent=True),
            settings=as_json(config["simulate"]),
            version=RESULTS_VERSION["simulate"],
        message:
            "Simulating a genome with planted GATA1 and TAL1 motifs"
        shell:
            "seqlift simulate --settings {params.settings:q} --output-dir {params.folder:q} > {log:q} 2>&1"


if MISSING:

    rule download_file:
        output:
            data_path(config, "{file}"),
        log:
            f"results/{config['name']}/logs/download/{{file}}.log",
        benchmark:
            f"results/{config['name']}/benchmarks/download/{{file}}.tsv"
        wildcard_constraints:
            file="|".join(map(re.escape, MISSING_DATA)) or "(?!)",
        localrule: True
        conda:
            "../../environment.yml"
        threads: 1
        # Over a line of 1 MB/s an hour is enough for a genome
        resources:
            mem_mb=500,
            runtime=60,
        params:
            # Of its name the config has only one
            source=lambda wildcards: as_json(
                MISSING.get(DATA_FOLDER + wildcards.file) or MISSING[wildcards.file]
            ),
        message:
            "Downloading {wildcards.file}"
        shell:
            "seqlift fetch --settings {params.source:q} --output {output:q} 2>&1 | tee -i {log:q}"

    # Motif databases and references are looked up where snakemake is run
    use rule download_file as download_file_elsewhere with:
        output:
            "{file}",
        wildcard_constraints:
            file="|".join(map(re.escape, MISSING_ELSEWHERE)) or "(?!)",
