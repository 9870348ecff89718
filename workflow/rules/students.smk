# One student: trajectories where it regresses some, train (or import), sample, score, the same of long videos where it
# is causal, and the defect of its own operator or what its cache does to it.


rule ode_pairs:
    input:
        teacher=ancient(rules.teacher.output.provenance),
        latents=ancient(rules.latents.output[0]),
        weights=lambda wildcards: ancient(w.layout.pairs_teacher(wildcards.experiment)),
        parts=lambda wildcards: w.layout.parts_of("ode_pairs", w.layout.pairs(wildcards.experiment, wildcards.state)),
    output:
        f"{w.layout.pairs('{experiment}', '{state}')}/index.json",
    log:
        f"{w.layout.scratch}/logs/ode_pairs/{{experiment}}_{{state}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/ode_pairs/{{experiment}}_{{state}}.tsv"
    threads: w.resources.threads("ode_pairs")
    resources:
        **w.resources.asked("ode_pairs"),
    params:
        scale=w.scale.name,
        teacher=subpath(input.teacher, parent=True),
        latents=subpath(input.latents, parent=True),
        weights=lambda wildcards, input: option("--weights", input.weights),
        part=unrecorded(""),
        folder=subpath(output[0], parent=True),
        state=lambda wildcards: w.states.ode_pairs(wildcards.experiment),
    message:
        "{rule} {wildcards.experiment}: the trajectories that it regresses, scale {params.scale}"
    shell:
        "salt ode-pairs {wildcards.experiment} --scale {params.scale} --teacher {params.teacher}"
        f" --latents {{params.latents}} {{params.weights}} --device {w.resources.device('ode_pairs')}"
        " {params.part} --out {params.folder} > {log} 2>&1"


use rule ode_pairs as ode_pairs_part with:
    input:
        teacher=ancient(rules.teacher.output.provenance),
        latents=ancient(rules.latents.output[0]),
        weights=lambda wildcards: ancient(w.layout.pairs_teacher(wildcards.experiment)),
    output:
        touch(f"{w.layout.pairs('{experiment}', '{state}')}/part_{{part}}_of_{{parts}}"),
    log:
        f"{w.layout.scratch}/logs/ode_pairs_part/{{experiment}}_{{state}}_part_{{part}}_of_{{parts}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/ode_pairs_part/{{experiment}}_{{state}}_part_{{part}}_of_{{parts}}.tsv"
    params:
        part=unrecorded("--part {part}/{parts}"),
    message:
        "{rule} {wildcards.experiment}: part {wildcards.part} of {wildcards.parts}, scale {params.scale}"


rule train:
    input:
        teacher=ancient(rules.teacher.output.provenance),
        latents=ancient(rules.latents.output[0]),
        init=lambda wildcards: ancient(w.layout.start_of(wildcards.experiment)),
        pairs=lambda wildcards: ancient(w.layout.pairs_of(wildcards.experiment)),
    output:
        provenance=f"{w.layout.scratch}/weights/{{experiment}}/seed{{seed}}/provenance.json",
    log:
        f"{w.layout.scratch}/logs/train/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/train/{{experiment}}_seed{{seed}}.tsv"
    threads: w.resources.threads("train")
    resources:
        **w.resources.asked("train"),
    params:
        scale=w.scale.name,
        # no output: Snakemake deletes those of a failed job
        run_dir=lambda wildcards: w.layout.run_of(wildcards.experiment, wildcards.seed),
        folder=subpath(output.provenance, parent=True),
        teacher=subpath(input.teacher, parent=True),
        latents=subpath(input.latents, parent=True),
        start=lambda wildcards, input: option("--init", input.init) + option("--pairs", input.pairs),
        state=lambda wildcards: w.states.weights(wildcards.experiment),
    message:
        "{rule} {wildcards.experiment}, seed {wildcards.seed}: its weights, scale {params.scale}"
    shell:
        f"{w.resources.launcher('train')}salt train {{wildcards.experiment}} --scale {{params.scale}}"
        " --seed {wildcards.seed} --teacher {params.teacher} --latents {params.latents} {params.start}"
        f" --device {w.resources.device('train')}"
        " --wait --run-dir {params.run_dir} --out {params.folder} > {log} 2>&1"


