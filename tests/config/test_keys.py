"""A new key changes no hash of an experiment that does not use it: else every committed result would be stale."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from salt.config import Experiment
from salt.config.base import Section

HASHED = yaml.safe_load(Path(__file__).with_name("hashed_keys.yaml").read_text())
"""Section -> its keys that are in every dump of it, also with their defaults."""


def sections(annotation: Any) -> dict[str, type[Section]]:
    """The sections that an annotation names, and those in them."""
    if not (isinstance(annotation, type) and issubclass(annotation, Section)):
        return {name: found for part in get_args(annotation) for name, found in sections(part).items()}
    inner = [sections(field.annotation) for field in annotation.model_fields.values()]
    return {annotation.__name__: annotation} | {name: found for each in inner for name, found in each.items()}


SECTIONS = sections(Experiment)


@pytest.mark.parametrize("name", HASHED)
def test_a_new_key_is_in_no_dump_while_it_has_its_default(name: str) -> None:
    fields = SECTIONS[name].model_fields
    dumped = {key for key, field in fields.items() if field.exclude_if is None and not field.exclude}
    assert dumped == set(HASHED[name]), (
        f"{name}: {sorted(dumped ^ set(HASHED[name]))}: every hash of an experiment with this section would change, "
        "and every committed result be stale. A new key takes Field(default=..., exclude_if=...), as "
        "docs/guides/add_objective.md says; where hashes are to change, edit tests/config/hashed_keys.yaml"
    )
