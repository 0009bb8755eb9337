# The mean contribution around the user's own sites, without motif discovery.

SITES = {
    name: data_path(config, path) for name, path in config["aggregate"]["sites"].items()
}


rule aggregate_sites:
    input:
        scores=f"{RUN}/scores/{{target}}.{{method}}.h5",
        sites=lambda wildcards: SITES[wildcards.sites],
    output:
        table=f"{RUN}/aggregates/{{sites}}/{{target}}.{{method}}.tsv",
        summary=f"{RUN}/aggregates/{{sites}}/{{target}}.{{method}}.json",
        figure=report(
            f"{RUN}/aggregates/{{sites}}/{{target}}.{{method}}.svg",
            caption="../report/aggregate.rst",
            category="Sites",
            labels={
                "sites": "{sites}",
                "target": "{target}",
                "method": "{method}",
                "length": "{length} bp",
            },
        ),
        picture=f"{RUN}/aggregates/{{sites}}/{{target}}.{{method}}.png",
    log:
        f"{RUN}/logs/aggregate_sites/{{sites}}.{{target}}.{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/aggregate_sites/{{sites}}.{{target}}.{{method}}.tsv"
    # Not for all rules: Snakemake 9 forgets all constraints of outputs in an object store when others come after a rule
    wildcard_constraints:
        sites="|".join(map(re.escape, SITES)) or "none",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(1000, scores=0.6),
        runtime=growing(START_MINUTES, scores=0.005),
    params:
        flank=config["aggregate"]["flank"],
        colours=config["logos"]["colours"],
        prefix=lambda wildcards, output: output.table.removesuffix(".tsv"),
        version=RESULTS_VERSION["aggregate"],
    message:
        "Averaging the {wildcards.method} scores of {wildcards.target} around {wildcards.sites}"
    shell:
        "seqlift aggregate --scores {input.scores:q} --sites {input.sites:q} --flank {params.flank}"
        " --colours {params.colours} --output-prefix {params.prefix:q} > {log:q} 2>&1"


AGGREGATE_FILES = expand(
    f"{RUN}/aggregates/{{sites}}/{{target}}.{{method}}.{{end}}",
    sites=SITES,
    target=OUTPUTS,
    method=METHODS,
    end=["tsv", "json", "svg", "png"],
    allow_missing=True,
)