rule import_released:
    output:
        provenance=f"{w.layout.scratch}/released/{{experiment}}/seed0/provenance.json",
    log:
        f"{w.layout.scratch}/logs/import_released/{{experiment}}_seed0.log",
    benchmark:
        f"{w.layout.scratch}/benchmarks/import_released/{{experiment}}_seed0.tsv"
    wildcard_constraints:
        experiment="|".join(w.imported) or "(?!)",
    threads: w.resources.threads("import_released")
    resources:
        **w.resources.asked("import_released"),
    params:
        scale=w.scale.name,
        folder=subpath(output.provenance, parent=True),
        # no input: what is not downloaded yet shall not break a plan
        state=lambda wildcards: w.states.weights(wildcards.experiment),
    message:
        "{rule} {wildcards.experiment}: its published weights, scale {params.scale}"
    shell:
        "salt import-released {wildcards.experiment} --scale {params.scale} --out {params.folder} > {log} 2>&1"


rule sample:
    input:
        teacher=ancient(rules.teacher.output.provenance),
        weights=lambda wildcards: w.layout.sampled_weights(wildcards.sampled, wildcards.seed),
    output:
        manifest=f"{w.layout.videos}/{{sampled}}/seed{{seed}}/manifest.json",
    log:
        f"{w.layout.evaluation}/logs/sample/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.evaluation}/benchmarks/sample/{{sampled}}_seed{{seed}}.tsv"
    threads: w.resources.threads("sample")
    resources:
        **w.resources.asked("sample"),
    params:
        long=unrecorded(""),
        scale=w.scale.name,
        teacher=subpath(input.teacher, parent=True),
        weights=lambda wildcards, input: option("--weights", input.weights),
        cells=lambda wildcards, output: w.printed.options(wildcards.sampled),
        folder=subpath(output.manifest, parent=True),
        state=lambda wildcards: w.states.sample(wildcards.sampled, w.printed.cells(wildcards.sampled)),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: videos of the evaluation's prompts, scale {params.scale}"
    shell:
        "salt sample {wildcards.sampled} {params.long} {params.cells} --scale {params.scale} --seed {wildcards.seed}"
        f" --device {w.resources.device('sample')} --teacher {{params.teacher}} {{params.weights}}"
        " --out {params.folder} > {log} 2>&1"


rule score_vbench:
    input:
        videos=f"{w.layout.videos}/{{sampled}}/seed{{seed}}{{long}}/manifest.json",
    output:
        f"{w.layout.evaluation}/vbench/{{sampled}}/seed{{seed}}{{long}}/{{dimension}}.json",
    log:
        f"{w.layout.evaluation}/logs/score_vbench/{{sampled}}_seed{{seed}}{{long}}_{{dimension}}.log",
    benchmark:
        f"{w.layout.evaluation}/benchmarks/score_vbench/{{sampled}}_seed{{seed}}{{long}}_{{dimension}}.tsv"
    threads: w.resources.threads("score_vbench")
    resources:
        **w.resources.asked("score_vbench"),
    params:
        scale=w.scale.name,
        videos=subpath(input.videos, parent=True),
        details=unrecorded(f"{w.layout.evaluation}/scores/{{sampled}}/seed{{seed}}{{long}}"),
        long=lambda wildcards: "--long" if wildcards.long else "",
        cells=lambda wildcards, output: [] if wildcards.long else w.printed.options(wildcards.sampled),
        state=lambda wildcards: w.states.score_vbench(
            wildcards.sampled, () if wildcards.long else w.printed.cells(wildcards.sampled)
        ),
    message:
        "{rule} {wildcards.sampled}{wildcards.long}, seed {wildcards.seed}: {wildcards.dimension}, scale {params.scale}"
    shell:
        "salt score-vbench {wildcards.sampled} {wildcards.dimension} {params.long} {params.cells} --scale {params.scale}"
        f" --seed {{wildcards.seed}} --device {w.resources.device('score_vbench')}"
        " --videos {params.videos} --details {params.details} --out {output} > {log} 2>&1"


