# From records to what a reader sees. Tables, figures, claims and the report need no weights: they are made again from
# committed records anywhere.


rule score_controls:
    input:
        unless_made(
            "score_controls",
            lambda wildcards: w.states.score_controls(),
            teacher=rules.teacher.output.provenance,
        ),
    output:
        **w.layout.outputs_of("score_controls"),
    log:
        f"{w.layout.scratch}/logs/score_controls.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/score_controls.tsv"
    threads: w.resources.threads("score_controls")
    resources:
        **w.resources.asked("score_controls"),
    params:
        scale=w.scale.name,
        teacher=unrecorded(w.layout.teacher),
        videos=unrecorded(f"{w.layout.videos}/controls"),
        state=w.states.score_controls(),
    message:
        "{rule}: records of clips that are corrupted on purpose, scale {params.scale}"
    shell:
        "salt score-controls --scale {params.scale} --teacher {params.teacher:q} --videos {params.videos:q}"
        " --out {output:q} > {log:q} 2>&1"


rule table:
    input:
        records=lambda wildcards: w.layout.records_of(w.entries.tables[wildcards.table]),
    output:
        report(
            f"{w.layout.results}/tables/{{table}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        multiext(f"{w.layout.results}/tables/{{table}}", ".md", ".tex"),
    log:
        f"{w.layout.scratch}/logs/table/{{table}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/table/{{table}}.tsv"
    threads: w.resources.threads("table")
    resources:
        **w.resources.asked("table"),
    params:
        scale=w.scale.name,
        records=unrecorded(w.layout.records),
        folder=subpath(output[0], parent=True),
        seeds=lambda wildcards: len(w.entries.seeds_of(w.entries.tables[wildcards.table])),
        state=lambda wildcards: w.states.table(w.entries.tables[wildcards.table]),
    message:
        "{rule} {wildcards.table}, scale {params.scale}"
    shell:
        "salt table {wildcards.table} --scale {params.scale} --records {params.records:q} --seeds {params.seeds}"
        " --out {params.folder:q} > {log:q} 2>&1"


rule figure:
    input:
        unless_made(
            "figure",
            lambda wildcards: w.state_of_figure(wildcards.figure),
            records=lambda wildcards: w.layout.records_of(w.entries.figures[wildcards.figure]),
            videos=lambda wildcards: w.layout.videos_of(w.entries.figures[wildcards.figure]),
        ),
    output:
        report(
            w.layout.outputs_of("figure")["png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        w.layout.outputs_of("figure")["pdf"],
    log:
        f"{w.layout.scratch}/logs/figure/{{figure}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/figure/{{figure}}.tsv"
    threads: w.resources.threads("figure")
    resources:
        **w.resources.asked("figure"),
    params:
        scale=w.scale.name,
        records=unrecorded(w.layout.records),
        videos=unrecorded(w.layout.videos),
        folder=subpath(output[0], parent=True),
        seeds=lambda wildcards: len(w.entries.seeds_of(w.entries.figures[wildcards.figure])),
        state=lambda wildcards: w.state_of_figure(wildcards.figure),
    message:
        "{rule} {wildcards.figure}, scale {params.scale}"
    shell:
        "salt figure {wildcards.figure} --scale {params.scale} --records {params.records:q} --videos {params.videos:q}"
        " --seeds {params.seeds} --out {params.folder:q} > {log:q} 2>&1"


rule claims:
    input:
        records=w.layout.all_records(),
    output:
        report(
            f"{w.layout.results}/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"scale": w.scale.name},
        ),
        f"{w.layout.results}/claims.md",
    log:
        f"{w.layout.scratch}/logs/claims.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/claims.tsv"
    threads: w.resources.threads("claims")
    resources:
        **w.resources.asked("claims"),
    params:
        scale=w.scale.name,
        records=lambda wildcards, input: Path(input.records[0]).parent,
        folder=subpath(output[0], parent=True),
        state=w.states.claims(w.entries.all),
    message:
        "{rule}: what the paper claims against the records of scale {params.scale}"
    shell:
        "salt claims --scale {params.scale} --records {params.records:q} --out {params.folder:q} > {log:q} 2>&1"


rule clips:
    input:
        unless_made(
            "clips",
            lambda wildcards: w.states.clips(w.layout.shown()),
            videos=lambda wildcards: w.layout.shown_videos(),
        ),
    output:
        **w.layout.outputs_of("clips"),
    log:
        f"{w.layout.scratch}/logs/clips.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/clips.tsv"
    threads: w.resources.threads("clips")
    resources:
        **w.resources.asked("clips"),
    params:
        scale=w.scale.name,
        videos=unrecorded(w.layout.videos),
        folder=subpath(output[0], parent=True),
        state=w.states.clips(w.layout.shown()),
    message:
        "{rule}: the videos whose frames the figures show, scale {params.scale}"
    shell:
        "salt clips --scale {params.scale} --videos {params.videos:q} --out {params.folder:q} > {log:q} 2>&1"


rule report:
    input:
        claims=rules.claims.output,
        tables=expand(rules.table.output, table=w.entries.tables),
        figures=expand(rules.figure.output, figure=w.entries.figures),
        clips=rules.clips.output if w.layout.shown_videos() else [],
        curves=w.layout.training_curves(),
    output:
        report(
            f"{w.layout.results}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"scale": w.scale.name},
        ),
    log:
        f"{w.layout.scratch}/logs/report.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/report.tsv"
    threads: w.resources.threads("report")
    resources:
        **w.resources.asked("report"),
    params:
        scale=w.scale.name,
        results=subpath(output[0], parent=True),
        figures=lambda wildcards, input: Path(input.figures[0]).parent,
        state=w.states.report(w.entries.all),
    message:
        "{rule}: all tables, figures and claims of scale {params.scale} on one page"
    shell:
        "salt report --scale {params.scale} --results {params.results:q} --figures {params.figures:q}"
        " --out {output:q} > {log:q} 2>&1"


if w.guides:

    include: "guide.smk"
