"""`salt report`: claims, controls, videos, figures, tables and their origin, of one scale, in one HTML file.

It is made of the files that `salt claims`, `table`, `figure`, `clips` and `training-curves` wrote and of the records
beside them, so it cannot say anything else.
"""

from importlib.metadata import version
from pathlib import Path
from platform import python_version

from markupsafe import Markup

from salt import __version__
from salt.config.files import repository_root
from salt.config.load import load_scale
from salt.config.scale import Scale
from salt.readers import read_text
from salt.report.page.clips import read_clips
from salt.report.page.content import Page, Part, Picture
from salt.report.page.findings import found_in
from salt.report.page.frame import write_page
from salt.report.page.instrument import controls_of_scale
from salt.report.page.judged import Measured, read_claims, statements
from salt.report.page.markup import markdown_to_html, picture, split_heading
from salt.report.page.training_curves import cost_of, curves_of, read_trainings, spent
from salt.report.records import Records
from salt.report.render import heading
from salt.report.suite import Suite, load_suite

NO_MEANING = "{}: numbers mean nothing. This scale only shows that every rule runs."
"""What the page of such a scale warns of."""
NO_INSTRUMENT = "No verdict: the instrument fails {} of its controls."
ORIGIN = "## Where the numbers come from"
PROGRAMS = ("numpy", "pandas", "matplotlib", "torch", "diffusers")


def make_report(scale: str, results_dir: Path, figures_dir: Path, out: Path) -> Path:
    """Write the page; the same files give the same bytes.

    Args:
        scale: whose results these are.
        results_dir: holds `claims.csv`, `claims.md`, `tables/*.md`, `records/` and, where they were made, `clips.*`.
        figures_dir: holds `*.png`.
        out: the HTML file; its folder is made where it is missing.

    Raises:
        SaltError: an unknown scale, no claims, or claims, records or clips that are broken.
    """
    known = load_scale(scale)
    suite = load_suite().at(known)
    measured = read_claims(known, results_dir / "claims.csv")
    records = Records(results_dir / "records", known)
    controls = controls_of_scale(records.folder)
    texts = {name: results_dir / "tables" / f"{name}.md" for name in suite.tables}
    pictures = {name: figures_dir / f"{name}.png" for name in suite.figures}
    clips = read_clips(known, results_dir)
    trainings = read_trainings(records.folder)
    page = Page(
        title=f"scale {scale}",
        heading=f"Self-consistent distribution matching: what holds at scale {scale}",
        about=known.about,
        facts=facts(known),
        limits=known.limits,
        controls=controls,
        claims=statements(measured, controls.holds is not False),
        commit=records.commit,
        warnings=(
            *([] if known.meaningful else [NO_MEANING.format(scale)]),
            *([NO_INSTRUMENT.format(len(controls.failures))] if controls.failures else []),
        ),
        figures=tuple(figure_of(path, suite, measured, records) for path in pictures.values() if path.exists()),
        clips=clips,
        tables=tuple(table_of(path) for path in texts.values() if path.exists()),
        curves=curves_of(trainings, known),
        cost=cost_of(trainings, known),
        spent=spent(trainings),
        deviations=deviations(),
        provenance=origin(results_dir / "claims.md"),
        missing=[
            *(name for name, path in {**texts, **pictures}.items() if not path.exists()),
            *(["the videos (clips)"] if clips is None else []),
            *(["learning curves and cost (training-curves)"] if trainings is None else []),
        ],
    )
    return write_page(page, out)


def facts(scale: Scale) -> tuple[tuple[str, str], ...]:
    """The scale in numbers."""
    evaluation, backbone = scale.evaluation, scale.backbone
    width = backbone.num_attention_heads * backbone.attention_head_dim
    if scale.vae is None:
        video = f"{scale.world.frames} frames of {scale.world.size} x {scale.world.size} pixels"
    else:
        video = f"{scale.world.frames} frames of {scale.vae.width} x {scale.vae.height} pixels"
    return (
        ("Videos", video),
        ("Students", f"Wan of {backbone.num_layers} layers and width {width}; {scale.training_seeds} training seeds"),
        ("Captions", f"{evaluation.prompts} that no training clip shows"),
        ("Steps", f"{', '.join(map(str, evaluation.nfe))} function evaluations, by {' and '.join(evaluation.solvers)}"),
        ("Teacher", f"{evaluation.teacher_nfe} Euler steps, guidance {evaluation.cfg_weight:g}"),
    )


def figure_of(path: Path, suite: Suite, measured: list[Measured], records: Records) -> Picture:
    """A figure with its title, and what was found."""
    spec = suite.figures[path.stem]
    found = found_in(spec, measured, records, range(spec.seeds))
    return Picture(path.stem, f"{heading(path.stem)}{spec.title}", tuple(found), picture(path))


def table_of(path: Path) -> Part:
    """A table's Markdown under its own title."""
    title, rest = split_heading(read_text(path, "as `salt table` wrote it"))
    return Part(path.stem, title, markdown_to_html(rest))


def deviations() -> tuple[tuple[str, str], ...]:
    """Number of each deviation in `docs/deviations.md`, and what the paper says or leaves open."""
    lines = read_text(repository_root() / "docs" / "deviations.md", "the repository's own").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if line.startswith("| ")]
    return tuple((number, text) for number, text in cells if number.isdigit())


def origin(path: Path) -> Markup:
    """What the claims say of where their numbers come from, and with what programs this page was made."""
    text = read_text(path, "as `salt claims` wrote it")
    programs = ", ".join(f"{name} {version(name)}" for name in PROGRAMS)
    made = f"- Page: salt {__version__}, Python {python_version()}, {programs}.\n"
    return markdown_to_html(text.partition(ORIGIN)[2].strip() + "\n" + made)
