# Scores of all bases, by every method.

# Jobs that share the regions of one score file; more than one write shards of it, which are gathered
SHARDS = shard_count(config)
EXPLAINED = "{part}{target}.{method}" + (".{shard}" if SHARDS > 1 else "")
SHARD_FILE = f"{RUN}/scores/shards/{EXPLAINED}.h5"

SCORES = expand(
    f"{RUN}/scores/{{target}}.{{method}}.h5",
    target=OUTPUTS,
    method=METHODS,
    allow_missing=True,
)
MUTATED = (
    expand(
        f"{RUN}/scores/{{target}}.mutagenesis.h5", target=OUTPUTS, allow_missing=True
    )
    if MUTAGENESIS
    else []
)


rule attribute_bases:
    input:
        models=explained_models,
        regions=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
        genome=GENOME,
        references=lambda wildcards: reference_files(wildcards.method),
    output:
        temp(SHARD_FILE) if SHARDS > 1 else f"{RUN}/scores/{EXPLAINED}.h5",
    log:
        f"{RUN}/logs/attribute_bases/{EXPLAINED}.log",
    benchmark:
        f"{RUN}/benchmarks/attribute_bases/{EXPLAINED}.tsv"
    # Each further try takes a quarter of the memory in the model. A job that is not shared would lose hours by trying
    # again what cannot succeed.
    retries: 2 if SHARDS > 1 else 0
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(NETWORK_MB, regions=TABLE, genome=BASES),
        runtime=growing(240, models=60),
        gpu=GPUS,
        attempt=lambda wildcards, attempt: attempt,
    params:
        shard=lambda wildcards: ["--shard", wildcards.shard] if SHARDS > 1 else [],
        settings=attribution_settings,
        version=RESULTS_VERSION["attribute"],
    message:
        "Explaining {wildcards.part}{wildcards.target} base by base with {wildcards.method}"
    shell:
        "seqlift attribute --model {input.models:q} --regions {input.regions:q} --genome {input.genome:q}"
        " --target {wildcards.target:q} --method {wildcards.method} --settings {params.settings:q} {params.shard:q} --attempt {resources.attempt}"
        " --device gpu={resources.gpu} --output {output:q} 2>&1 | tee -i {log:q}"


if SHARDS > 1:

    rule gather_scores:
        input:
            expand(
                SHARD_FILE,
                shard=[f"{number}of{SHARDS}" for number in range(1, SHARDS + 1)],
                allow_missing=True,
            ),
        output:
            f"{RUN}/scores/{{part}}{{target}}.{{method}}.h5",
        log:
            f"{RUN}/logs/gather_scores/{{part}}{{target}}.{{method}}.log",
        benchmark:
            f"{RUN}/benchmarks/gather_scores/{{part}}{{target}}.{{method}}.tsv"
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(START_MINUTES, 0.01),
        params:
            version=RESULTS_VERSION["attribute"],
        message:
            "Gathering the {wildcards.method} scores of {wildcards.part}{wildcards.target}"
        shell:
            "seqlift gather --scores {input:q} --output {output:q} > {log:q} 2>&1"


rule mutate_bases:
    input:
        models=MODELS,
        regions=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
        genome=GENOME,
    output:
        f"{RUN}/scores/{{target}}.mutagenesis.h5",
    log:
        f"{RUN}/logs/mutate_bases/{{target}}.log",
    benchmark:
        f"{RUN}/benchmarks/mutate_bases/{{target}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(NETWORK_MB, regions=TABLE, genome=BASES),
        runtime=growing(120, models=30),
        gpu=GPUS,
    params:
        settings=as_json(
            {**SHARED_ATTRIBUTION, "mutagenesis": config["attribution"]["mutagenesis"]}
        ),
        examples=config["report"]["examples"],
        version=RESULTS_VERSION["mutagenesis"],
    message:
        "Changing every base of some regions of {wildcards.target}"
    shell:
        "seqlift attribute --model {input.models:q} --regions {input.regions:q} --genome {input.genome:q}"
        " --target {wildcards.target:q} --method mutagenesis --settings {params.settings:q} --examples {params.examples}"
        " --device gpu={resources.gpu} --output {output:q} 2>&1 | tee -i {log:q}"
