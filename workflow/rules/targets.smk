# Named targets: every table, every figure, and one ablation_NAME per experiment.

for target, entry in TABLES.items():

    rule:
        name:
            target
        input:
            expand(rules.table.output, table=target),
        localrule: True


for target, entry in FIGURES.items():

    rule:
        name:
            target
        input:
            expand(rules.figure.output, figure=target),
        localrule: True


for target in STUDENTS:

    rule:
        name:
            f"ablation_{target}"
        input:
            expand(
                [rules.score.output.scores]
                + (rules.caches.output if EXPERIMENTS[target].causal else [rules.defect.output.defect]),
                sampled=target,
                experiment=target,
                seed=seeds_for(target, SUITE["ablations"]),
            ),
        localrule: True
