"""What stands where an input file is meant and is none, is refused by its name; a named pipe is not waited for."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from salt.config.data import Data
from salt.config.files import read_mapping
from salt.config.vbench import VBench
from salt.data.captions import check_length, read_captions, read_clip, read_first_frame
from salt.data.pairs import COMMAND, About
from salt.data.prompts import read_prompts
from salt.data.store import Store
from salt.data.vbench_prompts import read_vbench_prompts
from salt.errors import SaltError
from salt.evaluation.manifest import read_manifest
from salt.evaluation.sampling.videos import Hashes
from salt.evaluation.vbench.elsewhere import form_of, read_results_elsewhere
from salt.evaluation.vbench.results import read_results
from salt.evaluation.video import check_stored, read_mp4
from salt.files import opened, sha256
from salt.readers import read_json, read_list, read_text, tail
from salt.report.records import read_measurements

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "opened": ("a", opened),
    "text": ("a", lambda path: read_text(path, "a text")),
    "json": ("a", read_json),
    "list": ("a", lambda path: read_list(path, "a list")),
    "log": ("a", lambda path: tail(path, 10)),
    "configuration": ("a.yaml", read_mapping),
    "index of a store": ("index.json", lambda path: Store(path.parent, About, {}, COMMAND)),
    "hash": ("a", sha256),
    "captions": ("a.txt", read_prompts),
    "table of captions": ("a.csv", read_prompts),
    "training captions": ("a.txt", lambda path: read_captions(path, Data(captions="a.txt", clips=1))),
    "prompts": (
        "a.json",
        lambda path: read_vbench_prompts(path.parent, VBench(prompt_list="a.json", prompt_list_hash=None)),
    ),
    "clip": ("a.mp4", lambda path: read_clip(path, 1, 8, 8, 8)),
    "length": ("a.mp4", lambda path: check_length(path, 1, 8)),
    "first frame": ("a.png", lambda path: read_first_frame(path, 8, 8, 8)),
    "video": ("a.mp4", read_mp4),
    "container": ("a.mp4", lambda path: check_stored(path, 8)),
    "video made elsewhere": ("a.mp4", form_of),
    "manifest": ("manifest.json", lambda path: read_manifest(path.parent)),
    "hashes of videos": ("videos.sha256", lambda path: Hashes(path.parent)),
    "results": ("a_eval_results.json", read_results),
    "results made elsewhere": ("a.json", read_results_elsewhere),
    "records": ("a.csv", read_measurements),
}


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket has 107 bytes
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


@pytest.fixture(autouse=True)
def in_time():
    """Whoever waits for a pipe is woken, with an error."""
    signal.alarm(5)
    yield
    signal.alarm(0)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (os.mkfifo, "named pipe"),
        (listening, "socket"),
        (Path.mkdir, "folder"),
        (lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe")), "named pipe"),
    ],
    ids=["pipe", "socket", "folder", "link to a pipe"],
)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_not_read(tmp_path: Path, reader: str, make, found: str) -> None:
    name, read = READERS[reader]
    make(tmp_path / name)
    with pytest.raises(SaltError, match=rf"{name}: .*(a {found} stands there|there is no such file)"):
        read(tmp_path / name)


@pytest.mark.parametrize("reader", sorted(READERS.keys() - {"opened", "log", "hash", "hashes of videos"}))
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, reader: str) -> None:
    name, read = READERS[reader]
    (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(SaltError, match=name):
        read(tmp_path / name)
