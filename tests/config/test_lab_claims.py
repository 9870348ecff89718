"""`experiments/lab/claims.yaml`: a mistake in it is one line, and every cell has its metric."""

import json

import jsonschema
import pytest

from salt.config.files import read_mapping, repository_root
from salt.config.jsonschema import schemas
from salt.config.lab_arms import load_arms
from salt.config.lab_claims import LabCell, claims_path, lab_claims
from salt.errors import SaltError

FILE = """
metric: energy_distance
controls:
  steps: {text: More steps help., kind: improves,
          plus: [{arm: exact_teacher, nfe: 32}], minus: [{arm: exact_teacher, nfe: 4}]}
  same: {text: Halves are alike., kind: nothing, smallest: 0.1, halves: {arm: dmd_8, nfe: 4}}
claims:
  source: {text: Worse., source: Sec. 1, predicted: greater, smallest: 0.01,
           plus: [{arm: dmd_8, nfe: 16}], minus: [{arm: dmd_8, nfe: 4}]}
  mixed: {text: Less., source: Sec. 2, predicted: less, smallest: 0.01, metric: nll,
          plus: [{arm: sc_dmd, nfe: 4, updates: 200, chunk: 2, cache: 8}], minus: [{arm: dmd_8, nfe: 4, solver: euler}]}
"""
ARMS = ("dmd_8", "sc_dmd")


@pytest.fixture
def planned(repository):
    """Writes the file."""
    return lambda text: repository.write("lab/claims.yaml", text)


def test_every_cell_has_its_own_metric_that_of_its_claim_or_that_of_the_file(planned):
    planned(FILE)
    found = lab_claims(ARMS)
    assert (found.family.level, found.family.correction) == (0.95, "holm")
    assert [cell.metric for cell in found.controls["steps"].cells] == ["energy_distance"] * 2
    assert found.controls["same"].cells == (LabCell(arm="dmd_8", nfe=4, metric="energy_distance"),)
    assert [cell.metric for cell in found.claims["mixed"].cells] == ["nll", "nll"]
    assert found.claims["mixed"].metric == "nll"
    assert found.claims["mixed"].plus[0].updates == 200
    assert found.claims["source"].plus[0].updates == "last"
    assert (found.claims["source"].side, found.claims["mixed"].side) == (1, -1)
    planned(
        FILE.replace("dmd_8, nfe: 16", "dmd_8, nfe: 16, metric: nll").replace(
            "[{arm: dmd_8, nfe: 4}]", "[{arm: dmd_8, nfe: 4, metric: nll}]"
        )
    )
    assert [cell.metric for cell in lab_claims().claims["source"].cells] == ["nll", "nll"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "plus: [{arm: dmd_8, nfe: 16}]",
            "plus: [{arm: dmd_8, nfe: 16}, {arm: dmd_8, nfe: 8}]",
            "claims.source: 2 cells in plus, 1 in minus: accepted: as many, so that what all share cancels",
        ),
        ("plus: [{arm: dmd_8, nfe: 16}]", "plus: []", "claims.source.plus = []: accepted: Tuple should have at least"),
        ("arm: sc_dmd", "arm: sc_dm", "claims.mixed.plus.0.arm = sc_dm: no such arm; did you mean 'sc_dmd'? accepted:"),
        ("arm: sc_dmd", "arm: truth", "claims.mixed.plus.0.arm = truth: no such arm; accepted: dmd_8, sc_dmd"),
        ("halves: {arm: dmd_8", "halves: {arm: dmd_9", "controls.same.halves.arm = dmd_9: no such arm; did you mean"),
        ("metric: nll", "metric: nil", "claims.mixed.metric = \"nil\": accepted: 'sliced_w1', 'sliced_w2'"),
        ("solver: euler}", "metric: defect}", "claims.mixed: metric = nll, defect; accepted: one in all its cells"),
        ("smallest: 0.01", "smallest: 0", "claims.source.smallest = 0: accepted: greater than 0"),
        ("smallest: 0.01", "smallest: -1", "claims.source.smallest = -1: accepted: greater than 0"),
        ("smallest: 0.01,", "", "claims.source.smallest: missing; accepted: The smallest effect that would"),
        ("smallest: 0.01", "smalest: 0.01", "claims.source.smalest = 0.01: unknown key; did you mean 'small"),
        ("predicted: greater", "predicted: up", "claims.source.predicted = \"up\": accepted: 'greater' or 'less'"),
        ("nfe: 16", "nfe: -1", "claims.source.plus.0.nfe = -1: accepted: greater than or equal to 0"),
        ("updates: 200", "updates: lats", 'claims.mixed.plus.0.updates: "lats": accepted: last, or a number of update'),
        ("updates: 200", "updates: -2", "claims.mixed.plus.0.updates: -2: accepted: last, or a number of updates"),
        ("solver: euler", "solver: heun", "claims.mixed.minus.0.solver = \"heun\": accepted: 'cm', 'euler' or 'none'"),
        ("kind: improves", "kind: better", "controls.steps.kind = \"better\": accepted: 'improves', 'worsens', 'no_w"),
        ("kind: improves", "kind: matches", "controls.steps: smallest=None of kind=matches: accepted: a number above"),
        ("kind: nothing", "kind: worsens", "controls.same: smallest=0.1 of kind=worsens: accepted: none"),
        ("halves: {arm: dmd_8, nfe: 4}", "plus: []", "controls.same: plus, minus and halves: accepted: plus and minus"),
        (
            "halves: {",
            "plus: [{arm: dmd_8, nfe: 1}], minus: [{arm: dmd_8, nfe: 1}], halves: {",
            "controls.same: plus, minus and halves: accepted: plus and minus, or halves",
        ),
        ("minus: [{arm: exact_teacher", "minus: [{arm: dmd_8", "controls.steps: exact_teacher, dmd_8: accepted: arms"),
        ("claims:", "claims: {}\nothers:", "others = {"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(planned, old, new, told):
    assert old in FILE
    planned(FILE.replace(old, new, 1))
    with pytest.raises(SaltError) as caught:
        lab_claims(ARMS)
    text = str(caught.value)
    assert text.startswith(f"experiments/lab/claims.yaml: {told}")
    assert "\n" not in text


def test_names_are_not_checked_where_none_are_given(planned):
    planned(FILE.replace("sc_dmd", "anything"))
    assert lab_claims().claims["mixed"].plus[0].arm == "anything"


def test_the_plan_of_this_repository_loads_and_fits_its_schema():
    found = lab_claims(load_arms().every())
    assert {control.kind for control in found.controls.values()} == {
        *("improves", "worsens", "no_worse", "nothing", "matches")
    }
    assert claims_path() == repository_root() / "experiments" / "lab" / "claims.yaml"
    first = claims_path().read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schema/lab_claims.schema.json"
    schema = json.loads((claims_path().parent / "../schema/lab_claims.schema.json").read_text())
    assert schema == schemas()["lab_claims"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_mapping(claims_path()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"controls": {"x": {"kind": "better"}}}, schema)
