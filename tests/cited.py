"""Keep what prose says of results in step with them: `python tests/cited.py --fix` rewrites every cited text.

In README.md and docs/*.md a number or a verdict of `results/` stands between two comments, which no reader sees:

    <!-- cite: tiny/table4 sc_dmd - dmd_4 total +.1f -->-0.2 [-1.3, +0.9]<!-- -->

A question begins with a file below `results/`, without `tables/` and its ending:

    tiny/table4 sc_dmd total              a cell; its interval behind it, where the file has one
    tiny/table2 sc_dmd@4 total paper      what the paper prints there; @4: the row of 4 steps, where there are several
    tiny/table4 sc_dmd - dmd_4 total      a paired difference and its interval; with `paper`, the paper's
    tiny/table4 sc_dmd - dmd_4 total sign `above 0`, `below 0` or `includes 0`, as the interval lies
    tiny/table4 sc_dmd total seeds        how many training seeds; of a difference as well
    tiny/table4 table quality total       these columns of the whole table, in Markdown; with `paper`, the paper's too
    tiny/claims counts                    every verdict and how often
    tiny/claims count reproduced          one of them; `count` alone: all claims
    tiny/claims list saturated            these claims, as a list
    tiny/claims "Total: SC-DMD at 4 NFE minus DMD-4"   a claim's verdict, by its column `measured`; `effect`: the number
    lab/lab_claims counts paper           the lab's, as above and by their names; `paper` or `us`: whose claims alone
    lab/lab_controls counts               the same of its controls, `yes` or `no`
    tiny/records sc_dmd@4 cm defect_mean  a mean over training seeds of what was recorded

A last word like `.1f` or `+.3f` says how numbers are written. A sentence that is true only as long as a verdict stands
is bound to it, and the test fails when it changes:

    <!-- expect: lab/lab_claims dmd_8_worsens_with_steps = holds -->

`python tests/cited.py QUESTION` prints an answer.
"""

import argparse
import csv
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from salt.config.files import accepted
from salt.errors import SaltError
from salt.report.metrics import title
from salt.report.render import PLUS_MINUS, markdown_lines

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
HISTORY = {"log.md"}
"""Pages that say what was found on a day, and stay."""
CITED = re.compile(r"<!--\s+cite:\s+(?P<question>.*?)\s+-->(?P<said>.*?)<!--\s+-->", re.DOTALL)
EXPECTED = re.compile(r"<!--\s+expect:\s+(?P<question>.*?)\s+=\s+(?P<said>.*?)\s+-->", re.DOTALL)
FORMAT = re.compile(r"\+?\.\d[fe]")
Line = dict[str, str]


def pages() -> list[Path]:
    """The Markdown that is held to the results."""
    return [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in HISTORY)]


# ------------------------------------------------------------------------------------------------- questions
def answer(question: str, results: Path = RESULTS) -> str:
    """What the results say.

    Raises:
        SaltError: there is no such file, row, metric or claim.
    """
    try:
        source, *words = shlex.split(question)
        form = words.pop() if words and FORMAT.fullmatch(words[-1]) else ""
        scale, _, name = source.partition("/")
        return KINDS.get(name, _table)(results / scale, name, words, form)
    except (ValueError, IndexError, KeyError):
        raise SaltError(f"cite: {question}: not understood; accepted: as tests/cited.py says") from None
    except SaltError as error:
        raise SaltError(f"cite: {question}: {error}") from None


def _table(folder: Path, name: str, words: Sequence[str], form: str) -> str:
    lines = read(folder / "tables" / f"{name}.csv")
    if words[0] == "table":
        return _whole(lines, words[1:], form or ".2f")
    minus = words[1] == "-"
    row, metric, *more = words[0], *words[3 if minus else 1 :]
    own = [line for line in lines if line["metric"] == metric and bool(line["baseline"]) == minus]
    own = _one_row(own, row, metric)
    if minus:
        titles = {f"{line['row']}, {line['nfe']} NFE" for line in _of(lines, words[2])}
        own = [line for line in own if line["baseline"] in titles]
    if len(own) != 1:
        raise SaltError(f"{len(own)} such lines in {name}.csv; accepted: one. Say which number of steps: {row}@4")
    (line,) = own
    number, paper = ("difference", "paper_difference") if minus else ("ours", "paper")
    form = form or ("+.2f" if minus else ".2f")
    match more:
        case []:
            return _effect(line, number, form)
        case ["paper"]:
            return f"{float(line[paper]):{form}}"
        case ["seeds"]:
            return str(len(line["seeds"].split()))
        case ["sign"]:
            low, high = float(line["low"]), float(line["high"])
            return "above 0" if low > 0 else "below 0" if high < 0 else "includes 0"
    raise ValueError(more)


def _one_row(lines: list[Line], row: str, metric: str) -> list[Line]:
    if not lines:
        raise SaltError(f"no {metric} in this table")
    if found := _of(lines, row):
        return found
    raise SaltError(f"no row {row}; {accepted(row, dict.fromkeys(line['experiment'] for line in lines))}")


def _of(lines: list[Line], row: str) -> list[Line]:
    """The lines of `experiment` or `experiment@nfe`."""
    experiment, _, nfe = row.partition("@")
    return [line for line in lines if line["experiment"] == experiment and nfe in ("", line["nfe"])]


