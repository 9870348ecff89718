"""Digests of texts and of JSON values: SHA-256 in hexadecimal digits. Those of files are `salt.files.sha256`."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

SHORT = 12
"""Digits of the digests that people read: of protocols, prompts and configurations."""


def text_digest(text: str) -> str:
    """Of a text, in full."""
    return hashlib.sha256(text.encode()).hexdigest()


def lines_digest(lines: Iterable[str]) -> str:
    """Of lines in their order, in full."""
    return text_digest("\n".join(lines))


def json_digest(value: Any) -> str:
    """Of a value that JSON can hold, whatever the order of its keys, in full."""
    return text_digest(json.dumps(value, sort_keys=True))
