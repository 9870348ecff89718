# What the rules share. All of it is read and checked when the files are parsed, so every mistake in a YAML file is one
# line before the first job.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from salt.errors import SaltError
from salt.workflow.layout import option, unrecorded
from salt.workflow.load import Workflow

try:
    w = Workflow.load(config, Path(workflow.basedir))
except SaltError as error:
    raise WorkflowError(str(error)) from None
