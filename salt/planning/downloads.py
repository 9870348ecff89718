"""What a target needs that others have published: networks, captions, the weights and prompts of VBench.

Nothing is fetched by a job of the workflow. `salt fetch` lists what is missing, and downloads it when it is told to.
"""

import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.error import URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from salt.config.load import load_experiment, load_scale
from salt.config.released import weights_root
from salt.config.scale import Scale
from salt.config.vbench import VBench, vbench_folder
from salt.errors import SaltError
from salt.evaluation.vbench.weights import HUB, Need, needs
from salt.files import sha256, whole_file
from salt.planning.jobs import Planned

PROMPTS, OWN = "docs/vbench.md, Prompts", "your own, see docs/paper_scale.md"
BLOCK = 1 << 20


@dataclass(frozen=True)
class Download:
    """A file, or the folder of a whole repository of the hub."""

    what: str
    """What needs it, for people."""
    place: Path
    repository: str | None = None
    """Of the hub."""
    file: str | None = None
    """In that repository; None: all of it."""
    page: str = ""
    """Where it comes from if that is not the hub: the address of the file, or a page on which people find it."""
    sha256: str = ""
    """Its SHA-256 or the beginning of that, where it is known."""

    @property
    def there(self) -> bool:
        """Whether it was fetched; of a folder, whether there is anything in it."""
        return self.place.is_file() or (self.place.is_dir() and any(self.place.iterdir()))

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        if self.repository is None:
            return self.page
        return f"{HUB}/{self.repository}" + (f"/blob/main/{self.file}" if self.file else "")

    @property
    def by_hand(self) -> bool:
        """Whether its page is no address of the file itself."""
        return self.repository is None and PurePosixPath(urlsplit(self.page).path).name != self.place.name

    def size(self) -> int:
        """Bytes, as the hub says.

        Raises:
            SaltError: it does not answer, or has no such file.
        """
        from huggingface_hub import hf_hub_download, snapshot_download

        assert self.repository is not None
        try:
            if self.file is not None:
                files = [hf_hub_download(self.repository, self.file, dry_run=True)]
            else:
                files = snapshot_download(self.repository, dry_run=True)
            return sum(found.file_size or 0 for found in files)
        except Exception as error:  # the hub's own errors and those of three libraries below it
            raise SaltError(f"{self.source}: the hub gives no size: {_first_line(error)}") from error

    def fetch(self) -> None:
        """Download it. What is begun and stopped is begun again; what stands at its place is whole.

        Raises:
            SaltError: no answer, no such file, or another file than the published one.
        """
        if self.by_hand:
            raise SaltError(f"{self.place}: cannot be downloaded from {self.page} by a program; put it there by hand")
        if self.repository is None:
            self._from_address()
            return
        from huggingface_hub import hf_hub_download, snapshot_download

        root = weights_root() / self.repository
        try:
            if self.file is None:
                snapshot_download(self.repository, local_dir=root)
            else:
                hf_hub_download(self.repository, self.file, local_dir=root)
        except Exception as error:
            raise SaltError(f"{self.source}: cannot be downloaded: {_first_line(error)}") from error
        if self.file is not None:
            self._check(self.place)

    def _from_address(self) -> None:
        self.place.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.place) as temporary:
            try:
                with urllib.request.urlopen(self.page, timeout=60) as answer, temporary.open("wb") as file:
                    size = int(answer.headers.get("Content-Length", 0)) or None
                    with tqdm(total=size, unit="B", unit_scale=True, desc=self.place.name) as bar:
                        while block := answer.read(BLOCK):
                            file.write(block)
                            bar.update(len(block))
                    if size is not None and temporary.stat().st_size != size:
                        raise SaltError(f"{self.page}: ends after {temporary.stat().st_size} of {size} bytes")
            except (OSError, URLError, ValueError) as error:
                raise SaltError(f"{self.page}: cannot be downloaded: {_first_line(error)}") from error
            self._check(temporary)

    def _check(self, path: Path) -> None:
        if self.sha256 and not (found := sha256(path)).startswith(self.sha256):
            raise SaltError(
                f"{self.place}: SHA-256 {found[:12]}...; accepted: {self.sha256[:12]}..., the published file"
            )


def downloads_of(scale: str, jobs: Iterable[Planned]) -> list[Download]:
    """What these jobs read that is published elsewhere, there or not, each once, in the order of the jobs."""
    loaded = load_scale(scale)
    found = (download for job in jobs for download in _of_job(loaded, job))
    return list({download.place: download for download in found}.values())


def _of_job(scale: Scale, job: Planned) -> Iterator[Download]:
    if job.rule == "teacher" and scale.teacher == "linked":
        yield _from_hub("teacher, text encoder, autoencoder", scale.assets)
        if scale.larger is not None:
            yield _from_hub("the larger teacher", scale.larger.assets)
    if job.rule.removesuffix("_part") == "latents" and scale.data is not None:
        yield _from_hub("training captions", scale.data.captions)
    if job.rule == "import_released":
        released = load_experiment(job.name, scale.name).released
        assert released is not None  # there is no such job without
        yield _from_hub(job.name, released.source, released.sha256 or "")
        if released.lora is not None:
            yield _from_hub(f"{job.name}, its LoRA", released.lora)
    if job.rule == "score_vbench":
        protocol = scale.evaluation.vbench
        if job.wildcards.get("long") and scale.evaluation.long is not None:
            protocol = scale.evaluation.long.vbench
        assert protocol is not None  # there is no such job without
        yield from vbench_downloads(protocol, job.wildcards["dimension"])


def vbench_downloads(protocol: VBench, dimension: str) -> Iterator[Download]:
    """The prompts of a protocol of VBench, and the files that a dimension reads."""
    for name in filter(None, (protocol.prompt_list, protocol.extended_list)):
        yield Download("VBench's prompts", vbench_folder() / "prompts" / name, page=PROMPTS)
    for need in needs(protocol, dimension):
        yield _needed(need)


def _needed(need: Need) -> Download:
    return Download("VBench", vbench_folder() / need.path, page=need.url, sha256=need.sha256)


def _from_hub(what: str, name: str, digest: str = "") -> Download:
    """Of a path below SALT_WEIGHTS, whose first two parts are the repository; shorter ones are files of one's own."""
    owner, *rest = PurePosixPath(name).parts
    if not rest:
        return Download(what, weights_root() / name, page=OWN)
    return Download(what, weights_root() / name, f"{owner}/{rest[0]}", "/".join(rest[1:]) or None, sha256=digest)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
