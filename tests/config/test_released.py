"""`released`: published weights of one row at one scale."""

import hashlib

import pytest

from salt.config import Experiment, content_hash, experiment_names, load_experiment, load_scale, training_hash
from salt.config.released import weights_root
from salt.errors import SaltError

RELEASED = "scales: {two: {released: {source: hub/a.pt, page: https://hub, which: ema}, grid: {shift: 7.0}}}"


@pytest.fixture
def row(repository):
    """`row` with published weights at scale `two`, and `child`, which extends it."""
    repository.write("row.yaml", f"extends: dmd\n{RELEASED}")
    repository.write("child.yaml", "extends: row")
    return repository


def message(name, scale="two"):
    with pytest.raises(SaltError) as caught:
        load_experiment(name, scale)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_checkpoint_is_of_one_row_at_one_scale(row):
    assert load_experiment("row", "two").released.source == "hub/a.pt"
    assert load_experiment("row", "one").released is None
    child = load_experiment("child", "two")
    assert (child.released, child.grid.shift) == (None, 7.0)  # all else of the part is inherited
    row.write("child.yaml", f"extends: row\n{RELEASED.replace('a.pt', 'b.pt').replace(', which: ema', '')}")
    own = load_experiment("child", "two").released
    assert (own.source, own.which) == ("hub/b.pt", None)  # nothing of the other's


def test_it_changes_no_hash_of_a_training(row):
    with_weights = load_experiment("row", "two")
    without = load_experiment("row", "two", {"released": "null"})
    assert training_hash(with_weights) == training_hash(without)
    assert content_hash(with_weights) != content_hash(without)
    assert "released" not in without.model_dump()
    assert Experiment.model_validate(with_weights.model_dump(mode="json")).released == with_weights.released


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "source:",
            "sorce:",
            "row.yaml: scales.two.released.sorce = \"hub/a.pt\": unknown key; did you mean 'source'?",
        ),
        ("source: hub/a.pt, ", "", "released.source: missing; accepted: File or folder of the checkpoint"),
        (", page: https://hub", "", "released.page: missing; accepted: Where it is downloaded from"),
        ("hub/a.pt", "/a.pt", "row.yaml: scales.two.released.source: /a.pt: a path below SALT_WEIGHTS is accepted"),
        ("hub/a.pt", "../a.pt", "released.source: ../a.pt: a path below SALT_WEIGHTS is accepted"),
        ("which: ema", "which: average", "released.which = \"average\": accepted: 'ema' or 'regular'"),
        ("which: ema", "sha256: abc", 'released.sha256 = "abc": accepted: String should match pattern'),
    ],
)
def test_mistakes_are_one_line(row, old, new, told):
    assert old in RELEASED
    row.write("row.yaml", f"extends: dmd\n{RELEASED.replace(old, new, 1)}")
    assert told in message("row")


def test_it_is_refused_where_it_would_be_of_all_scales(row):
    row.write("row.yaml", "extends: dmd\nreleased: {source: a.pt, page: https://hub}")
    assert message("row").startswith("experiments/row.yaml: released: a checkpoint is of one scale; accepted: scales.")
    scale = (row.root / "experiments" / "scales" / "two.yaml").read_text()
    row.write("scales/two.yaml", scale.replace("defaults:", "defaults:\n  released: {source: a.pt, page: https://hub}"))
    assert message("dmd").startswith("experiments/scales/two.yaml: defaults.released: a checkpoint is of one scale")


def test_files_are_looked_for_below_one_root(row, tmp_path, monkeypatch):
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path / "weights"))
    row.write("row.yaml", f"extends: dmd\n{RELEASED.replace('which: ema', 'lora: hub/lora.pt')}")
    released = load_experiment("row", "two").released
    source, lora = (tmp_path / "weights" / "hub" / name for name in ("a.pt", "lora.pt"))
    with pytest.raises(SaltError, match=r"a\.pt: missing, which row asks for; download it there from https://hub"):
        released.files("row")
    source.parent.mkdir(parents=True)
    source.write_bytes(b"weights")
    assert released.missing() == [lora]
    lora.write_bytes(b"lora")
    assert released.files("row") == (source, lora)
    right, wrong = (
        released.model_copy(update={"sha256": hashlib.sha256(text).hexdigest()}) for text in (b"weights", b"")
    )
    assert right.files("row") == (source, lora)
    with pytest.raises(
        SaltError, match=r"not the file with SHA-256 e3b0c44298fc\.\.\. that row asks for; download it again"
    ):
        wrong.files("row")
    monkeypatch.delenv("SALT_WEIGHTS")
    monkeypatch.setenv("SALT_SCRATCH", str(tmp_path))
    assert weights_root() == tmp_path / "released"


def test_published_weights_are_of_the_paper_scale_and_say_where_they_come_from():
    rows = {name: load_experiment(name, "paper").released for name in experiment_names()}
    rows = {name: released for name, released in rows.items() if released is not None}
    assert {"self_forcing", "causvid", "causal_forcing", "longlive", "salt_causal_forcing", "salt_longlive"} <= set(
        rows
    )
    assert not {"salt_self_forcing", "causal_forcing_naive_sc", "causal_forcing_mixed_sc", "dmd_4"} & set(rows)
    files = [(released.source, released.lora) for released in rows.values()]
    assert len(set(files)) == len(files), "two rows would be one"
    for released in rows.values():
        assert released.page == f"https://huggingface.co/{'/'.join(released.source.split('/')[:2])}"
    for scale in ("smoke", "tiny", "small"):
        assert load_scale(scale).backbone != load_scale("paper").backbone
        assert all(load_experiment(name, scale).released is None for name in rows)
