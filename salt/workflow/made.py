"""What every file in `results/` and `paper_figures/` was made of: `results/{scale}/made.jsonl`, beside them in git.

Snakemake remembers the parameters and the checksums of inputs of each output, but in `.snakemake`, which no clone has.
Here they lie with the results: written when the workflow ends, told to Snakemake before it looks for what is to be
done. A result is thus known as stale on any clone, and one that is not stays as it is, whatever its date.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from salt.errors import SaltError
from salt.files import sha256, write_text
from salt.readers import loads, read_text

NAME = "made.jsonl"
KEPT = ("rule", "params", "input", "input_checksums", "record_format_version")
"""Of what Snakemake records: all that it compares, but for the command, of which a space would retrain."""
FOREIGN = ["a file that made.jsonl does not know, or knows otherwise"]
"""The parameters of a file whose origin is not on record: Snakemake makes it again."""
SCRATCH = "{scratch}/"
FEED = {"teacher", "latents", "ode_pairs", "train", "import_released", "sample", "sample_long", "score_vbench"}
"""The rules whose outputs are not kept with the results."""


@dataclass(frozen=True)
class Made:
    """The results below one folder.

    `out` and `scratch` are as `--config` has them; neither stands in the file, so that it is the same anywhere.
    """

    out: str
    scratch: str

    def needed(
        self, rule: str, outputs: Collection[str], state: object, inputs: Mapping[str, Sequence[str]], asked: Any
    ) -> dict[str, list[str]]:
        """The inputs of a job, by name; without those that are missing where its outputs need not be made.

        A clone has no scratch/. Were its weights and videos inputs of results that are right as they are, Snakemake
        would make them all as soon as it makes the latents for one of them.

        Args:
            rule: of the job.
            outputs: its files.
            state: what decides them.
            inputs: name -> files.
            asked: Snakemake's settings of this run: what is forced is made of all that it needs.
        """
        forced = {name.removeprefix("beside_") for name in asked.forcerun}
        named = {*asked.forcerun, *(asked.targets if asked.forcetargets else ())}
        all_of_it = asked.forceall or forced & {rule, *FEED} or not named.isdisjoint(outputs)
        fresh = all(repr(state) in self.fresh.get(output, {"params": ()})["params"] for output in outputs)
        if all_of_it or not fresh:
            return {name: list(files) for name, files in inputs.items()}
        return {name: [file for file in files if self._is_here(file)] for name, files in inputs.items()}

    @cached_property
    def fresh(self) -> dict[str, dict[str, Any]]:
        """File -> its line, of the files that are as they were written down."""
        found = {}
        for folder in self._folders():
            lines = {line["output"]: line for line in read_made(folder / NAME)}
            for path in self._files(folder):
                line = lines.get(self._neutral(path.as_posix()))
                if line is not None and line["sha256"] == sha256(path):
                    found[path.as_posix()] = line
        return found

    def remember(self) -> None:
        """Write down what Snakemake knows of all results that are there, but for those that were edited since."""
        known = FilePersistence(nolock=True)
        for folder in self._folders():
            lines = []
            for path in self._files(folder):
                key, record = path.as_posix(), _recorded(known, path)
                if record is None or record.params == FOREIGN:
                    continue
                if _is_as_made(path, record):
                    lines.append({"output": self._neutral(key), "sha256": sha256(path), **self._moved(record)})
                elif key in self.fresh:
                    lines.append(self.fresh[key])
            if lines or (folder / NAME).is_file():
                write_text(folder / NAME, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    def restore(self) -> None:
        """Tell Snakemake what is written down.

        A file that is as it was written down is what is said there, whatever else was made here before. Another one is
        what was made here, or of unknown origin.

        Raises:
            SaltError: a line cannot be read.
        """
        known = FilePersistence(nolock=True)
        for folder in self._folders():
            for path in self._files(folder):
                key, old = path.as_posix(), _recorded(known, path)
                if key in self.fresh:
                    record = MetadataRecord(**self._here(self.fresh[key]))
                elif known._filter_incomplete_keys([key]) or (old is not None and _is_as_made(path, old)):
                    continue
                else:
                    record = MetadataRecord(params=FOREIGN, record_format_version=RECORD_FORMAT_VERSION)
                if old is None or any(old[field] != record[field] for field in KEPT):
                    known._write_record(key, record)

    def _folders(self) -> list[Path]:
        """That of all scales, and those of one."""
        results = Path(self.out, "results")
        return [results, *sorted(folder for folder in results.glob("*") if folder.is_dir())]

    def _files(self, folder: Path) -> Iterator[Path]:
        """What lies in one of them, and the figures of a scale."""
        results = Path(self.out, "results")
        below = sorted(folder.glob("*")) if folder == results else sorted(folder.rglob("*"))
        figures = [] if folder == results else sorted(Path(self.out, "paper_figures", folder.name).rglob("*"))
        return (path for path in [*below, *figures] if path.is_file() and path.name != NAME)

    @cached_property
    def _places(self) -> dict[str, str]:
        """What stands for a folder -> the folder; results may lie in the scratch folder, so they come first."""
        places = {"{out}/results/": Path(self.out, "results"), "{out}/paper_figures/": Path(self.out, "paper_figures")}
        return {name: f"{folder.as_posix()}/" for name, folder in (places | {SCRATCH: Path(self.scratch)}).items()}

    def _neutral(self, path: str) -> str:
        """A path that names no folder of this machine."""
        inside = ((name, folder) for name, folder in self._places.items() if path.startswith(folder))
        return next((name + path.removeprefix(folder) for name, folder in inside), path)

    def _local(self, path: str) -> str:
        """Such a path, here."""
        inside = ((name, folder) for name, folder in self._places.items() if path.startswith(name))
        return next((folder + path.removeprefix(name) for name, folder in inside), path)

    def _is_here(self, path: str) -> bool:
        """Whether a file need not be made first: not so of one in scratch that is missing."""
        return not self._neutral(path).startswith(SCRATCH) or Path(path).exists()

    def _moved(self, record: MetadataRecord) -> dict[str, Any]:
        return {field: record[field] for field in KEPT} | {
            "input": [self._neutral(path) for path in record.input or ()],
            "input_checksums": {self._neutral(path): found for path, found in (record.input_checksums or {}).items()},
        }

    def _here(self, line: dict[str, Any]) -> dict[str, Any]:
        return {field: line[field] for field in KEPT} | {
            "input": sorted(path for path in map(self._local, line["input"]) if self._is_here(path)),
            "input_checksums": {self._local(path): found for path, found in line["input_checksums"].items()},
        }


def _recorded(known: FilePersistence, path: Path) -> MetadataRecord | None:
    """What Snakemake knows of a file that is whole."""
    key = path.as_posix()
    return None if known._filter_incomplete_keys([key]) else known._read_record(key)


def _is_as_made(path: Path, record: MetadataRecord) -> bool:
    """Whether nobody has touched a file since its job ended, whose end Snakemake dates by the file."""
    return record.endtime is not None and abs(path.stat().st_mtime - record.endtime) < 1


def read_made(path: Path) -> list[dict[str, Any]]:
    """The lines of one file; none where it is missing.

    Raises:
        SaltError: a line is no JSON object of these keys.
    """
    if not path.is_file():
        return []
    lines = []
    keys = ("output", "sha256", *KEPT)
    accepted = f"a JSON object with {', '.join(keys)}; without the file all of {path.parent} is made again"
    for number, text in enumerate(read_text(path, accepted).splitlines(), 1):
        try:
            line = loads(text)
            whole = isinstance(line, dict) and not {*keys} - line.keys()
        except ValueError:
            whole = False
        if not whole:
            raise SaltError(f"{path}: line {number} is not what the workflow wrote (a merge?); accepted: {accepted}")
        lines.append(line)
    return lines