def _whole(lines: list[Line], words: Sequence[str], form: str) -> str:
    """Rows downwards, what was measured of each metric, and in italics what the paper prints."""
    metrics, paper = [word for word in words if word != "paper"], "paper" in words
    cells: dict[tuple[str, str], dict[str, Line]] = {}
    for line in lines:
        if not line["baseline"] and line["ours"]:
            cells.setdefault((line["row"], line["nfe"]), {})[line["metric"]] = line
    head, body = ["Method", "NFE"], []
    for metric in metrics:
        head += [title(metric), "*paper*"] if paper else [title(metric)]
    for (name, nfe), of_row in cells.items():
        body.append([name, nfe])
        for metric in metrics:
            line = of_row[metric]
            body[-1].append(_effect(line, "ours", form))
            if paper:
                body[-1].append(f"*{float(line['paper']):{form}}*" if line["paper"] else "")
    return "\n" + "\n".join(markdown_lines(head, body)) + "\n"


def _claims(folder: Path, name: str, words: Sequence[str], form: str) -> str:
    lines = read(folder / "claims.csv")
    return _judged(lines, ("measured", "verdict", "ours"), words, form or "+.2f")


def _lab_claims(folder: Path, name: str, words: Sequence[str], form: str) -> str:
    lines = [line for line in read(folder / "tables" / f"{name}.csv") if line["phase"] == "confirm"]
    if words[-1] in ("paper", "us"):
        lines, words = [line for line in lines if line["by"] == words[-1]], words[:-1]
    return _judged(lines, ("claim", "verdict", "estimate"), words, form or "+.4f")


def _lab_controls(folder: Path, name: str, words: Sequence[str], form: str) -> str:
    lines = read(folder / "tables" / f"{name}.csv")
    return _judged(lines, ("control", "holds", "estimate"), words, form or "+.4f")


def _judged(lines: list[Line], columns: tuple[str, str, str], words: Sequence[str], form: str) -> str:
    """Counts of verdicts, a list of claims, or one of them, named in the first of the columns."""
    name, verdict, number = columns
    counts = Counter(line[verdict] for line in lines)
    match words:
        case ["counts"]:
            return ", ".join(f"{count} {found}" for found, count in counts.most_common())
        case ["count"]:
            return str(counts.total())
        case ["count", wanted]:
            return str(counts[wanted])
        case ["list", wanted]:
            told = [line.get("text") or f"{line['claim']}: {line[name]}" for line in lines if line[verdict] == wanted]
            return "\n" + "\n".join(f"- {one}" for one in told) + "\n"
        case [wanted, *more]:
            found = [line for line in lines if line[name] == wanted]
            if len(found) != 1:
                raise SaltError(f"{len(found)} such claims; {accepted(wanted, [line[name] for line in lines])}")
            return _effect(found[0], number, form) if more == ["effect"] else found[0][verdict]
    raise ValueError(words)


def _records(folder: Path, name: str, words: Sequence[str], form: str) -> str:
    row, solver, metric = words
    experiment, _, nfe = row.partition("@")
    found = []
    for path in sorted((folder / name).glob(f"{experiment}_seed*.csv")):
        frame = pd.read_csv(path, dtype=str)
        if "metric" in frame:
            own = (frame["metric"] == metric) & (frame["solver"] == solver) & (frame["nfe"] == nfe)
            found += [float(value) for value in frame[own & (frame["prompts"] == "extended")]["value"]]
    if not found:
        raise SaltError(f"no record of {metric}, {solver}, {nfe or 'no number of'} steps, extended captions")
    return f"{sum(found) / len(found):{form or '.4f'}}"


KINDS: dict[str, Callable[[Path, str, Sequence[str], str], str]] = {
    "claims": _claims,
    "lab_claims": _lab_claims,
    "lab_beyond": _lab_claims,
    "lab_controls": _lab_controls,
    "records": _records,
}
"""Files that are no tables of rows."""


def _effect(line: Line, number: str, form: str) -> str:
    """`-0.23 [-1.34, +0.88]`; of a cell `92.12 ± 1.23`, an interval that is as wide on both sides."""
    estimate, low, high = float(line[number]), line["low"], line["high"]
    if not low:
        return f"{estimate:{form}}"
    if form.startswith("+"):
        return f"{estimate:{form}} [{float(low):{form}}, {float(high):{form}}]"
    return f"{estimate:{form}}{PLUS_MINUS}{(float(high) - float(low)) / 2:{form}}"


@cache
def read(path: Path) -> list[Line]:
    """The lines of a CSV file."""
    if not path.exists():
        raise SaltError(f"{path}: there is no such file")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ----------------------------------------------------------------------------------------------------- pages
def rewritten(text: str) -> str:
    """A page with every cited text as the results have it; line breaks within one that is right stay."""

    def replace(found: re.Match[str]) -> str:
        said, wanted = found["said"], answer(found["question"])
        return found[0] if said.split() == wanted.split() else found[0].replace(f"-->{said}<!--", f"-->{wanted}<!--")

    return CITED.sub(replace, text)


def broken(text: str) -> Iterator[str]:
    """What a page expects and the results do not say."""
    for found in EXPECTED.finditer(text):
        if (is_now := answer(found["question"])) != found["said"]:
            yield f"{found['question']} is {is_now}, no longer {found['said']}: the sentence there must be written anew"


def main() -> int:
    """Write the pages or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fix", action="store_true", help="write the pages instead of comparing them")
    parser.add_argument("question", nargs="*", help="print the answer to this question, and look at no page")
    given = parser.parse_args()
    if given.question:
        print(answer(given.question[0] if len(given.question) == 1 else shlex.join(given.question)).strip())
        return 0
    wrong = 0
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if given.fix:
            page.write_text(rewritten(text), encoding="utf-8")
        elif rewritten(text) != text:
            print(f"{page}: not what results/ says; run `python tests/cited.py --fix`")
            wrong = 1
        for one in broken(text):
            print(f"{page}: {one}")
            wrong = 1
    return wrong


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SaltError as error:
        sys.exit(str(error))
