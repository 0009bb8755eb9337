rule make_regions:
    input:
        genome=GENOME,
        peaks=list(PEAKS.values()),
    output:
        table=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
    log:
        f"{RUN}/logs/make_regions.log",
    benchmark:
        f"{RUN}/benchmarks/make_regions.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        targets=[
            word
            for name, path in PEAKS.items()
            for word in ("--target", f"{name}={path}")
        ],
        settings=as_flags({**config["regions"], "jitter": config["training"]["jitter"]}),
        version=RESULTS_VERSION["regions"],
    message:
        "Making windows of {wildcards.length} bp around the peaks, and negatives"
    shell:
        "seqlift regions --genome {input.genome:q} {params.targets:q} --length {wildcards.length} {params.settings:q}"
        " --output {output.table:q} --summary {output.summary:q} 2> {log:q}"
