# Patterns in the scores, and their logos.

MOTIFS = f"{RUN}/motifs/{{part}}{{method}}/{{target}}"
ALL_MOTIF_FOLDERS = expand(
    MOTIFS, part=PARTS, target=OUTPUTS, method=METHODS, allow_missing=True
)
MOTIF_FOLDERS = expand(
    MOTIFS, part="", target=OUTPUTS, method=METHODS, allow_missing=True
)

# All that `find_motifs` and `call_hits` write: who reads one of these folders reads several of its files, and an object
# store hands out those that a rule names
MOTIF_NAMES = (
    "modisco.h5",
    "patterns.meme",
    "patterns_negative.meme",
    "patterns.tsv",
    "motifs.json",
    "seqlets.bed.gz",
)
HIT_NAMES = ("hits.bed.gz", "hits.json")

MOTIF_FILES = [f"{folder}/{name}" for folder in MOTIF_FOLDERS for name in MOTIF_NAMES]
LOGO_FILES = [
    f"{folder}/logos/{name}"
    for folder in ALL_MOTIF_FOLDERS
    for name in ("logos.json", "overview.svg", "overview.png")
]


rule find_motifs:
    input:
        scores=f"{RUN}/scores/{{part}}{{target}}.{{method}}.h5",
        database=motif_database,
    output:
        modisco=f"{MOTIFS}/modisco.h5",
        meme=f"{MOTIFS}/patterns.meme",
        negative=f"{MOTIFS}/patterns_negative.meme",
        table=report(
            f"{MOTIFS}/patterns.tsv",
            caption="../report/patterns.rst",
            category="Motifs",
            subcategory="Patterns",
            labels={
                "target": "{target}",
                "method": "{method}",
                "length": "{length} bp",
            },
        ),
        summary=f"{MOTIFS}/motifs.json",
        seqlets=f"{MOTIFS}/seqlets.bed.gz",
    log:
        f"{RUN}/logs/find_motifs/{{part}}{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/find_motifs/{{part}}{{target}}.{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # 518 MB for 1,500 MB of scores; a seqlet takes up to 0.5 MB, and seqlets are compared with each other
    resources:
        mem_mb=growing(500 + config["motifs"]["max_seqlets"] / 2, scores=0.3),
        runtime=growing(
            START_MINUTES + 2 * (config["motifs"]["max_seqlets"] / 2000) ** 2,
            scores=0.002,
        ),
    params:
        folder=subpath(output.modisco, parent=True),
        settings=as_json(config["motifs"]),
        version=RESULTS_VERSION["motifs"],
    message:
        "Finding motifs in the {wildcards.method} scores of {wildcards.part}{wildcards.target}"
    shell:
        "seqlift motifs --scores {input.scores:q} --settings {params.settings:q} --output-dir {params.folder:q} 2>&1 | tee -i {log:q}"


# Apart from finding them, so that other colours draw and search nothing
rule draw_logos:
    input:
        modisco=rules.find_motifs.output.modisco,
        table=rules.find_motifs.output.table,
        summary=rules.find_motifs.output.summary,
        database=motif_database,
    output:
        manifest=f"{MOTIFS}/logos/logos.json",
        overview=report(
            f"{MOTIFS}/logos/overview.svg",
            caption="../report/logos.rst",
            category="Motifs",
            subcategory="Patterns",
            labels={
                "target": "{target}",
                "method": "{method}",
                "length": "{length} bp",
            },
        ),
        picture=f"{MOTIFS}/logos/overview.png",
    log:
        f"{RUN}/logs/draw_logos/{{part}}{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/draw_logos/{{part}}{{target}}.{{method}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # 292 MB and 23 s for 13 patterns (benchmarks/results/output.md)
    resources:
        mem_mb=growing(1000, 2),
        runtime=growing(START_MINUTES, 1),
    params:
        motifs=subpath(input.summary, parent=True),
        folder=subpath(output.manifest, parent=True),
        database=config["motifs"]["database"],
        settings=as_json(config["logos"]),
        version=RESULTS_VERSION["logos"],
    message:
        "Drawing the motifs in the {wildcards.method} scores of {wildcards.part}{wildcards.target}"
    shell:
        "seqlift logos --motifs {params.motifs:q} --database {params.database:q} --settings {params.settings:q} --output-dir {params.folder:q} > {log:q} 2>&1"
