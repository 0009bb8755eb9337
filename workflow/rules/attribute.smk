# Scores of all bases, by every method.

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
        references=reference_file,
    output:
        f"{RUN}/scores/{{part}}{{target}}.{{method}}.h5",
    log:
        f"{RUN}/logs/attribute_bases/{{part}}{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/attribute_bases/{{part}}{{target}}.{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=GPUS,
    params:
        settings=attribution_flags,
        version=RESULTS_VERSION["attribute"],
    message:
        "Explaining {wildcards.part}{wildcards.target} base by base with {wildcards.method}"
    shell:
        "seqlift attribute --model {input.models:q} --regions {input.regions:q} --genome {input.genome:q}"
        " --target {wildcards.target:q} {params.settings:q} --device gpu={resources.gpu} --output {output:q} 2>&1 | tee -i {log:q}"


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
        mem_mb=4000,
        runtime=120,
        gpu=GPUS,
    params:
        settings=mutagenesis_flags,
        version=RESULTS_VERSION["mutagenesis"],
    message:
        "Changing every base of some regions of {wildcards.target}"
    shell:
        "seqlift attribute --model {input.models:q} --regions {input.regions:q} --genome {input.genome:q}"
        " --target {wildcards.target:q} {params.settings:q} --device gpu={resources.gpu} --output {output:q} 2>&1 | tee -i {log:q}"
