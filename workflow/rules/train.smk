rule train_model:
    input:
        regions=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
        genome=GENOME,
    output:
        model=f"{RUN}/model/model.ckpt",
        history=f"{RUN}/model/history.tsv",
        metrics=report(
            f"{RUN}/model/metrics.json",
            caption="../report/metrics.rst",
            category="Model",
        ),
        predictions=f"{RUN}/model/predictions.tsv.gz",
    log:
        f"{RUN}/logs/train_model.log",
    benchmark:
        f"{RUN}/benchmarks/train_model.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=GPUS,
    params:
        folder=subpath(output.model, parent=True),
        architecture=json.dumps(config["model"]),
        settings=as_flags(config["training"]),
        version=RESULTS_VERSION["train"],
    message:
        "Training the model on windows of {wildcards.length} bp"
    shell:
        "seqlift train --regions {input.regions:q} --genome {input.genome:q} --architecture {params.architecture:q}"
        " {params.settings:q} --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"
