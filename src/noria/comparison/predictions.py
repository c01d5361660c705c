"""What one run answered: its file of predictions, and the form that understands it. Compares nothing."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from hydra.utils import get_class

from noria.artifact.format1 import facts_of_record, upgraded
from noria.common.errors import UserError
from noria.common.mapping_file import read_mapping
from noria.common.names import ARTIFACT_FILE
from noria.comparison.runs import Run
from noria.config.signature import class_attributes
from noria.config.trust import is_component
from noria.task.form import FORM, FORMS, Form

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none


def read(run: Run, split: str, columns: list[str] | None = None) -> pa.Table:
    """The run's rows of the split, with those of the columns that it has.

    Raises:
        UserError: the file cannot be read, or has no row of the split.
    """
    try:
        file = pq.ParquetFile(run.predictions)
        has = file.schema_arrow.names
        wanted = has if columns is None else [name for name in has if name in columns or name == "split"]
        table = file.read(columns=wanted, use_threads=False)
        found = table["split"]
        if table.num_rows and pc.min_max(found)["min"].as_py() == pc.min_max(found)["max"].as_py() == split:
            return table
        table = table.filter(pc.equal(found, split))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(f"{run.predictions} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not table.num_rows:
        raise UserError(
            f"{run.folder} has no predictions of the split {split}. Make them with noria stage=evaluate "
            f"artifact={run.artifact} stage.split={split}, or compare another split (stage.split=…)."
        )
    return table


def form_of(run: Run, table: pa.Table) -> Form:
    """The form that a run's predictions name; of older ones that of its artifact, or of its record.

    Raises:
        UserError: it is none of Noria's, or nothing names it.
    """
    described = (table.schema.metadata or {}).get(FORM)
    if described is not None:
        said = json.loads(described)
        return _made(str(said["form"]), said["settings"], f"{run.predictions}")
    path = run.artifact / ARTIFACT_FILE
    facts = read_mapping(path) if path.is_file() else facts_of_record(run.record)
    facts = upgraded(facts) if facts.get("format", 1) == 1 else facts
    where = str(path if path.is_file() else run.folder)
    if not isinstance(facts.get("kind"), str):
        raise UserError(f"{where} does not say what the model of {run.folder} does.")
    return _made(str(class_attributes(facts["kind"]).get("form_path")), facts.get("settings") or {}, where)


def _made(path: str, settings: dict[str, Any], where: str) -> Form:
    if not is_component(path, FORMS):
        raise UserError(f"{where} names '{path}' as what understands its answers, which is no form that Noria has.")
    form: type[Form] = get_class(path)
    return form.of(settings)
