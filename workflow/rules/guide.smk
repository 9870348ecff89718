# The page on the results of all scales. It is of this scale, of the one beside it, and of the lab's as they are.


rule guide:
    input:
        report=rules.report.output,
        beside=lambda wildcards: rules.beside_report.output if w.beside else [],
    output:
        Path(w.layout.results).with_name("README.md"),
    log:
        f"{w.layout.scratch}/logs/guide.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/guide.tsv"
    threads: w.resources.threads("guide")
    resources:
        **w.resources.asked("guide"),
    params:
        scale=w.scale.name,
        results=subpath(output[0], parent=True),
        figures=lambda wildcards, output: Path(w.layout.figures).parent,
        state=[w.states.stages.guide, w.lab.claimed if w.lab else ""],
    message:
        "{rule}: the way through all results, with those of scale {params.scale}"
    shell:
        "salt guide --results {params.results:q} --figures {params.figures:q} --out {output:q} > {log:q} 2>&1"
