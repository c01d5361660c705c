"""Text data through the `datasets` library: a data set of the Hugging Face hub, or a local folder of files.

Knows no data set by name. `datasets` is imported when a data set is loaded, not before.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError, did_you_mean
from noria.data.rows.rows import Rows, label_columns, text_columns
from noria.data.source.table_rows import rows_of
from noria.data.text import TextData

COMMIT = re.compile(r"[0-9a-f]{40}")


class HubData(TextData):
    """Splits of a data set, under their names there; a split named null is cut from train.

    Args:
        path: the data set's name on the hub, or a local folder.
        name: its configuration.
        revision: a branch, tag or commit; pin a commit to get the same rows for ever.
        text: the column of the texts, or the two columns of a pair.
        label: the column of the labels, or a list of columns of zeros and ones, one for each label.
    """

    def __init__(
        self,
        *,
        path: str,
        name: str | None = None,
        revision: str | None = None,
        train_split: str = "train",
        val_split: str | None = "validation",
        test_split: str | None = "test",
        text: str | list[str] = "text",
        label: str | list[str] = "label",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.name_ = name
        self.revision = revision
        self.split_names = {"train": train_split, "val": val_split, "test": test_split}
        self.text = text_columns(text)
        self.label = label
        label_columns(label)

    def read(self) -> dict[str, Rows]:
        names = {split: name for split, name in self.split_names.items() if name is not None}
        rows, self.report["revision"] = labelled(self.path, self.name_, self.revision, names, self.text, self.label)
        return rows


def labelled(
    path: str, name: str | None, revision: str | None, splits: dict[str, str], text: list[str], label: str | list[str]
) -> tuple[dict[str, Rows], str | None]:
    """The labelled texts of each split (our name -> its name there), and the revision where it is known.

    Raises:
        UserError: as `load`, or there is no such column.
    """
    tables, known = load(path, name, revision, splits)
    rows = {
        ours: rows_of(table, splits[ours], f"{path}, split {splits[ours]}", text, label)
        for ours, table in tables.items()
    }
    return rows, known


def load(
    path: str, name: str | None, revision: str | None, splits: dict[str, str]
) -> tuple[dict[str, pa.Table], str | None]:
    """The table of each split (our name -> its name there), and the revision where it is known.

    Raises:
        UserError: there is no such data set, configuration or split, or no way to the hub.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        builder = _typed(datasets.load_dataset_builder(path, name, revision=revision), path, name, revision)
        builder.download_and_prepare()
        found: Any = builder.as_dataset()
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        what = f"'{path}'" + (f" ({name})" if name else "") + (f" at {revision}" if revision else "")
        raise UserError(
            f"The data set {what} cannot be loaded: {_cause(error)}. Check its name, configuration and revision, "
            "and the way to the hub; data=table reads local files."
        ) from error
    tables = {}
    for ours, theirs in splits.items():
        if theirs not in found:
            raise UserError(
                f"'{path}' has no split '{theirs}'. {did_you_mean(theirs, found)} "
                f"data.{ours}_split={'null cuts one from train.' if ours != 'train' else 'names it.'}"
            )
        table = found[theirs].with_format("arrow")[:]
        # which holds the names of classes
        tables[ours] = table.replace_schema_metadata(found[theirs].features.arrow_schema.metadata)
    known = builder.hash if builder.repo_id and COMMIT.fullmatch(builder.hash or "") else revision
    return tables, known


def _cause(error: BaseException) -> str:
    """What went wrong in the first place, on one line: the library wraps it in "an error occurred"."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    return said.rstrip(".") or type(error).__name__


def _typed(builder: Any, path: str, name: str | None, revision: str | None) -> Any:
    """The same builder, but one that reads CSV files as `data=table` does: cells are strings, and only an empty one is
    missing. By itself it takes "None", "NA", "null" and the like for missing cells, and 007 for a number.
    """
    import datasets
    import pandas
    from datasets.packaged_modules.csv.csv import Csv

    if not isinstance(builder, Csv):
        return builder
    features = builder.info.features
    if features is None:
        files = [str(file) for those in (builder.config.data_files or {}).values() for file in those]
        heads = [pandas.read_csv(file, nrows=0, **_how(builder.config)).columns for file in files]
        columns = list(dict.fromkeys(str(column) for head in heads for column in head))
        made: Any = datasets.Features  # typed as if it took itself
        features = made({column: datasets.Value("string") for column in columns})
    return datasets.load_dataset_builder(
        path, name, revision=revision, features=features, keep_default_na=False, na_values=[""]
    )


def _how(config: Any) -> dict[str, Any]:
    """What the data set's own card says of its CSV files."""
    return {key: value for key, value in config.pd_read_csv_kwargs.items() if key in ("sep", "names", "header")}
