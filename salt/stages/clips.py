"""Rule `clips`: the videos whose frames the figures show, whole, in one small picture."""

from pathlib import Path

from salt.report.clips import make_clips


def run(scale: str, videos: Path, out: Path) -> None:
    """Write the picture and its index; arguments as for `make_clips`."""
    make_clips(scale, videos, out)
