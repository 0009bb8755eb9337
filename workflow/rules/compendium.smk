# One entry for each motif of all targets and methods, and which motifs occur together.

COMPENDIUM = f"{RUN}/motifs/compendium"


rule build_compendium:
    input:
        motifs=[
            f"{folder}/{name}" for folder in ALL_MOTIF_FOLDERS for name in MOTIF_NAMES
        ],
        hits=[f"{folder}/{name}" for folder in ALL_MOTIF_FOLDERS for name in HIT_NAMES],
        database=motif_database,
    output:
        table=report(
            f"{COMPENDIUM}/compendium.tsv",
            caption="../report/compendium.rst",
            category="Motifs",
            subcategory="Compendium",
            labels={"length": "{length} bp", "what": "table"},
        ),
        members=f"{COMPENDIUM}/members.tsv",
        usage=f"{COMPENDIUM}/usage.tsv",
        positions=f"{COMPENDIUM}/positions.tsv",
        meme=f"{COMPENDIUM}/compendium.meme",
        negative=f"{COMPENDIUM}/compendium_negative.meme",
        summary=f"{COMPENDIUM}/compendium.json",
    log:
        f"{RUN}/logs/build_compendium.log",
    benchmark:
        f"{RUN}/benchmarks/build_compendium.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # 546 MB and 37 s for 40 folders of 13 patterns and 190,000 hits each (benchmarks/results/output.md)
    resources:
        mem_mb=growing(1000, hits=2),
        runtime=lambda wildcards, input, attempt: attempt
        * (START_MINUTES + len(input.hits) ** 2 // 4000),
    params:
        motifs=motif_folders,
        folder=subpath(output.table, parent=True),
        database=config["motifs"]["database"],
        settings=as_json(
            {
                **config["compendium"],
                "naming_threshold": config["motifs"]["threshold"],
                "seed": config["motifs"]["seed"],
            }
        ),
        version=RESULTS_VERSION["compendium"],
    message:
        "Merging the patterns of all targets and methods"
    shell:
        "seqlift compendium --motifs @{params.motifs} --database {params.database:q} --settings {params.settings:q}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"


rule draw_compendium:
    input:
        files=rules.build_compendium.output,
        summary=rules.build_compendium.output.summary,
        database=motif_database,
    output:
        manifest=f"{COMPENDIUM}/logos/logos.json",
        overview=report(
            f"{COMPENDIUM}/logos/overview.svg",
            caption="../report/compendium.rst",
            category="Motifs",
            subcategory="Compendium",
            labels={"length": "{length} bp", "what": "logos"},
        ),
        picture=f"{COMPENDIUM}/logos/overview.png",
    log:
        f"{RUN}/logs/draw_compendium.log",
    benchmark:
        f"{RUN}/benchmarks/draw_compendium.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # As draw_logos
    resources:
        mem_mb=growing(1500, 2),
        runtime=growing(2 * START_MINUTES, 1),
    params:
        compendium=subpath(input.summary, parent=True),
        folder=subpath(output.manifest, parent=True),
        database=config["motifs"]["database"],
        settings=as_json(config["logos"]),
        version=RESULTS_VERSION["logos"],
    message:
        "Drawing the motifs of all targets and methods"
    shell:
        "seqlift logos --compendium {params.compendium:q} --database {params.database:q}"
        " --settings {params.settings:q} --output-dir {params.folder:q} > {log:q} 2>&1"


rule find_grammar:
    input:
        compendium=rules.build_compendium.output,
        motifs=MOTIF_FILES,
        hits=[f"{folder}/{name}" for folder in MOTIF_FOLDERS for name in HIT_NAMES],
        scores=SCORES,
    output:
        table=f"{COMPENDIUM}/grammar.tsv",
        figure=report(
            f"{COMPENDIUM}/grammar.svg",
            caption="../report/grammar.rst",
            category="Motifs",
            subcategory="Grammar",
            labels={"length": "{length} bp"},
        ),
        png=f"{COMPENDIUM}/grammar.png",
    log:
        f"{RUN}/logs/find_grammar.log",
    benchmark:
        f"{RUN}/benchmarks/find_grammar.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    # 944 MB and 149 s for 60 GB of scores and 8 million hits (benchmarks/results/output.md)
    resources:
        mem_mb=growing(1000, scores=0.04),
        runtime=growing(START_MINUTES, scores=0.0002),
    params:
        motifs=motif_folders,
        scores=listed("scores"),
        folder=subpath(output.table, parent=True),
        settings=as_json(config["grammar"]),
        version=RESULTS_VERSION["grammar"],
    message:
        "Looking for motifs that occur together"
    shell:
        "seqlift grammar --compendium {params.folder:q} --motifs @{params.motifs} --scores @{params.scores}"
        " --settings {params.settings:q} --output-dir {params.folder:q} > {log:q} 2>&1"


# By name: `expand` takes no `rules.x.output` where files lie in an object store
COMPENDIUM_FILES = [
    f"{COMPENDIUM}/{name}"
    for name in (
        "compendium.tsv",
        "members.tsv",
        "usage.tsv",
        "positions.tsv",
        "compendium.meme",
        "compendium_negative.meme",
        "compendium.json",
        "logos/logos.json",
        "logos/overview.svg",
        "logos/overview.png",
        "grammar.tsv",
        "grammar.svg",
        "grammar.png",
    )
]
