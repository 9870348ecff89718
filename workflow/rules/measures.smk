# What is measured of one student beside the scores of its videos: modes (at any number of steps as well), defect, caches, and what its training took.


rule modes:
    input:
        unless_made(
            "modes",
            lambda wildcards: w.states.modes(wildcards.sampled, w.printed.cells(wildcards.sampled)),
            teacher=rules.teacher.output.provenance,
            latents=rules.latents.output[0],
            weights=lambda wildcards: w.layout.sampled_weights(wildcards.sampled, wildcards.seed),
        ),
    output:
        **w.layout.outputs_of("modes"),
    log:
        f"{w.layout.evaluation}/logs/modes/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.evaluation}/benchmarks/modes/{{sampled}}_seed{{seed}}.tsv"
    threads: w.resources.threads("modes")
    resources:
        **w.resources.asked("modes"),
    params:
        scale=w.scale.name,
        teacher=unrecorded(w.layout.teacher),
        latents=unrecorded(w.layout.latents),
        weights=lambda wildcards, input: option("--weights", input.get("weights", [])),
        cells=lambda wildcards, output: w.printed.options(wildcards.sampled),
        state=lambda wildcards: w.states.modes(wildcards.sampled, w.printed.cells(wildcards.sampled)),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: which futures and styles it samples, scale {params.scale}"
    shell:
        "salt modes {wildcards.sampled} {params.cells:q} --scale {params.scale} --seed {wildcards.seed}"
        f" --device {w.resources.device('modes')} --teacher {{params.teacher:q}} --latents {{params.latents:q}}"
        " {params.weights:q} --out {output:q} > {log:q} 2>&1"


rule modes_any_step:
    input:
        unless_made(
            "modes_any_step",
            lambda wildcards: w.states.modes_any_step(wildcards.sampled),
            teacher=rules.teacher.output.provenance,
            latents=rules.latents.output[0],
            weights=lambda wildcards: w.layout.sampled_weights(wildcards.sampled, wildcards.seed),
        ),
    output:
        **w.layout.outputs_of("modes_any_step"),
    log:
        f"{w.layout.scratch}/logs/modes_any_step/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/modes_any_step/{{sampled}}_seed{{seed}}.tsv"
    threads: w.resources.threads("modes_any_step")
    resources:
        **w.resources.asked("modes_any_step"),
    params:
        scale=w.scale.name,
        teacher=unrecorded(w.layout.teacher),
        latents=unrecorded(w.layout.latents),
        weights=lambda wildcards, input: option("--weights", input.get("weights", [])),
        state=lambda wildcards: w.states.modes_any_step(wildcards.sampled),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: the same in any number of steps, scale {params.scale}"
    shell:
        "salt modes {wildcards.sampled} --any-step --scale {params.scale} --seed {wildcards.seed}"
        f" --device {w.resources.device('modes_any_step')} --teacher {{params.teacher:q}} --latents {{params.latents:q}}"
        " {params.weights:q} --out {output:q} > {log:q} 2>&1"


rule defect:
    input:
        unless_made(
            "defect",
            lambda wildcards: w.states.defect(wildcards.experiment, w.printed.alone),
            weights=lambda wildcards: [w.layout.weights(wildcards.experiment, wildcards.seed)],
            teacher=rules.teacher.output.provenance,
        ),
    output:
        **w.layout.outputs_of("defect"),
    log:
        f"{w.layout.evaluation}/logs/defect/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.evaluation}/benchmarks/defect/{{experiment}}_seed{{seed}}.tsv"
    threads: w.resources.threads("defect")
    resources:
        **w.resources.asked("defect"),
    params:
        scale=w.scale.name,
        weights=lambda wildcards, output: Path(w.layout.weights(wildcards.experiment, wildcards.seed)).parent,
        teacher=unrecorded(w.layout.teacher),
        alone=unrecorded(*["--alone"] * w.printed.alone),
        state=lambda wildcards: w.states.defect(wildcards.experiment, w.printed.alone),
    message:
        "{rule} {wildcards.experiment}, seed {wildcards.seed}: its semigroup defect, scale {params.scale}"
    shell:
        "salt defect {params.weights:q} {params.alone:q} --scale {params.scale} --teacher {params.teacher:q}"
        f" --device {w.resources.device('defect')}"
        " --out {output.defect:q} > {log:q} 2>&1"


rule caches:
    input:
        unless_made(
            "caches",
            lambda wildcards: w.states.caches(wildcards.experiment),
            weights=lambda wildcards: [w.layout.weights(wildcards.experiment, wildcards.seed)],
            teacher=rules.teacher.output.provenance,
        ),
    output:
        **w.layout.outputs_of("caches"),
    log:
        f"{w.layout.scratch}/logs/caches/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/caches/{{experiment}}_seed{{seed}}.tsv"
    threads: w.resources.threads("caches")
    resources:
        **w.resources.asked("caches"),
    params:
        scale=w.scale.name,
        weights=lambda wildcards, output: Path(w.layout.weights(wildcards.experiment, wildcards.seed)).parent,
        teacher=unrecorded(w.layout.teacher),
        state=lambda wildcards: w.states.caches(wildcards.experiment),
    message:
        "{rule} {wildcards.experiment}, seed {wildcards.seed}: what its cache does to it, scale {params.scale}"
    shell:
        "salt caches {params.weights:q} --scale {params.scale} --teacher {params.teacher:q}"
        f" --device {w.resources.device('caches')}"
        " --out {output:q} > {log:q} 2>&1"


rule training_curves:
    input:
        unless_made(
            "training_curves",
            lambda wildcards: w.states.training_curves(wildcards.experiment),
            weights=lambda wildcards: [w.layout.weights(wildcards.experiment, wildcards.seed)],
        ),
    output:
        **w.layout.outputs_of("training_curves"),
    log:
        f"{w.layout.scratch}/logs/training_curves/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/training_curves/{{experiment}}_seed{{seed}}.tsv"
    threads: w.resources.threads("training_curves")
    resources:
        **w.resources.asked("training_curves"),
    params:
        scale=w.scale.name,
        weights=lambda wildcards, output: Path(w.layout.weights(wildcards.experiment, wildcards.seed)).parent,
        run_dir=lambda wildcards, output: w.layout.run_of(wildcards.experiment, wildcards.seed),
        state=lambda wildcards: w.states.training_curves(wildcards.experiment),
    message:
        "{rule} {wildcards.experiment}, seed {wildcards.seed}: what its training took, scale {params.scale}"
    shell:
        "salt training-curves {params.weights:q} --scale {params.scale} --run-dir {params.run_dir:q} --out {output:q} > {log:q} 2>&1"
