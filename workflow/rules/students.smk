# One student: trajectories where it regresses some, train (or import), sample, score, the same of long videos where it
# is causal, and the defect of its own operator or what its cache does to it.


rule ode_pairs:
    input:
        teacher=rules.teacher.output.provenance,
        latents=rules.latents.output.index,
        weights=lambda wildcards: pairs_teacher(wildcards.experiment),
        parts=lambda wildcards: parts_of("ode_pairs", f"{SCRATCH}/pairs/{wildcards.experiment}/{wildcards.state}"),
    output:
        index=f"{SCRATCH}/pairs/{{experiment}}/{{state}}/index.json",
    log:
        f"{SCRATCH}/logs/ode_pairs/{{experiment}}_{{state}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/ode_pairs/{{experiment}}_{{state}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("ode_pairs"),
    params:
        scale=SCALE.name,
        teacher=subpath(input.teacher, parent=True),
        latents=subpath(input.latents, parent=True),
        weights=lambda wildcards, input: option("--weights", input.weights),
        folder=subpath(output.index, parent=True),
        state=lambda wildcards: pairs_state(wildcards.experiment),
    shell:
        "salt ode-pairs {wildcards.experiment} --scale {params.scale} --teacher {params.teacher}"
        f" --latents {{params.latents}} {{params.weights}} --device {device('ode_pairs')}"
        " --out {params.folder} > {log} 2>&1"


rule ode_pairs_part:
    input:
        teacher=rules.teacher.output.provenance,
        latents=rules.latents.output.index,
        weights=lambda wildcards: pairs_teacher(wildcards.experiment),
    output:
        touch(f"{SCRATCH}/pairs/{{experiment}}/{{state}}/part_{{part}}_of_{{parts}}"),
    log:
        f"{SCRATCH}/logs/ode_pairs_part/{{experiment}}_{{state}}_part_{{part}}_of_{{parts}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/ode_pairs_part/{{experiment}}_{{state}}_part_{{part}}_of_{{parts}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("ode_pairs"),
    params:
        scale=SCALE.name,
        teacher=subpath(input.teacher, parent=True),
        latents=subpath(input.latents, parent=True),
        weights=lambda wildcards, input: option("--weights", input.weights),
        folder=subpath(output[0], parent=True),
        state=lambda wildcards: pairs_state(wildcards.experiment),
    shell:
        "salt ode-pairs {wildcards.experiment} --scale {params.scale} --teacher {params.teacher}"
        f" --latents {{params.latents}} {{params.weights}} --device {device('ode_pairs')}"
        " --part {wildcards.part}/{wildcards.parts} --out {params.folder} > {log} 2>&1"


rule train:
    input:
        teacher=rules.teacher.output.provenance,
        latents=rules.latents.output.index,
        init=lambda wildcards: start_of(wildcards.experiment),
        pairs=lambda wildcards: pairs_of(wildcards.experiment),
    output:
        provenance=f"{SCRATCH}/weights/{{experiment}}/seed{{seed}}/provenance.json",
    log:
        f"{SCRATCH}/logs/train/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/train/{{experiment}}_seed{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("train"),
    params:
        scale=SCALE.name,
        # no output: Snakemake deletes those of a failed job
        run_dir=lambda wildcards: run_dir(
            f"{wildcards.experiment}/seed{wildcards.seed}", weights_state(wildcards.experiment)
        ),
        folder=subpath(output.provenance, parent=True),
        teacher=subpath(input.teacher, parent=True),
        latents=subpath(input.latents, parent=True),
        start=lambda wildcards, input: option("--init", input.init) + option("--pairs", input.pairs),
        state=lambda wildcards: weights_state(wildcards.experiment),
    shell:
        f"{launcher('train')}salt train {{wildcards.experiment}} --scale {{params.scale}} --seed {{wildcards.seed}}"
        " --teacher {params.teacher} --latents {params.latents} {params.start}"
        f" --device {device('train')}"
        " --wait --run-dir {params.run_dir} --out {params.folder} > {log} 2>&1"


rule import_released:
    output:
        provenance=f"{SCRATCH}/released/{{experiment}}/seed0/provenance.json",
    log:
        f"{SCRATCH}/logs/import_released/{{experiment}}_seed0.log",
    benchmark:
        f"{SCRATCH}/benchmarks/import_released/{{experiment}}_seed0.tsv"
    wildcard_constraints:
        experiment="|".join(IMPORTED) or "(?!)",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("import_released"),
    params:
        scale=SCALE.name,
        folder=subpath(output.provenance, parent=True),
        # no input: what is not downloaded yet shall not break a plan
        state=lambda wildcards: weights_state(wildcards.experiment),
    shell:
        "salt import-released {wildcards.experiment} --scale {params.scale} --out {params.folder} > {log} 2>&1"


rule sample:
    input:
        teacher=rules.teacher.output.provenance,
        weights=sampled_weights,
    output:
        manifest=f"{VIDEOS}/{{sampled}}/seed{{seed}}/manifest.json",
    log:
        f"{SCRATCH}/logs/sample/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/sample/{{sampled}}_seed{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("sample"),
    params:
        scale=SCALE.name,
        teacher=subpath(input.teacher, parent=True),
        weights=lambda wildcards, input: option("--weights", input.weights),
        folder=subpath(output.manifest, parent=True),
        state=evaluation_state("sample"),
    shell:
        "salt sample {wildcards.sampled} --scale {params.scale} --seed {wildcards.seed}"
        f" --device {device('sample')} --teacher {{params.teacher}} {{params.weights}}"
        " --out {params.folder} > {log} 2>&1"


