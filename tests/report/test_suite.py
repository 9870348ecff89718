"""What `experiments/tables.yaml` may say: mistakes are refused, and nothing that is asked for vanishes."""

import pytest
from pydantic import ValidationError

from salt.report.suite import TableSpec, load_suite


def table(*rows: dict[str, object]) -> TableSpec:
    return TableSpec.model_validate(
        {"title": "A", "seeds": 1, "uses": ["scores"], "prompts": "extended", "columns": [], "rows": list(rows)}
    )


@pytest.mark.parametrize(
    ("against", "told"),
    [
        ("dmd_4", "sc_dmd at nfe 2 is against dmd_4, which has rows at nfe 4, 8 alone; accepted: rows of this table"),
        ("rcm", "sc_dmd at nfe 2 is against rcm, which has no row in this table"),
    ],
)
def test_a_comparison_with_no_partner_is_refused(against: str, told: str) -> None:
    rows = [{"experiment": "dmd_4", "nfe": nfe} for nfe in (8, 4)]
    with pytest.raises(ValidationError, match=told):
        table(*rows, {"experiment": "sc_dmd", "nfe": 2, "against": [against]})
    found = table(*rows, {"experiment": "sc_dmd", "nfe": 8, "against": ["dmd_4"]})
    assert found.rows[-1].against == ("dmd_4",)


def test_the_shipped_tables_have_a_partner_for_every_comparison() -> None:
    compared = [row for entry in load_suite().tables.values() for row in entry.rows if row.against]
    assert len(compared) > 20
