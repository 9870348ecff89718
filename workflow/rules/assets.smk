# What all students share: codec, text encoder and teacher; the bank of latents they are trained on. Where these are made
# again, as on a clone without scratch/, only what is stale by its own state follows: they are `ancient` inputs, and the
# state of every job holds theirs.


rule teacher:
    output:
        provenance=f"{w.layout.teacher}/provenance.json",
    log:
        f"{w.layout.scratch}/logs/teacher.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/teacher.tsv"
    threads: w.resources.threads("teacher")
    resources:
        **w.resources.asked("teacher"),
    params:
        scale=w.scale.name,
        run_dir=w.layout.run_of_teacher(),
        folder=subpath(output.provenance, parent=True),
        state=w.states.teacher(),
    message:
        "{rule}: codec, text encoder and teacher of scale {params.scale}"
    shell:
        f"salt teacher --scale {{params.scale}} --device {w.resources.device('teacher')}"
        " --wait --run-dir {params.run_dir:q} --out {params.folder:q} > {log:q} 2>&1"


rule latents:
    input:
        teacher=ancient(rules.teacher.output.provenance),
        parts=w.layout.parts_of("latents", w.layout.latents),
    output:
        f"{w.layout.latents}/index.json",
    log:
        f"{w.layout.scratch}/logs/latents.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/latents.tsv"
    threads: w.resources.threads("latents")
    resources:
        **w.resources.asked("latents"),
    params:
        scale=w.scale.name,
        teacher=subpath(input.teacher, parent=True),
        part=unrecorded(),
        folder=subpath(output[0], parent=True),
        state=w.states.latents(),
    message:
        "{rule}: the latents that all students of scale {params.scale} are trained on"
    shell:
        f"salt latents --scale {{params.scale}} --teacher {{params.teacher:q}} --device {w.resources.device('latents')}"
        " {params.part:q} --out {params.folder:q} > {log:q} 2>&1"


use rule latents as latents_part with:
    input:
        teacher=ancient(rules.teacher.output.provenance),
    output:
        touch(f"{w.layout.latents}/part_{{part}}_of_{{parts}}"),
    log:
        f"{w.layout.scratch}/logs/latents_part/part_{{part}}_of_{{parts}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/latents_part/part_{{part}}_of_{{parts}}.tsv"
    resources:
        **w.resources.asked("latents_part"),
    params:
        part=unrecorded("--part", "{part}/{parts}"),
    message:
        "{rule}: part {wildcards.part} of the {wildcards.parts} that jobs share of the latents of scale {params.scale}"
