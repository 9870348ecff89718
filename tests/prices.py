"""Keep the prices of docs/paper_scale.md in step with the code: `python tests/prices.py --fix` rewrites them.

Every price is what `salt plan` says of a checkout without results.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from salt.planning.jobs import jobs_of
from salt.planning.prices import Prices

PAGE = Path(__file__).parents[1] / "docs" / "paper_scale.md"
BEGIN, END = "<!-- prices: python tests/prices.py --fix -->", "<!-- end of prices -->"
SCALES = ("paper", "paper_2400")


class Target(NamedTuple):
    """A line of the table."""

    says: str
    target: str
    config: tuple[str, ...] = ()
    scales: tuple[str | None, ...] = SCALES
    """Of which it is priced; None: of that column it is not."""

    @property
    def command(self) -> str:
        """As a user types it."""
        return " ".join(["salt plan", self.target, *(f"--config {setting}" for setting in self.config)])


TARGETS = (
    Target("check published weights: seven rows, no training", "published", ("weights=released",), ("paper", None)),
    Target("one ablation", "ablation_sc_dmd_released"),
    Target("Self Forcing frame by frame, from its own start", "ablation_self_forcing_framewise"),
    Target("Table 4", "table4"),
    Target("all, published weights where there are some", "all", ("weights=released",), ("paper", None)),
    Target("all, the published rCM", "all", (), ("paper", None)),
    Target("all, every row trained", "all", ("weights=trained",)),
    Target("Table 1, the published LightX2V (`--scale paper_i2v`)", "all", (), ("paper_i2v", None)),
)


def price(target: str, scale: str, config: tuple[str, ...]) -> int:
    """GPU-hours of all jobs of a target, where nothing is made yet."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = jobs_of([target], scale, Path(folder), [*config, f"out={folder}"])[target]
    prices = Prices(scale, "h200", jobs)
    found = [prices.of(job) for job in jobs]
    return round(sum(each.hours * each.gpus for each in found if each.hours is not None))


def line(target: Target) -> str:
    """A row of the table."""
    found = (f"{price(target.target, scale, target.config):,}" if scale else "" for scale in target.scales)
    return f"| {target.says} | `{target.command}` | {' | '.join(found)} |"


def page() -> str:
    """The text that docs/paper_scale.md should have."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    head = [f"| target | command | {' | '.join(f'`{scale}`' for scale in SCALES)} |", "|---|---|---:|---:|"]
    return "\n".join([before + BEGIN, *head, *map(line, TARGETS), END + after])


def main() -> int:
    """Write the page or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true", help="write the page instead of comparing it")
    wanted = page()
    if parser.parse_args().fix:
        PAGE.write_text(wanted, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != wanted:
        print(f"{PAGE}: not what `salt plan` says; run `python tests/prices.py --fix`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
