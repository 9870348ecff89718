# What all students share: codec, text encoder and teacher; the bank of latents they are trained on.


rule teacher:
    output:
        provenance=f"{SCRATCH}/teacher/provenance.json",
    log:
        f"{SCRATCH}/logs/teacher.log",
    benchmark:
        f"{SCRATCH}/benchmarks/teacher.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("teacher"),
    params:
        scale=SCALE.name,
        run_dir=run_dir("teacher", teacher_state()),
        folder=subpath(output.provenance, parent=True),
        state=teacher_state(),
    shell:
        f"salt teacher --scale {{params.scale}} --device {device('teacher')}"
        " --wait --run-dir {params.run_dir} --out {params.folder} > {log} 2>&1"


rule latents:
    input:
        teacher=rules.teacher.output.provenance,
        parts=parts_of("latents", LATENTS),
    output:
        index=f"{LATENTS}/index.json",
    log:
        f"{SCRATCH}/logs/latents.log",
    benchmark:
        f"{SCRATCH}/benchmarks/latents.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("latents"),
    params:
        scale=SCALE.name,
        teacher=subpath(input.teacher, parent=True),
        folder=subpath(output.index, parent=True),
        state=latents_state(),
    shell:
        f"salt latents --scale {{params.scale}} --teacher {{params.teacher}} --device {device('latents')}"
        " --out {params.folder} > {log} 2>&1"


rule latents_part:
    input:
        teacher=rules.teacher.output.provenance,
    output:
        touch(f"{LATENTS}/part_{{part}}_of_{{parts}}"),
    log:
        f"{SCRATCH}/logs/latents_part/part_{{part}}_of_{{parts}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/latents_part/part_{{part}}_of_{{parts}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("latents"),
    params:
        scale=SCALE.name,
        teacher=subpath(input.teacher, parent=True),
        folder=subpath(output[0], parent=True),
        state=latents_state(),
    shell:
        f"salt latents --scale {{params.scale}} --teacher {{params.teacher}} --device {device('latents')}"
        " --part {wildcards.part}/{wildcards.parts} --out {params.folder} > {log} 2>&1"