rule score_vbench:
    input:
        videos=f"{VIDEOS}/{{sampled}}/seed{{seed}}{{long}}/manifest.json",
    output:
        f"{SCRATCH}/vbench/{{sampled}}/seed{{seed}}{{long}}/{{dimension}}.json",
    log:
        f"{SCRATCH}/logs/score_vbench/{{sampled}}_seed{{seed}}{{long}}_{{dimension}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/score_vbench/{{sampled}}_seed{{seed}}{{long}}_{{dimension}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("score_vbench"),
    params:
        scale=SCALE.name,
        videos=subpath(input.videos, parent=True),
        details=f"{SCRATCH}/scores/{{sampled}}/seed{{seed}}{{long}}",
        long=lambda wildcards: "--long" if wildcards.long else "",
        state=long_state("score"),
    shell:
        "salt score-vbench {wildcards.sampled} {wildcards.dimension} {params.long} --scale {params.scale}"
        f" --seed {{wildcards.seed}} --device {device('score_vbench')}"
        " --videos {params.videos} --details {params.details} --out {output} > {log} 2>&1"


rule score:
    input:
        videos=rules.sample.output.manifest,
        dimensions=expand(rules.score_vbench.output, dimension=VBENCH, long="", allow_missing=True),
    output:
        scores=f"{RECORDS}/{{sampled}}_seed{{seed}}_scores.csv",
        prompts=f"{RECORDS}/{{sampled}}_seed{{seed}}_prompts.csv.gz",
    log:
        f"{SCRATCH}/logs/score/{{sampled}}_seed{{seed}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/score/{{sampled}}_seed{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("score"),
    params:
        scale=SCALE.name,
        videos=subpath(input.videos, parent=True),
        details=f"{SCRATCH}/scores/{{sampled}}/seed{{seed}}",
        state=evaluation_state("score"),
    shell:
        "salt score {wildcards.sampled} --scale {params.scale} --seed {wildcards.seed}"
        " --videos {params.videos} --out {output.scores} --details {params.details} > {log} 2>&1"


rule sample_long:
    input:
        teacher=rules.teacher.output.provenance,
        weights=weights_of,
    output:
        manifest=f"{VIDEOS}/{{experiment}}/seed{{seed}}_long/manifest.json",
    log:
        f"{SCRATCH}/logs/sample_long/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/sample_long/{{experiment}}_seed{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("sample_long"),
    params:
        scale=SCALE.name,
        teacher=subpath(input.teacher, parent=True),
        weights=subpath(input.weights, parent=True),
        folder=subpath(output.manifest, parent=True),
        state=long_state("sample"),
    shell:
        "salt sample {wildcards.experiment} --long --scale {params.scale} --seed {wildcards.seed}"
        f" --device {device('sample_long')} --teacher {{params.teacher}} --weights {{params.weights}}"
        " --out {params.folder} > {log} 2>&1"


rule score_long:
    input:
        videos=rules.sample_long.output.manifest,
        dimensions=lambda wildcards: expand(
            rules.score_vbench.output,
            sampled=wildcards.experiment,
            seed=wildcards.seed,
            dimension=VBENCH_LONG,
            long="_long",
        ),
    output:
        scores=f"{RECORDS}/{{experiment}}_seed{{seed}}_long.csv",
        prompts=f"{RECORDS}/{{experiment}}_seed{{seed}}_long_prompts.csv.gz",
    log:
        f"{SCRATCH}/logs/score_long/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/score_long/{{experiment}}_seed{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("score_long"),
    params:
        scale=SCALE.name,
        videos=subpath(input.videos, parent=True),
        details=f"{SCRATCH}/scores/{{experiment}}/seed{{seed}}_long",
        state=long_state("score"),
    shell:
        "salt score {wildcards.experiment} --long --scale {params.scale} --seed {wildcards.seed}"
        " --videos {params.videos} --out {output.scores} --details {params.details} > {log} 2>&1"


rule defect:
    input:
        weights=weights_of,
        teacher=rules.teacher.output.provenance,
    output:
        defect=f"{RECORDS}/{{experiment}}_seed{{seed}}_defect.csv",
        trajectory=f"{RECORDS}/{{experiment}}_seed{{seed}}_trajectory.csv",
    log:
        f"{SCRATCH}/logs/defect/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/defect/{{experiment}}_seed{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("defect"),
    params:
        scale=SCALE.name,
        weights=subpath(input.weights, parent=True),
        teacher=subpath(input.teacher, parent=True),
        state=evaluation_state("defect"),
    shell:
        "salt defect {params.weights} --scale {params.scale} --teacher {params.teacher}"
        f" --device {device('defect')}"
        " --out {output.defect} > {log} 2>&1"


rule caches:
    input:
        weights=weights_of,
        teacher=rules.teacher.output.provenance,
    output:
        f"{RECORDS}/{{experiment}}_seed{{seed}}_caches.csv",
    log:
        f"{SCRATCH}/logs/caches/{{experiment}}_seed{{seed}}.log",
    benchmark:
        f"{SCRATCH}/benchmarks/caches/{{experiment}}_seed{{seed}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **needs("caches"),
    params:
        scale=SCALE.name,
        weights=subpath(input.weights, parent=True),
        teacher=subpath(input.teacher, parent=True),
        state=evaluation_state("caches"),
    shell:
        "salt caches {params.weights} --scale {params.scale} --teacher {params.teacher}"
        f" --device {device('caches')}"
        " --out {output} > {log} 2>&1"
