# What the rules share. All of it is read and checked when the files are parsed, so every mistake in a YAML file is one
# line before the first job.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from salt.errors import SaltError
from salt.workflow.layout import option, unrecorded
from salt.workflow.load import Workflow
from salt.workflow.made import Made

try:
    w = Workflow.load(config, Path(workflow.basedir))
except SaltError as error:
    raise WorkflowError(str(error)) from None

made = Made(w.settings.out, w.settings.scratch)


def unless_made(rule, state, **inputs):
    """Inputs by name, patterns or functions of the wildcards, of which a clone lacks what results need no more."""

    def chosen(wildcards):
        files = {
            name: value(wildcards) if callable(value) else filled(value, wildcards) for name, value in inputs.items()
        }
        outputs = filled(w.layout.outputs_of(rule).values(), wildcards)
        found = made.needed(rule, outputs, state(wildcards), files, workflow.dag_settings)
        return {name: ancient(paths) if name in ("teacher", "latents") else paths for name, paths in found.items()}

    return unpack(chosen)


def filled(patterns, wildcards):
    return [pattern.format(**wildcards) for pattern in ([patterns] if isinstance(patterns, str) else patterns)]
