"""What `salt fetch` lists and downloads; the hub and the web are local here."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from typer.testing import CliRunner

from salt.cli import app, register
from salt.cli.doctor import vbench
from salt.errors import SaltError
from salt.planning.downloads import Download, downloads_of
from salt.planning.jobs import Planned

register()


def job(rule: str, **wildcards: str) -> Planned:
    return Planned(rule, wildcards, Path("log"), Path("benchmark"), None, True)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("SALT_VBENCH", str(tmp_path / "vbench"))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a folder `web`, with a file of 3 MB."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.pth").write_bytes(b"salt" * 750_000)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# ---------------------------------------------------------------------------------------------- what is needed
def test_each_rule_needs_its_own_and_nothing_twice(tmp_path: Path) -> None:
    jobs = [
        job("teacher"),
        job("latents_part", part="0"),
        job("latents_part", part="1"),
        job("import_released", experiment="longlive"),
        job("score_vbench", sampled="rcm", dimension="temporal_flickering", long=""),
        job("score_vbench", sampled="rcm", dimension="motion_smoothness", long=""),
        job("train", experiment="sc_dmd"),
    ]
    found = downloads_of("paper", jobs)
    below = {str(each.place.relative_to(tmp_path)): each.repository for each in found}
    assert below == {
        "weights/Wan-AI/Wan2.1-T2V-1.3B-Diffusers": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        "weights/Wan-AI/Wan2.1-T2V-14B-Diffusers": "Wan-AI/Wan2.1-T2V-14B-Diffusers",
        "weights/gdhe17/Self-Forcing/vidprom_filtered_extended.txt": "gdhe17/Self-Forcing",
        "weights/Efficient-Large-Model/LongLive-1.3B/models/longlive_base.pt": "Efficient-Large-Model/LongLive-1.3B",
        "weights/Efficient-Large-Model/LongLive-1.3B/models/lora.pt": "Efficient-Large-Model/LongLive-1.3B",
        "vbench/prompts/VBench_full_info.json": None,
        "vbench/prompts/all_dimension_extended.txt": None,
        "vbench/weights/amt_model/amt-s.pth": None,
    }
    lora = next(each for each in found if each.file == "models/lora.pt")
    assert lora.source == "https://huggingface.co/Efficient-Large-Model/LongLive-1.3B/blob/main/models/lora.pt"
    assert [each.by_hand for each in found] == [False] * 5 + [True, True, False]


def test_a_scale_that_ships_all_needs_nothing() -> None:
    assert downloads_of("tiny", [job("teacher"), job("latents"), job("train", experiment="dmd_4")]) == []


def test_pictures_of_ones_own_are_put_there_by_hand() -> None:
    captions = downloads_of("paper_i2v", [job("latents")])[0]
    assert (captions.place.name, captions.repository, captions.by_hand) == ("images.jsonl", None, True)


def test_a_doctor_looks_at_what_vbench_reads(tmp_path: Path) -> None:
    def said(state: str) -> list[str]:
        return [told for found, _, told in vbench("paper") if found == state]

    assert len(said("wrong")) == 5  # its Python and four lists of prompts
    assert said("ok") == ["2 of 25 dimensions have their files"]  # temporal flickering has none
    assert any("motion_smoothness (long) would be reported absent" in told for told in said("note"))
    amt = tmp_path / "vbench" / "weights" / "amt_model" / "amt-s.pth"
    amt.parent.mkdir(parents=True)
    amt.touch()
    assert said("ok") == ["4 of 25 dimensions have their files"]
    assert list(vbench("tiny")) == []


# -------------------------------------------------------------------------------------------------- downloading
def test_a_file_of_the_web_is_whole_or_not_there(tmp_path: Path, web: str) -> None:
    digest = hashlib.sha256(b"salt" * 750_000).hexdigest()
    place = tmp_path / "vbench" / "a.pth"
    with pytest.raises(SaltError, match=r"a.pth: SHA-256 .*; accepted: beef"):
        Download("x", place, page=f"{web}/a.pth", sha256="beef").fetch()
    assert list(place.parent.iterdir()) == []
    Download("x", place, page=f"{web}/a.pth", sha256=digest[:8]).fetch()
    assert hashlib.sha256(place.read_bytes()).hexdigest() == digest
    with pytest.raises(SaltError, match=r"b.pth: cannot be downloaded: HTTP Error 404"):
        Download("x", tmp_path / "b.pth", page=f"{web}/b.pth").fetch()
    with pytest.raises(SaltError, match=r"cannot be downloaded from https://github.com/a/b by a program"):
        Download("x", place, page="https://github.com/a/b").fetch()


def test_the_hub_is_asked_for_a_file_or_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def one(repository: str, file: str, local_dir: Path | None = None, dry_run: bool = False) -> object:
        asked.append((repository, file, local_dir))
        return SimpleNamespace(file_size=7)

    def whole(repository: str, local_dir: Path | None = None, dry_run: bool = False) -> object:
        asked.append((repository, local_dir))
        if repository == "no/such":
            raise OSError("401\nmore")
        return [SimpleNamespace(file_size=3), SimpleNamespace(file_size=4)]

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", one)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", whole)
    root = tmp_path / "weights" / "a" / "b"
    file, folder = Download("x", root / "c" / "d.pt", "a/b", "c/d.pt"), Download("x", root, "a/b")
    assert file.size() == folder.size() == 7
    asked.clear()
    file.fetch()
    folder.fetch()
    assert asked == [("a/b", "c/d.pt", root), ("a/b", root)]
    with pytest.raises(SaltError, match=r"https://huggingface.co/no/such: cannot be downloaded: 401$"):
        Download("x", root, "no/such").fetch()


def test_the_verb_says_what_is_there_and_fetches_the_rest_when_told(
    tmp_path: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, missing = tmp_path / "there.txt", tmp_path / "vbench" / "a.pth"
    there.write_text("x")
    wanted = [
        Download("prompts", there, page="docs/vbench.md"),
        Download("VBench", missing, page=f"{web}/a.pth"),
        Download("VBench", tmp_path / "c.pth", page="https://github.com/a/b"),
    ]
    monkeypatch.setattr("salt.planning.jobs.jobs_of", lambda *_: {"table2": [job("score_vbench")]})
    monkeypatch.setattr("salt.planning.downloads.downloads_of", lambda *_: wanted)
    listed = CliRunner().invoke(app, ["fetch", "table2", "--scale", "paper"])
    assert [line.split()[0] for line in listed.output.splitlines() if line[0] != " "] == ["there", "missing", "by", "1"]
    assert "1 of 3 are there; --download fetches the rest" in listed.output
    assert not missing.exists()
    fetched = CliRunner().invoke(app, ["fetch", "table2", "--scale", "paper", "--download"])
    assert fetched.exit_code == 0
    assert missing.stat().st_size == 3_000_000
    assert "2 of 3 are there" in fetched.output
