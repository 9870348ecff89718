"""What is trained at the paper's scale is what published files say, or the page says why not."""

import pytest

from recipes import PAGE, Line, lines, page

EVERY = list(lines())


@pytest.mark.parametrize("line", EVERY, ids=lambda line: f"{line.row} {line.key}")
def test_a_value_is_the_published_one_or_there_is_a_reason(line: Line) -> None:
    if line.because:
        assert not line.same, (
            f"docs/recipes.yaml: {line.row}: {line.key} is {line.ours!r}, as published: no reason needed"
        )
    else:
        assert line.ours == line.published, (
            f"{line.row}: {line.key} is {line.ours!r}; {line.source}: {line.published!r}"
        )


def test_the_page_is_in_step() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/recipes.md is stale: python tests/recipes.py --fix"
