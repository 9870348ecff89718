# Named targets: every table, every figure, one ablation_NAME per experiment, and the scores of all published weights.

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


if w.published:

    rule published:
        input:
            expand(rules.score.output.scores, sampled=w.published, seed=0),
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
