"""`salt guide`: the way through the results: what to read in ten minutes, verdicts, files, cost, and a glossary.

All of it is read off the results and the code, so the same results give the same bytes. Scales whose numbers mean
nothing are left out.
"""

import os
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from salt.config.files import repository_root, scale_names
from salt.config.lab_figures import FIGURES, load_lab_figures
from salt.config.load import load_scale
from salt.errors import SaltError
from salt.files import write_text
from salt.readers import read_json, read_rows, read_text
from salt.report.glossary import Terms, glossary
from salt.report.render import heading, markdown_lines
from salt.report.suite import load_suite

LINE = 120
"""Characters of a line, tables aside."""
CLAIMS, LAB_CLAIMS, LAB_CONTROLS = "claims.md", "tables/lab_claims.md", "tables/lab_controls.md"
WRITTEN = "as its verb wrote it"
PAPER, OURS = "the paper's", "our own"
"""Whose claims they are."""
RECORDS = (
    ("*_scores.csv", "scores of clips, a mean over captions a row"),
    ("*_prompts.csv.gz", "the same of every single video"),
    ("*_long.csv", "scores of videos beyond the training length"),
    ("*_modes.csv", "measures of distributions"),
    ("*_any_step.csv", "the same at any number of steps"),
    ("*_defect.csv", "Eq. (16) and its companions"),
    ("*_trajectory.csv", "states along paths, projected"),
    ("*_caches.csv", "what the cache does to a causal student"),
    ("*_curves.csv", "what a training took, and how its losses went"),
    ("controls.csv", "controls"),
    ("*_clouds.csv.gz", "samples that the lab's figures show"),
    ("*-[0-9]*.csv.gz", "the lab's measurements, a set of arms and an ensemble of seeds a file"),
)
"""Patterns of files in `records/`, and what such files hold."""


@dataclass(frozen=True)
class Part:
    """The results of one scale."""

    folder: Path
    figures: Path
    """The folder of its figures."""

    @property
    def name(self) -> str:
        """As its folder is called."""
        return self.folder.name

    @property
    def is_lab(self) -> bool:
        """Whether it is of exact worlds, which have claims and controls of their own."""
        return (self.folder / LAB_CLAIMS).exists()

    def said(self, file: str) -> str:
        """The first paragraph below a file's heading, which is its summary."""
        paragraphs = read_text(self.folder / file, WRITTEN).split("\n\n")
        return " ".join(paragraphs[1].strip("*").split())

    @property
    def tables(self) -> dict[str, str]:
        """Stem of a table -> its heading."""
        paths = sorted((self.folder / "tables").glob("*.md"))
        return {path.stem: read_text(path, WRITTEN).split("\n", 1)[0].removeprefix("# ") for path in paths}

    @property
    def claims(self) -> dict[str, list[dict[str, str]]]:
        """Whose claims -> those of them that were judged, of the lab on confirming seeds."""
        path = self.folder / (LAB_CLAIMS if self.is_lab else CLAIMS)
        lines = read_rows(path.with_suffix(".csv"), ("phase", "by") if self.is_lab else (), WRITTEN)
        if not self.is_lab:
            return {PAPER: lines}
        lines = [line for line in lines if line["phase"] == "confirm"]
        named = {PAPER: [x for x in lines if x["by"] == "paper"], OURS: [x for x in lines if x["by"] != "paper"]}
        return {whose: found for whose, found in named.items() if found}

    @property
    def commits(self) -> tuple[str, ...]:
        """Of the program, as tables, claims and the lab's runs name it."""
        texts = [read_text(path, WRITTEN) for path in sorted(self.folder.rglob("*.md"))]
        named = {found for text in texts for found in re.findall(r"(?:Records|Code): commit (\w+)", text)}
        return tuple(sorted(named | {run["commit"][:7] for run in self.runs if run["commit"]}))

    @property
    def runs(self) -> list[dict[str, str]]:
        """What the lab's runs left beside their measurements."""
        paths = sorted((self.folder / "records").glob("*.json"))
        return [read_json(path, "as `salt lab-arms` wrote it") for path in paths]


def make_guide(results: Path, figures: Path, out: Path) -> Path:
    """Write the page.

    Args:
        results: the folder of all scales' results.
        figures: that of their figures.
        out: the Markdown file; links are relative to its folder.

    Raises:
        SaltError: there are no claims of any scale.
    """
    parts = [Part(folder, figures / folder.name) for folder in sorted(results.iterdir()) if _counts(folder)]
    if not parts:
        raise SaltError(f"{results}: no claims of any scale; accepted: the folder that holds `tiny/claims.md`")
    parts.sort(key=lambda part: not part.is_lab)
    files, words = _files(parts, out.parent), glossary()
    text = [
        "# Results",
        _wrap(
            "What was measured, and where it stands. `salt guide` writes this page from the files beside it; no number "
            "in it, or in them, is typed by hand."
        ),
        "## In ten minutes",
        "\n".join(_route(parts)),
        "## Verdicts",
        *_verdicts(parts),
        "## Where what is",
        *files,
        "## Which program, and what it cost",
        "\n".join(_cost(parts)),
        "## Glossary",
        *(f"### {head}\n\n{_terms(terms)}" for head, terms in words.items()),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, "\n\n".join(text) + "\n")
    return out


def _counts(folder: Path) -> bool:
    """Whether a folder holds claims, of a scale whose numbers mean something."""
    if not ((folder / CLAIMS).exists() or (folder / LAB_CLAIMS).exists()):
        return False
    return folder.name not in scale_names() or load_scale(folder.name).meaningful


