# Whether the explanations say what the model does.

FAITHFULNESS = f"{RUN}/faithfulness"


rule judge_explanations:
    input:
        models=MODELS,
        regions=f"{RUN}/regions.tsv.gz",
        genome=GENOME,
        references=sorted(
            {file for method in METHODS for file in reference_files(method)}
        ),
        scores=SCORES,
        truth=data_path(config, "truth.bed") if SIMULATED else [],
    output:
        table=report(
            f"{FAITHFULNESS}/faithfulness.tsv",
            caption="../report/faithfulness.rst",
            category="Faithfulness",
            labels={"length": "{length} bp", "what": "table"},
        ),
        curves=f"{FAITHFULNESS}/curves.tsv",
        figure=report(
            f"{FAITHFULNESS}/faithfulness.svg",
            caption="../report/faithfulness.rst",
            category="Faithfulness",
            labels={"length": "{length} bp", "what": "curves"},
        ),
        png=f"{FAITHFULNESS}/faithfulness.png",
        summary=f"{FAITHFULNESS}/faithfulness.json",
    log:
        f"{RUN}/logs/judge_explanations.log",
    benchmark:
        f"{RUN}/benchmarks/judge_explanations.tsv"
    # The longest of the jobs that wait for the scores: first, so that the others run beside it
    priority: 1
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(NETWORK_MB, regions=TABLE, genome=BASES),
        runtime=growing(240, models=60),
        gpu=GPUS,
    params:
        scores=listed("scores"),
        folder=subpath(output.table, parent=True),
        truth=lambda wildcards, input: files_flag("--truth", input.truth),
        settings=as_json(config["faithfulness"]),
        version=RESULTS_VERSION["faithfulness"],
    message:
        "Testing the contributions on the model"
    shell:
        "seqlift faithfulness --model {input.models:q} --regions {input.regions:q} --genome {input.genome:q}"
        " --scores @{params.scores} {params.truth:q} --settings {params.settings:q} --device gpu={resources.gpu}"
        " --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"


FAITHFULNESS_FILES = (
    [
        f"{FAITHFULNESS}/{name}"
        for name in (
            "faithfulness.tsv",
            "curves.tsv",
            "faithfulness.svg",
            "faithfulness.png",
            "faithfulness.json",
        )
    ]
    if config["faithfulness"]["max_regions"] > 0
    else []
)
