# Standard errors need references that differ
WITH_ERRORS = [
    method
    for method in METHODS
    if config["attribution"][method]["n_references"] != 1
    and config["attribution"][method]["references"].partition(":")[0]
    not in ("uniform", "background", "zeros")
]

CONTRIBUTION_TRACKS = expand(
    f"{RUN}/tracks/{{target}}.{{method}}.bw",
    target=OUTPUTS,
    method=METHODS,
    allow_missing=True,
)
ERROR_TRACKS = expand(
    f"{RUN}/tracks/{{target}}.{{method}}.standard_error.bw",
    target=OUTPUTS,
    method=WITH_ERRORS,
    allow_missing=True,
)
DIFFERENCE_TRACKS = (
    expand(f"{RUN}/tracks/{{target}}.difference.bw", target=OUTPUTS, allow_missing=True)
    if config["tracks"]["difference"]
    else []
)
TRACK_FILES = [*CONTRIBUTION_TRACKS, *ERROR_TRACKS, *DIFFERENCE_TRACKS]


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
        overlap=config["tracks"]["overlap"],
        version=RESULTS_VERSION["tracks"],
    message:
        "Laying the {wildcards.method} scores of {wildcards.target} on the genome"
    shell:
        "seqlift tracks write --scores {input.scores:q} --genome-sizes {input.summary:q} --overlap {params.overlap:q}"
        " --output {output.track:q} 2> {log:q}"


rule write_error_track:
    input:
        scores=f"{RUN}/scores/{{target}}.{{method}}.h5",
        summary=f"{RUN}/regions.json",
    output:
        track=f"{RUN}/tracks/{{target}}.{{method}}.standard_error.bw",
        note=f"{RUN}/tracks/{{target}}.{{method}}.standard_error.bw.json",
    log:
        f"{RUN}/logs/write_error_track/{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/write_error_track/{{target}}.{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        overlap=config["tracks"]["overlap"],
        version=RESULTS_VERSION["tracks"],
    message:
        "Laying the standard errors of the {wildcards.method} scores of {wildcards.target} on the genome"
    shell:
        "seqlift tracks write --value standard-error --scores {input.scores:q} --genome-sizes {input.summary:q}"
        " --overlap {params.overlap:q} --output {output.track:q} 2> {log:q}"


rule write_difference_track:
    input:
        scores=f"{RUN}/scores/{{target}}.deeplift.h5",
        minus=f"{RUN}/scores/{{target}}.interior_gradients.h5",
        summary=f"{RUN}/regions.json",
    output:
        track=f"{RUN}/tracks/{{target}}.difference.bw",
        note=f"{RUN}/tracks/{{target}}.difference.bw.json",
    log:
        f"{RUN}/logs/write_difference_track/{{target}}.log",
    benchmark:
        f"{RUN}/benchmarks/write_difference_track/{{target}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        overlap=config["tracks"]["overlap"],
        version=RESULTS_VERSION["tracks"],
    message:
        "Laying the difference of the two methods' scores of {wildcards.target} on the genome"
    shell:
        "seqlift tracks write --scores {input.scores:q} --minus {input.minus:q} --genome-sizes {input.summary:q}"
        " --overlap {params.overlap:q} --output {output.track:q} 2> {log:q}"
