TRUTH = [f"{RUN}/truth.json"] if SIMULATED else []

# What a run is for. Snakemake makes a missing file again only if it is asked for by name.
RESULTS = [
    f"{RUN}/report.html",
    f"{RUN}/regions.tsv.gz",
    *MODELS,
    f"{RUN}/model/metrics.json",
    *SCORES,
    *MUTATED,
    *TRACK_FILES,
    *MOTIF_FILES,
    *LOGO_FILES,
    *HIT_FILES,
    *COMPENDIUM_FILES,
    *AGGREGATE_FILES,
    *FAITHFULNESS_FILES,
    *TRUTH,
]


rule write_config:
    output:
        f"results/{config['name']}/config.yaml",
    log:
        f"results/{config['name']}/logs/write_config.log",
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=100,
        runtime=1,
    params:
        config=lambda wildcards: InFile(
            yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        ),
    message:
        "Writing down the config with all its defaults"
    # Under its own name only when it is whole
    shell:
        "{{ cp {params.config} {output:q}.part && mv {output:q}.part {output:q}"
        " && echo wrote {output:q}, $(wc -l < {output:q}) lines; }} > {log:q} 2>&1"


rule compare_with_truth:
    input:
        simulation=data_path(config, "simulation.json"),
        planted=[data_path(config, name) for name in SIMULATED_FILES],
        regions=f"{RUN}/regions.tsv.gz",
        predictions=f"{RUN}/model/predictions.tsv.gz",
        scores=SCORES,
        motifs=MOTIF_FILES,
        hits=HIT_FILES,
    output:
        f"{RUN}/truth.json",
    log:
        f"{RUN}/logs/compare_with_truth.log",
    benchmark:
        f"{RUN}/benchmarks/compare_with_truth.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # 212 MB and 1 s for 400 regions
    resources:
        mem_mb=growing(1000, scores=0.6),
        runtime=growing(START_MINUTES, scores=0.01),
    params:
        simulation=subpath(input.simulation, parent=True),
        scores=listed("scores"),
        motifs=motif_folders,
        version=RESULTS_VERSION["truth"],
    message:
        "Comparing the run with the planted truth"
    shell:
        "seqlift truth --simulation {params.simulation:q} --regions {input.regions:q} --predictions {input.predictions:q}"
        " --scores @{params.scores} --motifs @{params.motifs} --output {output:q} > {log:q} 2>&1"


rule write_report:
    input:
        config=rules.write_config.output,
        regions=f"{RUN}/regions.tsv.gz",
        summary=f"{RUN}/regions.json",
        models=MODELS,
        histories=HISTORIES,
        metrics=rules.evaluate_model.output,
        scores=SCORES,
        mutated=MUTATED,
        tracks=TRACK_FILES,
        motifs=MOTIF_FILES,
        logos=LOGO_FILES,
        hits=HIT_FILES,
        compendium=COMPENDIUM_FILES,
        aggregates=AGGREGATE_FILES,
        faithfulness=FAITHFULNESS_FILES,
        truth=TRUTH,
        database=motif_database,
        genes=gene_file,
    output:
        report(
            f"{RUN}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"length": "{length} bp"},
        ),
    log:
        f"{RUN}/logs/write_report.log",
    benchmark:
        f"{RUN}/benchmarks/write_report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # 656 MB and 568 s for 60 GB of scores of 20 targets (benchmarks/results/output.md)
    resources:
        mem_mb=growing(1000, 0.02),
        runtime=growing(START_MINUTES, 0.0005),
        # Not a parameter: the same workflow in another folder reruns nothing
        source=WORKFLOW_SOURCE,
    params:
        run=subpath(output[0], parent=True),
        version=RESULTS_VERSION["report"],
    message:
        "Writing the report on windows of {wildcards.length} bp"
    shell:
        "seqlift report --run-dir {params.run:q} --config {input.config:q} --output {output:q}"
        " --workflow {resources.source:q} > {log:q} 2>&1"
