"""What a model needs of its data is the artifact's: how long its texts are, how many there are in a row.

A data group that is typed, or that an experiment brings, says which rows are read, not how the model reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from noria.common.errors import UserError
from noria.config.columns import text_columns
from noria.config.rules.facts import fits, gives, needs, target_name
from noria.config.signature import read

LENGTH = "max_length"
TEMPLATE = "chat_template"


@dataclass(frozen=True)
class Kept:
    """What an artifact's `noria.yaml` says of the texts that its model reads.

    Args:
        task: what the model was trained for, as its config has it.
        max_length: tokens of a text at most, as it was trained; None where it is not said.
        columns: how many texts a row has.
        template: whether its tokenizer has a chat template of its own.
        typed: the keys of the command line; they go over everything.
    """

    task: Mapping[str, Any] = field(default_factory=dict)
    max_length: int | None = None
    columns: int = 1
    template: bool = False
    typed: Collection[str] = field(default_factory=tuple)

    @classmethod
    def of(cls, facts: dict[str, Any], typed: Collection[str], folder: Path) -> Kept:
        """From what the `noria.yaml` of an artifact's folder holds."""
        length = facts.get(LENGTH)
        config = facts.get("config") if isinstance(facts.get("config"), dict) else {}
        data, task = ((config or {}).get(name) for name in ("data", "task"))
        task = task if isinstance(task, dict) else {}
        keys = frozenset(key.lstrip("+") for key in typed)
        columns = len(text_columns(data if isinstance(data, dict) else {}))
        template = (folder / f"{TEMPLATE}.jinja").is_file()
        return cls(task, length if isinstance(length, int) else None, columns, template, keys)

    def config(self) -> dict[str, Any]:
        """What goes over every choice that is made, but not over a key that is typed."""
        return {} if self.max_length is None else {"data": {LENGTH: self.max_length}}

    def settle(self, cfg: DictConfig) -> None:
        """Takes out of a composed config what nobody typed and its parts do not have.

        That is a length of data without any, what an experiment says of training to another stage, and the chat
        template that it names where the artifact's tokenizer has one: the file may be another by now.

        Raises:
            UserError: the data has one text a row, and the model reads pairs, or the other way round; or it is data
                for another kind of model.
        """
        data, stage = cfg.get("data"), cfg.get("stage")
        if isinstance(stage, DictConfig):
            _leave_out(stage, [key for key in map(str, stage) if f"stage.{key}" not in self.typed])
        if not isinstance(data, DictConfig):
            return
        if f"data.{LENGTH}" not in self.typed:
            _leave_out(data, [LENGTH])
        if self.template and data.get(TEMPLATE) is not None and f"data.{TEMPLATE}" not in self.typed:
            data[TEMPLATE] = None
        if _measures(stage) and not fits(needs(self.task), gives(data)):
            names = (target_name(part) for part in (OmegaConf.to_container(data), self.task))
            raise UserError("data={} is not what the artifact's task, {}, is measured on.".format(*names))
        if "text" in data and len(text_columns(data)) != self.columns:
            pair = "data.text=[<first column>,<second column>]"
            raise UserError(
                f"data.text={data.text} names {_counted(len(text_columns(data)))}, and the "
                f"artifact's model reads {'pairs of texts: type ' + pair if self.columns > 1 else 'one text a row'}."
            )


def _counted(columns: int) -> str:
    return f"{columns} column{'s' if columns > 1 else ''}"


def _measures(stage: Any) -> bool:
    return isinstance(stage, DictConfig) and str(stage.get("_target_")).endswith(".evaluate")


def _leave_out(component: DictConfig, keys: Iterable[str]) -> None:
    """Takes out those of the keys that the component does not take; what it takes may not be known."""
    try:
        signature = read(str(component.get("_target_")))
    except UserError:
        return  # the check of the config says what is wrong with it
    for key in keys:
        if key in component and not key.startswith("_") and key not in signature.keys and not signature.open:
            del component[key]