# --------------------------------------------------------------------------------------------- what to read
def _route(parts: list[Part]) -> Iterator[str]:
    """Questions in the order in which they come up, the file that answers each, and its answer."""
    lab, videos = [part for part in parts if part.is_lab], [part for part in parts if not part.is_lab]
    steps = {
        "Can the instrument be trusted? (1 minute)": [
            *(f"{_link(part, LAB_CONTROLS)}: {part.said(LAB_CONTROLS)}" for part in lab),
            *(f"{_link(p, 'tables/controls.md')}: {p.tables['controls']}" for p in videos if "controls" in p.tables),
        ],
        "Do the paper's claims hold where the truth is known? (3 minutes)": [
            f"{_link(part, LAB_CLAIMS)}: {part.said(LAB_CLAIMS)}" for part in lab
        ],
        "Do they hold for videos? (3 minutes)": [f"{_link(part, CLAIMS)}: {part.said(CLAIMS)}" for part in videos],
        "By how much, and beside the paper's numbers? (2 minutes)": [
            f"{_link(part, f'tables/{name}.md')}: {head}"
            for part in videos
            for name, head in part.tables.items()
            if heading(name)
        ],
        "All of it on one page, with figures (1 minute)": [
            _link(part, "report.html") for part in parts if (part.folder / "report.html").exists()
        ],
    }
    for number, question in enumerate((question for question, found in steps.items() if found), start=1):
        yield f"{number}. {question}"
        yield from (_wrap(f"   - {answer}") for answer in steps[question])


def _verdicts(parts: list[Part]) -> Iterator[str]:
    """How often each verdict fell, by scale, and for videos by what the paper says."""
    counts, statements = [], []
    for part in parts:
        for whose, lines in part.claims.items():
            counts.append([f"`{part.name}`", whose, str(len(lines)), _count(lines)])
        if not part.is_lab:
            for says in dict.fromkeys(f"{line['claim']} ({line['where']})" for line in part.claims[PAPER]):
                own = [line for line in part.claims[PAPER] if f"{line['claim']} ({line['where']})" == says]
                statements.append([f"`{part.name}`", says, _count(own)])
    yield "\n".join(markdown_lines(["Scale", "Claims", "Number", "Verdicts"], counts, (0, 1, 3)))
    yield "\n".join(markdown_lines(["Scale", "What the paper says", "Verdicts"], statements, (0, 1, 2)))


def _count(lines: list[dict[str, str]]) -> str:
    """`2 holds; 1 absent`, the commonest first."""
    return "; ".join(f"{number} {verdict}" for verdict, number in Counter(x["verdict"] for x in lines).most_common())


def _files(parts: list[Part], folder: Path) -> Iterator[str]:
    """One table for each scale."""
    titles = {name: figure.title for name, figure in load_suite().figures.items()}
    drawn = load_lab_figures()
    titles |= {name: drawn.spec(name).title for name in FIGURES}
    for part in parts:
        rows = [[_link(part, f"tables/{name}.md"), head] for name, head in part.tables.items()]
        if not part.is_lab:
            rows.append([_link(part, CLAIMS), "every claim of the paper, what was measured, and a verdict"])
        for path in sorted(part.figures.glob("*.png")):
            link = f"[{path.stem}]({Path(os.path.relpath(path, folder)).as_posix()})"
            rows.append([link, heading(path.stem) + titles.get(path.stem, "")])
        if (part.folder / "report.html").exists():
            rows.append([_link(part, "report.html"), "all of these on one page"])
        if (part.folder / "made.jsonl").exists():
            rows.append([_link(part, "made.jsonl"), "what each of these files was made of"])
        for pattern, says in RECORDS:
            if found := len(list((part.folder / "records").glob(pattern))):
                rows.append([f"`{part.name}/records/{pattern}`", f"{says} ({found} file{'s' * (found > 1)})"])
        yield f"### {part.name}\n\n" + "\n".join(markdown_lines(["File", "What it holds"], rows, (0, 1)))
    yield _wrap(
        "Tables are there as CSV too (every number in full, `low` and `high` of its interval) and as LaTeX, claims as "
        "CSV, figures as PDF."
    )


def _cost(parts: list[Part]) -> Iterator[str]:
    """The program's commits, and the time that records and shipped weights tell of."""
    for part in parts:
        named = ", ".join(f"`{commit}`" for commit in part.commits) or "not known"
        yield _wrap(f"- `{part.name}`: program at {named}. {_spent(part)}")
    yield _wrap(
        "- What a training or a measurement of videos took is known where it ran: `salt status` and `salt plan` say it."
    )


def _spent(part: Part) -> str:
    if part.runs:
        hours = sum(float(run["seconds"]) for run in part.runs) / 3600
        return f"Its {len(part.runs)} runs took {hours:.1f} core-hours of training."
    if part.name in scale_names() and (assets := load_scale(part.name).assets):
        shipped = repository_root() / assets / "provenance.json"
        if shipped.exists():
            minutes = read_json(shipped, "as it was shipped")["teacher"]["seconds"] / 60
            return f"Its shipped base network took {minutes:.0f} minutes of training."
    return ""


# -------------------------------------------------------------------------------------------------- as text
def _terms(terms: Terms) -> str:
    return "\n".join(markdown_lines(["Term", "What it means"], [list(pair) for pair in terms.items()], (0, 1)))


def _link(part: Part, file: str) -> str:
    return f"[{part.name}/{file}]({part.name}/{file})"


def _wrap(text: str) -> str:
    indent = len(text) - len(text.lstrip(" -"))
    lines = textwrap.wrap(text.lstrip(" "), LINE - indent, break_long_words=False, break_on_hyphens=False)
    first = " " * (len(text) - len(text.lstrip(" ")))
    return first + f"\n{' ' * indent}".join(lines)
