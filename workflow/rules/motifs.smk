MOTIFS = f"{RUN}/motifs/{{method}}/{{target}}"


rule find_motifs:
    input:
        scores=f"{RUN}/scores/{{target}}.{{method}}.h5",
        database=motif_database,
    output:
        modisco=f"{MOTIFS}/modisco.h5",
        meme=f"{MOTIFS}/patterns.meme",
        table=report(
            f"{MOTIFS}/patterns.tsv",
            caption="../report/patterns.rst",
            category="Motifs",
            labels={
                "target": "{target}",
                "method": "{method}",
                "length": "{length} bp",
            },
        ),
        summary=f"{MOTIFS}/motifs.json",
        seqlets=f"{MOTIFS}/seqlets.bed.gz",
        logos=directory(f"{MOTIFS}/logos"),
    log:
        f"{RUN}/logs/find_motifs/{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/find_motifs/{{target}}.{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        folder=subpath(output.modisco, parent=True),
        settings=as_flags(config["motifs"]),
        version=RESULTS_VERSION["motifs"],
    message:
        "Finding motifs in the {wildcards.method} scores of {wildcards.target}"
    shell:
        "seqlift motifs --scores {input.scores:q} {params.settings:q} --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"
