# The lab: exact worlds in which the paper's effect can be seen (experiments/lab). A set of arms is trained and measured by
# one job for each ensemble of seeds; all the rest needs records alone.


wildcard_constraints:
    set="|".join(w.lab.arms.sets),
    ensemble=r"\d+-\d+",
    lab_table="|".join(w.lab.tables),
    lab_figure="|".join(w.lab.figure_names),


rule lab_truth:
    output:
        f"{w.lab.records}/controls.csv",
    log:
        f"{w.lab.scratch}/logs/lab_truth.log",
    benchmark:
        f"{w.lab.scratch}/benchmarks/lab_truth.tsv"
    threads: w.resources.threads("lab_truth")
    resources:
        **w.resources.asked("lab_truth"),
    params:
        lab=w.lab.name,
        state=w.lab.state_of_truth(),
    message:
        "{rule}: what is known in closed form, to see whether the lab's measures see it"
    shell:
        "salt lab-truth --lab {params.lab} --out {output:q} > {log:q} 2>&1"


rule lab_arms:
    input:
        starts=lambda wildcards: w.lab.starts_of(wildcards.set, wildcards.ensemble),
    output:
        multiext(f"{w.lab.records}/{{set}}_{{ensemble}}", ".csv.gz", "_clouds.csv.gz", ".json"),
    log:
        f"{w.lab.scratch}/logs/lab_arms/{{set}}_{{ensemble}}.log",
    benchmark:
        f"{w.lab.scratch}/benchmarks/lab_arms/{{set}}_{{ensemble}}.tsv"
    threads: w.resources.threads("lab_arms")
    resources:
        **w.resources.asked("lab_arms"),
    params:
        lab=w.lab.name,
        first=lambda wildcards: wildcards.ensemble.split("-")[0],
        scratch=unrecorded(f"{w.lab.scratch}/arms"),
        records=subpath(output[0], parent=True),
        state=lambda wildcards: w.lab.state_of_arms(wildcards.set),
    message:
        "{rule}: the arms of {wildcards.set}, seeds {wildcards.ensemble}, trained and measured"
    shell:
        "salt lab-arms {wildcards.set} --lab {params.lab} --first {params.first} --scratch {params.scratch:q}"
        " --out {params.records:q} > {log:q} 2>&1"


rule lab_table:
    input:
        controls=rules.lab_truth.output,
        records=w.lab.all_records,
    output:
        report(
            f"{w.lab.results}/tables/{{lab_table}}.csv",
            caption="../report/lab_table.rst",
            category="Lab",
            labels={"table": "{lab_table}"},
        ),
        multiext(f"{w.lab.results}/tables/{{lab_table}}", ".md", ".tex"),
    log:
        f"{w.lab.scratch}/logs/lab_table/{{lab_table}}.log",
    benchmark:
        f"{w.lab.scratch}/benchmarks/lab_table/{{lab_table}}.tsv"
    threads: w.resources.threads("lab_table")
    resources:
        **w.resources.asked("lab_table"),
    params:
        lab=w.lab.name,
        records=lambda wildcards, input: Path(input.controls[0]).parent,
        folder=subpath(output[0], parent=True),
        state=w.lab.state_of_results("lab_table"),
    message:
        "{rule} {wildcards.lab_table}"
    shell:
        "salt lab-table {wildcards.lab_table} --lab {params.lab} --records {params.records:q} --out {params.folder:q}"
        " > {log:q} 2>&1"


rule lab_figure:
    input:
        controls=rules.lab_truth.output,
        records=lambda wildcards: w.lab.records_of_figure(wildcards.lab_figure),
    output:
        report(
            f"{w.lab.figures}/{{lab_figure}}.png",
            caption="../report/lab_figure.rst",
            category="Lab",
            labels={"figure": "{lab_figure}"},
        ),
        f"{w.lab.figures}/{{lab_figure}}.pdf",
    log:
        f"{w.lab.scratch}/logs/lab_figure/{{lab_figure}}.log",
    benchmark:
        f"{w.lab.scratch}/benchmarks/lab_figure/{{lab_figure}}.tsv"
    threads: w.resources.threads("lab_figure")
    resources:
        **w.resources.asked("lab_figure"),
    params:
        lab=w.lab.name,
        records=lambda wildcards, input: Path(input.controls[0]).parent,
        phase=w.lab.drawn_phase,
        folder=subpath(output[0], parent=True),
        state=w.lab.state_of_results("lab_figure"),
    message:
        "{rule} {wildcards.lab_figure}"
    shell:
        "salt lab-figure {wildcards.lab_figure} --lab {params.lab} --records {params.records:q} --phase {params.phase}"
        " --out {params.folder:q} > {log:q} 2>&1"


rule lab_report:
    input:
        tables=expand(rules.lab_table.output, lab_table=w.lab.tables),
        figures=expand(rules.lab_figure.output, lab_figure=w.lab.figure_names),
    output:
        report(
            f"{w.lab.results}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"scale": w.lab.name},
        ),
    log:
        f"{w.lab.scratch}/logs/lab_report.log",
    benchmark:
        f"{w.lab.scratch}/benchmarks/lab_report.tsv"
    threads: w.resources.threads("lab_report")
    resources:
        **w.resources.asked("lab_report"),
    params:
        lab=w.lab.name,
        results=subpath(output[0], parent=True),
        figures=lambda wildcards, input: Path(input.figures[0]).parent,
        state=w.lab.state_of_results("lab_report"),
    message:
        "{rule}: controls, figures and claims of the lab on one page"
    shell:
        "salt lab-report --lab {params.lab} --results {params.results:q} --figures {params.figures:q} --out {output:q} > {log:q} 2>&1"


rule:
    name:
        "lab"
    input:
        rules.lab_report.output,
    localrule: True


for target in w.lab.figure_names:

    rule:
        name:
            target
        input:
            expand(rules.lab_figure.output, lab_figure=target),
        localrule: True


for target in w.lab.tables:

    rule:
        name:
            target
        input:
            expand(rules.lab_table.output, lab_table=target),
        localrule: True