rule score:
    input:
        unless_made(
            "score",
            lambda wildcards: w.states.score(wildcards.sampled, w.printed.cells(wildcards.sampled)),
            videos=rules.sample.output.manifest,
            dimensions=expand(rules.score_vbench.output, dimension=w.dimensions, long="", allow_missing=True),
        ),
    output:
        **w.layout.outputs_of("score"),
    log:
        f"{w.layout.evaluation}/logs/score/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.evaluation}/benchmarks/score/{{sampled}}_seed{{seed}}.tsv"
    threads: w.resources.threads("score")
    resources:
        **w.resources.asked("score"),
    params:
        long=unrecorded(""),
        scale=w.scale.name,
        videos=unrecorded(f"{w.layout.videos}/{{sampled}}/seed{{seed}}"),
        cells=lambda wildcards, output: w.printed.options(wildcards.sampled),
        details=unrecorded(f"{w.layout.evaluation}/scores/{{sampled}}/seed{{seed}}"),
        state=lambda wildcards: w.states.score(wildcards.sampled, w.printed.cells(wildcards.sampled)),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: records of its videos, scale {params.scale}"
    shell:
        "salt score {wildcards.sampled} {params.long} {params.cells} --scale {params.scale} --seed {wildcards.seed}"
        " --videos {params.videos} --out {output.scores} --details {params.details} > {log} 2>&1"


use rule sample as sample_long with:
    output:
        manifest=f"{w.layout.videos}/{{sampled}}/seed{{seed}}_long/manifest.json",
    log:
        f"{w.layout.evaluation}/logs/sample_long/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.evaluation}/benchmarks/sample_long/{{sampled}}_seed{{seed}}.tsv"
    wildcard_constraints:
        sampled="|".join(w.long),
    threads: w.resources.threads("sample_long")
    resources:
        **w.resources.asked("sample_long"),
    params:
        long=unrecorded("--long"),
        cells=unrecorded(""),
        state=lambda wildcards: w.states.sample_long(wildcards.sampled),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: videos beyond the training length, scale {params.scale}"


use rule score as score_long with:
    input:
        unless_made(
            "score_long",
            lambda wildcards: w.states.score_long(wildcards.sampled),
            videos=rules.sample_long.output.manifest,
            dimensions=expand(
                rules.score_vbench.output, dimension=w.long_dimensions, long="_long", allow_missing=True
            ),
        ),
    output:
        **w.layout.outputs_of("score_long"),
    log:
        f"{w.layout.evaluation}/logs/score_long/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{w.layout.evaluation}/benchmarks/score_long/{{sampled}}_seed{{seed}}.tsv"
    wildcard_constraints:
        sampled="|".join(w.long),
    threads: w.resources.threads("score_long")
    resources:
        **w.resources.asked("score_long"),
    params:
        long=unrecorded("--long"),
        cells=unrecorded(""),
        videos=unrecorded(f"{w.layout.videos}/{{sampled}}/seed{{seed}}_long"),
        details=unrecorded(f"{w.layout.evaluation}/scores/{{sampled}}/seed{{seed}}_long"),
        state=lambda wildcards: w.states.score_long(wildcards.sampled),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: records of its long videos, scale {params.scale}"


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
        "salt modes {wildcards.sampled} {params.cells} --scale {params.scale} --seed {wildcards.seed}"
        f" --device {w.resources.device('modes')} --teacher {{params.teacher}} --latents {{params.latents}}"
        " {params.weights} --out {output} > {log} 2>&1"


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
        alone=unrecorded("--alone" if w.printed.alone else ""),
        state=lambda wildcards: w.states.defect(wildcards.experiment, w.printed.alone),
    message:
        "{rule} {wildcards.experiment}, seed {wildcards.seed}: its semigroup defect, scale {params.scale}"
    shell:
        "salt defect {params.weights} {params.alone} --scale {params.scale} --teacher {params.teacher}"
        f" --device {w.resources.device('defect')}"
        " --out {output.defect} > {log} 2>&1"


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
        "salt caches {params.weights} --scale {params.scale} --teacher {params.teacher}"
        f" --device {w.resources.device('caches')}"
        " --out {output} > {log} 2>&1"


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
        weights=lambda wildcards, output: Path(w.layout.weights(wildcards.experiment, wildcards.seed)).parent,
        run_dir=lambda wildcards, output: w.layout.run_of(wildcards.experiment, wildcards.seed),
        state=lambda wildcards: w.states.training_curves(wildcards.experiment),
    message:
        "{rule} {wildcards.experiment}, seed {wildcards.seed}: what its training took, and how its losses went"
    shell:
        "salt training-curves {params.weights} --run-dir {params.run_dir} --out {output} > {log} 2>&1"
