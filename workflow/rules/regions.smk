rule write_targets:
    output:
        f"results/{config['name']}/targets.tsv",
    log:
        f"results/{config['name']}/logs/write_targets.log",
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=100,
        runtime=1,
    params:
        table=lambda wildcards: InFile(targets_text(target_list(config))),
    message:
        "Writing down the targets and their files"
    # Under its own name only when it is whole
    shell:
        "{{ cp {params.table} {output:q}.part && mv {output:q}.part {output:q}"
        " && echo wrote {output:q}, $(wc -l < {output:q}) lines; }} > {log:q} 2>&1"


rule make_regions:
    input:
        genome=GENOME,
        targets=f"results/{config['name']}/targets.tsv",
        files=regions_files(),
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
    # 450 MB for 20,000 peaks in a genome of 200 Mb, which is mapped; signal is read piece by piece
    resources:
        mem_mb=growing(1000, 0.1, genome=BASES),
        runtime=growing(START_MINUTES, 0.02),
    params:
        folder=input_folder,
        files=region_file_flags,
        negatives=config["regions"]["negatives"],
        settings=regions_settings,
        version=RESULTS_VERSION["regions"],
    message:
        "Making windows of {wildcards.length} bp around the peaks, and negatives"
    shell:
        "seqlift regions --genome {input.genome:q} --targets {input.targets:q} --data-dir {params.folder:q}"
        " --settings {params.settings:q} --negatives {params.negatives} {params.files:q}"
        " --output {output.table:q} --summary {output.summary:q} > {log:q} 2>&1"
