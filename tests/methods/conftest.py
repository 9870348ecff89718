"""Makes `students`, and `tiny` of the training tests, importable."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "training"):
    sys.path.insert(0, str(folder))
