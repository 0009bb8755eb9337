# Where each pattern is used, in all regions.

HITS = f"{MOTIFS}/hits.bed.gz"
HIT_FILES = expand(
    [HITS, f"{MOTIFS}/hits.json"],
    part=PARTS,
    target=OUTPUTS,
    method=METHODS,
    allow_missing=True,
)


rule call_hits:
    input:
        scores=f"{RUN}/scores/{{part}}{{target}}.{{method}}.h5",
        motifs=f"{MOTIFS}/motifs.json",
        patterns=f"{MOTIFS}/modisco.h5",
        table=f"{MOTIFS}/patterns.tsv",
    output:
        hits=HITS,
        summary=report(
            f"{MOTIFS}/hits.json",
            caption="../report/hits.rst",
            category="Motifs",
            subcategory="Hits",
            labels={
                "target": "{target}",
                "method": "{method}",
                "length": "{length} bp",
            },
        ),
    log:
        f"{RUN}/logs/call_hits/{{part}}{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/call_hits/{{part}}{{target}}.{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # 489 MB and 123 s for 1,500 MB of scores (benchmarks/results/output.md), most patterns quick to tell apart
    resources:
        mem_mb=growing(1000, scores=0.6),
        runtime=growing(START_MINUTES, scores=0.01),
    params:
        folder=subpath(output.hits, parent=True),
        settings=as_json(config["hits"]),
        version=RESULTS_VERSION["hits"],
    message:
        "Calling hits in the {wildcards.method} scores of {wildcards.part}{wildcards.target}"
    shell:
        "seqlift hits --scores {input.scores:q} --motifs {params.folder:q} --settings {params.settings:q}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"
