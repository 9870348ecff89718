"""`experiments/claims.yaml`: a mistake in it is one line, and the paper's numbers are those of its rows."""

import pytest

from salt.config import load_scale
from salt.config.claims import paper_claims, step_counts
from salt.errors import SaltError

VALUES = """
rows:
  - {table: table4, row: DMD, experiment: dmd, nfe: 4, where: x, values: {total: 80.0, quality: 81.0}}
  - {table: table4, row: Ours, experiment: ours, nfe: 2, where: x, values: {total: 82.0, quality: 84.0}}
  - {table: figA1, row: DMD, nfe: 4, where: x, values: {semigroup_defect: 0.5}}
"""
CLAIM = (
    "{says: Better, where: Sec. 1, side: up, method: {experiment: ours, nfe: 2}, baseline: {experiment: dmd, nfe: 4}, "
    "metrics: [total, quality], paper: {table: table4, row: Ours, baseline: DMD}}"
)
DEFECT = (
    "{says: Lower, where: Sec. 1, side: down, measure: relative_change, method: {experiment: ours, nfe: 4}, "
    "baseline: {experiment: dmd, nfe: 4}, metrics: [defect_mean], "
    "paper: {table: figA1, row: DMD, baseline: DMD, metric: semigroup_defect}}"
)


@pytest.fixture
def claimed(repository):
    """Writes a file of one claim."""
    repository.write("ours.yaml", "extends: dmd\ntitle: Ours\n")
    repository.write("paper_values.yaml", VALUES)
    return lambda claim: repository.write("claims.yaml", f"claims:\n - {claim}\n")


def test_numbers_are_those_of_the_rows_at_their_own_nfe(claimed):
    claimed(f"{CLAIM}\n - {DEFECT}")
    found = [(metric, pair) for _, metric, pair in paper_claims(load_scale("one"))]
    assert found == [("total", (82.0, 80.0)), ("quality", (84.0, 81.0)), ("defect_mean", (0.5, 0.5))]
    claimed(CLAIM.replace("}}", "}, first_frame: true}"))
    assert paper_claims(load_scale("one")) == []


@pytest.mark.parametrize(
    ("claim", "old", "new", "told"),
    [
        (CLAIM, "side: up", "side: left", "claims.0.side = \"left\": accepted: 'up' or 'down'"),
        (CLAIM, "says: Better, ", "", "claims.0.says: missing; accepted: The claim, in a sentence."),
        (CLAIM, "side:", "sides:", "claims.0.sides = \"up\": unknown key; did you mean 'side'?"),
        (CLAIM, "experiment: ours", "experiment: our", "claims.0.method.experiment = our: no such experiment; did"),
        (
            CLAIM,
            "experiment: dmd",
            "experiment: dmd_9",
            "claims.0.baseline.experiment = dmd_9: no such experiment; did",
        ),
        (CLAIM, "[total,", "[totl,", "claims.0: metrics: totl: no difference; did you mean 'total'? accepted: total,"),
        (CLAIM, "[total,", "[defect_mean,", "claims.0: metrics: defect_mean: no difference; "),
        (
            DEFECT,
            "[defect_mean]",
            "[total]",
            "claims.0: metrics: total: no relative_change; accepted: defect_mean, cro",
        ),
        (DEFECT, "ours, nfe: 4", "ours, nfe: 2", "claims.0: nfe: 2 and 4 for defect_mean; accepted: 4, for method and"),
        (DEFECT, "[defect_mean]", '["cross_step[2,8]"]', "claims.0: nfe: 4 for cross_step[2,8]; accepted: 8, for"),
        (CLAIM, "table: table4", "table: table5", "claims.0.paper.table = table5: no such table in paper_values.yaml"),
        (CLAIM, "row: Ours", "row: Our", "claims.0.paper.row = Our: no such row of table4 in paper_values.yaml; did"),
        (CLAIM, "baseline: DMD", "baseline: DMB", "claims.0.paper.baseline = DMB: no such row of table4"),
        (CLAIM, "quality]", "semantic]", "claims.0.metrics = semantic: no such number of Ours at 2 NFE in table4; "),
        (CLAIM, "dmd, nfe: 4", "dmd, nfe: 8", "claims.0.metrics = total: no such number of DMD at 8 NFE in table4; "),
    ],
)
def test_mistakes_are_one_line(claimed, claim, old, new, told):
    assert old in claim
    claimed(claim.replace(old, new))
    with pytest.raises(SaltError) as caught:
        paper_claims(load_scale("one"))
    text = str(caught.value)
    assert text.startswith(f"experiments/claims.yaml: {told}")
    assert "\n" not in text


def test_step_counts_are_those_in_brackets():
    assert step_counts("cross_step[2,16]") == (2, 16)
    assert step_counts("i2v") == step_counts("defect_mean") == ()
