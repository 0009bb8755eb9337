# Standard errors need references that differ
WITH_ERRORS = [
    method
    for method in METHODS
    if config["attribution"][method]["n_references"] != 1
    and config["attribution"][method]["references"].partition(":")[0]
    not in ("uniform", "background", "zeros")
]

STRANDED = HEAD == "profile" and any(target["signal_minus"] for target in TARGETS)

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
PREDICTED_TRACKS = (
    expand(
        f"{RUN}/tracks/{{experiment}}.predicted{{strand}}.bw",
        experiment=[target["name"] for target in TARGETS],
        strand=["", ".minus"] if STRANDED else [""],
        allow_missing=True,
    )
    if HEAD == "profile"
    else []
)
BIGWIGS = [
    *CONTRIBUTION_TRACKS,
    *ERROR_TRACKS,
    *DIFFERENCE_TRACKS,
    *PREDICTED_TRACKS,
]
SESSION = f"{RUN}/tracks/igv_session.xml"
TRACK_FILES = [*BIGWIGS, SESSION]


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
    # 513 MB and 28 s for 1,500 MB of scores (benchmarks/results/output.md)
    resources:
        mem_mb=growing(500, scores=0.6),
        runtime=growing(START_MINUTES, scores=0.001),
    params:
        overlap=config["tracks"]["overlap"],
        version=RESULTS_VERSION["tracks"],
    message:
        "Writing the {wildcards.method} scores of {wildcards.target} as a track"
    shell:
        "seqlift tracks write --scores {input.scores:q} --genome-sizes {input.summary:q} --overlap {params.overlap:q}"
        " --output {output.track:q} > {log:q} 2>&1"


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
    # As write_track
    resources:
        mem_mb=growing(500, scores=0.6),
        runtime=growing(START_MINUTES, scores=0.001),
    params:
        overlap=config["tracks"]["overlap"],
        version=RESULTS_VERSION["tracks"],
    message:
        "Writing the standard errors of the {wildcards.method} scores of {wildcards.target} as a track"
    shell:
        "seqlift tracks write --value standard-error --scores {input.scores:q} --genome-sizes {input.summary:q}"
        " --overlap {params.overlap:q} --output {output.track:q} > {log:q} 2>&1"


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
    # As write_track, of two files
    resources:
        mem_mb=growing(500, scores=0.6, minus=0.6),
        runtime=growing(START_MINUTES, scores=0.001, minus=0.001),
    params:
        overlap=config["tracks"]["overlap"],
        version=RESULTS_VERSION["tracks"],
    message:
        "Writing the difference of the two methods' scores of {wildcards.target} as a track"
    shell:
        "seqlift tracks write --scores {input.scores:q} --minus {input.minus:q} --genome-sizes {input.summary:q}"
        " --overlap {params.overlap:q} --output {output.track:q} > {log:q} 2>&1"


rule predict_track:
    input:
        models=MODELS,
        regions=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
        genome=GENOME,
    output:
        track=f"{RUN}/tracks/{{experiment}}.predicted.bw",
        note=f"{RUN}/tracks/{{experiment}}.predicted.bw.json",
        minus=[f"{RUN}/tracks/{{experiment}}.predicted.minus.bw"] if STRANDED else [],
        minus_note=(
            [f"{RUN}/tracks/{{experiment}}.predicted.minus.bw.json"]
            if STRANDED
            else []
        ),
    log:
        f"{RUN}/logs/predict_track/{{experiment}}.log",
    benchmark:
        f"{RUN}/benchmarks/predict_track/{{experiment}}.tsv"
    wildcard_constraints:
        experiment="|".join(re.escape(target["name"]) for target in TARGETS),
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(NETWORK_MB, regions=TABLE, genome=BASES),
        runtime=growing(60, regions=60, models=20),
        gpu=GPUS,
    params:
        minus=lambda wildcards, output: (
            ["--output-minus", *output.minus] if output.minus else []
        ),
        overlap=config["tracks"]["overlap"],
        version=RESULTS_VERSION["tracks"],
    message:
        "Writing the predicted signal of {wildcards.experiment} as a track"
    shell:
        "seqlift tracks predicted --model {input.models:q} --regions {input.regions:q} --summary {input.summary:q}"
        " --genome {input.genome:q} --target {wildcards.experiment:q} --overlap {params.overlap:q}"
        " --device gpu={resources.gpu} --output {output.track:q} {params.minus:q} > {log:q} 2>&1"


rule write_session:
    input:
        genome=GENOME,
        tracks=BIGWIGS,
        peaks=[target["peaks"] for target in TARGETS],
        hits=[f"{folder}/hits.bed.gz" for folder in MOTIF_FOLDERS],
        genes=gene_file,
    output:
        session=SESSION,
        genome=[f"{RUN}/tracks/genome.2bit"] if GENOME.endswith((".gz", ".bgz")) else [],
    log:
        f"{RUN}/logs/write_session.log",
    benchmark:
        f"{RUN}/benchmarks/write_session.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(500, genome=BASES),
        runtime=growing(START_MINUTES, genome=0.005),
    params:
        tracks=listed("tracks"),
        peaks=listed("peaks"),
        hits=listed("hits"),
        genes=lambda wildcards, input: files_flag("--genes", input.genes),
        version=RESULTS_VERSION["tracks"],
    message:
        "Writing a session of IGV"
    shell:
        "seqlift tracks session --genome {input.genome:q} --tracks @{params.tracks} --peaks @{params.peaks}"
        " --hits @{params.hits} {params.genes:q} --output {output.session:q} > {log:q} 2>&1"
