# From records to what a reader sees. These rules need no weights: they redraw from committed records anywhere.


rule score_controls:
    input:
        teacher=rules.teacher.output.provenance,
    output:
        f"{RECORDS}/controls.csv",
    log:
        f"{SCRATCH}/logs/score_controls.log",
    benchmark:
        f"{SCRATCH}/benchmarks/score_controls.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("score_controls"),
    params:
        scale=SCALE.name,
        teacher=subpath(input.teacher, parent=True),
        videos=f"{VIDEOS}/controls",
        state=evaluation_state("score_controls"),
    shell:
        "salt score-controls --scale {params.scale} --teacher {params.teacher} --videos {params.videos}"
        " --out {output} > {log} 2>&1"


rule table:
    input:
        records=lambda wildcards: records_of(TABLES[wildcards.table]),
    output:
        multiext(f"{RESULTS}/tables/{{table}}", ".csv", ".md", ".tex"),
    log:
        f"{SCRATCH}/logs/table/{{table}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/table/{{table}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("table"),
    params:
        scale=SCALE.name,
        records=RECORDS,
        folder=subpath(output[0], parent=True),
        seeds=lambda wildcards: len(seeds_of(TABLES[wildcards.table])),
        state=lambda wildcards: paper_state(TABLES[wildcards.table]),
    shell:
        "salt table {wildcards.table} --scale {params.scale} --records {params.records} --seeds {params.seeds}"
        " --out {params.folder} > {log} 2>&1"


rule figure:
    input:
        records=lambda wildcards: records_of(FIGURES[wildcards.figure]),
        videos=lambda wildcards: videos_of(FIGURES[wildcards.figure]),
    output:
        multiext(f"{PAPER_FIGURES}/{{figure}}", ".png", ".pdf"),
    log:
        f"{SCRATCH}/logs/figure/{{figure}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/figure/{{figure}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("figure"),
    params:
        scale=SCALE.name,
        records=RECORDS,
        videos=VIDEOS,
        folder=subpath(output[0], parent=True),
        seeds=lambda wildcards: len(seeds_of(FIGURES[wildcards.figure])),
        state=lambda wildcards: paper_state(FIGURES[wildcards.figure]),
    shell:
        "salt figure {wildcards.figure} --scale {params.scale} --records {params.records} --videos {params.videos}"
        " --seeds {params.seeds} --out {params.folder} > {log} 2>&1"


rule claims:
    input:
        records=ALL_RECORDS,
    output:
        multiext(f"{RESULTS}/claims", ".csv", ".md"),
    log:
        f"{SCRATCH}/logs/claims.log",
    benchmark:
        f"{SCRATCH}/benchmarks/claims.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("claims"),
    params:
        scale=SCALE.name,
        records=lambda wildcards, input: Path(input.records[0]).parent,
        folder=subpath(output[0], parent=True),
        state=[paper_state(entry) for entry in (TABLES | FIGURES).values()],
    shell:
        "salt claims --scale {params.scale} --records {params.records} --out {params.folder} > {log} 2>&1"


rule report:
    input:
        claims=rules.claims.output,
        tables=expand(rules.table.output, table=TABLES),
        figures=expand(rules.figure.output, figure=FIGURES),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{SCRATCH}/logs/report.log",
    benchmark:
        f"{SCRATCH}/benchmarks/report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("report"),
    params:
        scale=SCALE.name,
        results=subpath(output[0], parent=True),
        figures=lambda wildcards, input: Path(input.figures[0]).parent,
        state=[paper_state(entry) for entry in (TABLES | FIGURES).values()],
    shell:
        "salt report --scale {params.scale} --results {params.results} --figures {params.figures}"
        " --out {output} > {log} 2>&1"
