# Named targets: every table, every figure, and one ablation_NAME per experiment.

for target in w.entries.tables:

    rule:
        name:
            target
        input:
            expand(rules.table.output, table=target),
        localrule: True


for target in w.entries.figures:

    rule:
        name:
            target
        input:
            expand(rules.figure.output, figure=target),
        localrule: True


for target in w.students:

    rule:
        name:
            f"ablation_{target}"
        input:
            expand(
                [rules.score.output.scores]
                + (rules.caches.output if w.experiments[target].causal else [rules.defect.output.defect]),
                sampled=target,
                experiment=target,
                seed=w.entries.seeds_for(target, w.entries.suite.ablations),
            ),
        localrule: True
