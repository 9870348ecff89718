"""JSON schemas that let editors check and complete the experiment files, made from the pydantic models.

`python -m salt.config.jsonschema` says whether `experiments/schema/*.json` are in step with the models; `--fix` writes
them. Experiment and scale files are partial (the rest is inherited), so nothing is required in them and null is allowed
everywhere; unknown keys are not.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from salt.config.claims import PaperClaims
from salt.config.files import repository_root
from salt.config.lab_arms import Arms
from salt.config.lab_claims import LabClaims
from salt.config.lab_figures import LabFigures
from salt.config.load import OF_ONE_FILE
from salt.config.paper import PaperRows
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.files import write_text
from salt.readers import read_text

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, Schema]:
    """The schema of every kind of file, by its stem in `experiments/schema/`."""
    experiment, scale = _partial(Experiment.model_json_schema()), _partial(Scale.model_json_schema())
    part = {key: value for key, value in experiment["properties"].items() if key not in ("name", "scale")}
    definitions = {
        **experiment["$defs"],
        "Part": {
            "type": "object",
            "additionalProperties": False,
            "properties": part,
            "description": "Keys of an experiment.",
        },
    }
    everywhere = {key: value for key, value in part.items() if key != OF_ONE_FILE}
    extends = {"type": "string", "description": "The experiment whose keys this one starts from."}
    by_scale = {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/Part"},
        "description": "Keys that hold at one scale only.",
    }
    defaults = {"$ref": "#/$defs/Part", "description": "Keys of an experiment that all inherit at this scale."}
    own = {key: value for key, value in scale["properties"].items() if key != "name"}
    return {
        "experiment": _file(experiment, {"extends": extends, **everywhere, "scales": by_scale}, definitions),
        "scale": _file(scale, {**own, "defaults": defaults}, definitions),
        "paper_values": {"$schema": DIALECT, **PaperRows.model_json_schema()},
        "claims": {"$schema": DIALECT, **PaperClaims.model_json_schema()},
        "lab_claims": {"$schema": DIALECT, **LabClaims.model_json_schema()},
        "lab_arms": {"$schema": DIALECT, **Arms.model_json_schema()},
        "lab_figures": {"$schema": DIALECT, **LabFigures.model_json_schema()},
    }


def _partial(schema: Schema) -> Schema:
    """The schema with nothing required and null allowed for every key."""
    for part in (schema, *schema["$defs"].values()):
        part.pop("required", None)
        part["properties"] = {key: _or_null(value) for key, value in part["properties"].items()}
        if "const" in str(part["properties"].get("kind")):  # of one kind: null takes away keys of the kind inherited
            part["additionalProperties"] = {"type": "null"}
    return schema


def _or_null(value: Schema) -> Schema:
    aside: Schema = {key: value[key] for key in ("default", "description", "title") if key in value}
    kinds = {key: value[key] for key in value if key not in aside}
    choices = [choice for choice in kinds.get("anyOf", [kinds]) if choice != {"type": "null"}]
    return {**aside, "anyOf": [*choices, {"type": "null"}]}


def _file(model: Schema, properties: Schema, definitions: Schema) -> Schema:
    """A whole file: these properties and no others, with the definitions that are referred to."""
    used: Schema = {}
    while True:
        text = json.dumps([properties, used])
        found = {key: value for key, value in definitions.items() if f'"#/$defs/{key}"' in text}
        if found == used:
            break
        used = found
    return {
        "$schema": DIALECT,
        "title": model["title"],
        "description": model["description"],
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": used,
    }


def main(arguments: Sequence[str]) -> int:
    """Compare the schema files with the models, or write them with `--fix`; 1 if they are out of step."""
    parser = argparse.ArgumentParser(prog="python -m salt.config.jsonschema", description=str(__doc__))
    parser.add_argument("--fix", action="store_true", help="write experiments/schema/*.schema.json")
    fix = parser.parse_args(arguments).fix
    folder = repository_root() / "experiments" / "schema"
    stale = []
    for name, schema in schemas().items():
        path, text = folder / f"{name}.schema.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        if not path.is_file() or read_text(path, "as `--fix` wrote it") != text:
            stale.append(path.name)
            if fix:
                folder.mkdir(exist_ok=True)
                write_text(path, text)
    if stale:
        print(f"experiments/schema: {', '.join(stale)} {'written' if fix else 'out of step; run with --fix'}")
    return 0 if fix else int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
