# One student: trajectories where it regresses some, train (or import), sample, score, the same of long videos where it
# is causal.


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
        part=unrecorded(),
        folder=subpath(output[0], parent=True),
        state=lambda wildcards: w.states.ode_pairs(wildcards.experiment),
    message:
        "{rule} {wildcards.experiment}: the trajectories that it regresses, scale {params.scale}"
    shell:
        "salt ode-pairs {wildcards.experiment} --scale {params.scale} --teacher {params.teacher:q}"
        f" --latents {{params.latents:q}} {{params.weights:q}} --device {w.resources.device('ode_pairs')}"
        " {params.part:q} --out {params.folder:q} > {log:q} 2>&1"


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
    resources:
        **w.resources.asked("ode_pairs_part"),
    params:
        part=unrecorded("--part", "{part}/{parts}"),
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
        " --seed {wildcards.seed} --teacher {params.teacher:q} --latents {params.latents:q} {params.start:q}"
        f" --device {w.resources.device('train')}"
        " --wait --run-dir {params.run_dir:q} --out {params.folder:q} > {log:q} 2>&1"


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
        "salt import-released {wildcards.experiment} --scale {params.scale} --out {params.folder:q} > {log:q} 2>&1"


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
        long=unrecorded(),
        scale=w.scale.name,
        teacher=subpath(input.teacher, parent=True),
        weights=lambda wildcards, input: option("--weights", input.weights),
        cells=lambda wildcards, output: w.printed.options(wildcards.sampled),
        folder=subpath(output.manifest, parent=True),
        state=lambda wildcards: w.states.sample(wildcards.sampled, w.printed.cells(wildcards.sampled)),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: videos of the evaluation's prompts, scale {params.scale}"
    shell:
        "salt sample {wildcards.sampled} {params.long:q} {params.cells:q} --scale {params.scale} --seed {wildcards.seed}"
        f" --device {w.resources.device('sample')} --teacher {{params.teacher:q}} {{params.weights:q}}"
        " --out {params.folder:q} > {log:q} 2>&1"


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
        "salt score-vbench {wildcards.sampled} {wildcards.dimension} {params.long:q} {params.cells:q} --scale {params.scale}"
        f" --seed {{wildcards.seed}} --device {w.resources.device('score_vbench')}"
        " --videos {params.videos:q} --details {params.details:q} --out {output:q} > {log:q} 2>&1"


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
        long=unrecorded(),
        scale=w.scale.name,
        videos=unrecorded(f"{w.layout.videos}/{{sampled}}/seed{{seed}}"),
        cells=lambda wildcards, output: w.printed.options(wildcards.sampled),
        details=unrecorded(f"{w.layout.evaluation}/scores/{{sampled}}/seed{{seed}}"),
        state=lambda wildcards: w.states.score(wildcards.sampled, w.printed.cells(wildcards.sampled)),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: records of its videos, scale {params.scale}"
    shell:
        "salt score {wildcards.sampled} {params.long:q} {params.cells:q} --scale {params.scale} --seed {wildcards.seed}"
        " --videos {params.videos:q} --out {output.scores:q} --details {params.details:q} > {log:q} 2>&1"


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
        cells=unrecorded(),
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
        cells=unrecorded(),
        videos=unrecorded(f"{w.layout.videos}/{{sampled}}/seed{{seed}}_long"),
        details=unrecorded(f"{w.layout.evaluation}/scores/{{sampled}}/seed{{seed}}_long"),
        state=lambda wildcards: w.states.score_long(wildcards.sampled),
    message:
        "{rule} {wildcards.sampled}, seed {wildcards.seed}: records of its long videos, scale {params.scale}"
