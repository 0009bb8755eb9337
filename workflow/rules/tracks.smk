rule write_track:
    input:
        scores=f"{RUN}/scores/{{target}}.{{method}}.h5",
        summary=f"{RUN}/regions.json",
    output:
        track=f"{RUN}/tracks/{{target}}.{{method}}.bw",
        note=f"{RUN}/tracks/{{target}}.{{method}}.bw.json",
    log:
        f"{RUN}/logs/write_track/{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/write_track/{{target}}.{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=as_flags(config["tracks"]),
        version=RESULTS_VERSION["tracks"],
    message:
        "Laying the {wildcards.method} scores of {wildcards.target} on the genome"
    shell:
        "seqlift tracks --scores {input.scores:q} --genome-sizes {input.summary:q} {params.settings:q}"
        " --output {output.track:q} 2> {log:q}"
