rule train_model:
    input:
        regions=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
        genome=GENOME,
        signal=SIGNAL_FILES,
        code=custom_source(config) or [],
    output:
        model=f"{RUN}/model/{{fold}}{{seed}}model.ckpt",
        history=f"{RUN}/model/{{fold}}{{seed}}history.tsv",
    log:
        f"{RUN}/logs/{{fold}}{{seed}}train_model.log",
    benchmark:
        f"{RUN}/benchmarks/{{fold}}{{seed}}train_model.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing(2 * NETWORK_MB, regions=TABLE, genome=BASES),
        runtime=growing(120, regions=600),
        gpu=GPUS,
    params:
        folder=subpath(output.model, parent=True),
        architecture=json.dumps(config["model"]),
        settings=training_settings,
        fold=lambda wildcards: (
            ["--fold", wildcards.fold[4:-1]] if wildcards.fold else []
        ),
        version=RESULTS_VERSION["train"],
    message:
        "Training {output.model}"
    # More than one GPU is a matter of the machine, not of the config: --set-resources train_model:gpu=2
    shell:
        AT_LEAST_TWO_THREADS
        + " seqlift train --regions {input.regions:q} --summary {input.summary:q} --genome {input.genome:q}"
        " --architecture {params.architecture:q} --settings {params.settings:q} {params.fold:q}"
        " --device gpu={resources.gpu} --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"


rule evaluate_model:
    input:
        models=MODELS,
        regions=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
        genome=GENOME,
        signal=SIGNAL_FILES,
        database=motif_database,
    output:
        metrics=report(
            f"{RUN}/model/metrics.json",
            caption="../report/metrics.rst",
            category="Model",
        ),
        predictions=f"{RUN}/model/predictions.tsv.gz",
        profiles=[f"{RUN}/model/profiles.tsv.gz"] if HEAD == "profile" else [],
    log:
        f"{RUN}/logs/evaluate_model.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_model.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing(NETWORK_MB, regions=TABLE, genome=BASES),
        runtime=growing(60, regions=60, models=20),
        gpu=GPUS,
    params:
        folder=subpath(output.metrics, parent=True),
        database=config["motifs"]["database"],
        version=RESULTS_VERSION["evaluate"],
    message:
        "Evaluating on held-out regions"
    shell:
        AT_LEAST_TWO_THREADS
        + " seqlift evaluate --model {input.models:q} --regions {input.regions:q} --summary {input.summary:q}"
        " --genome {input.genome:q} --database {params.database:q} --device gpu={resources.gpu}"
        " --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"
