"""The metric that runs are compared by, from its name."""

from __future__ import annotations

import yaml
from hydra.utils import instantiate

from noria.common.errors import UserError, did_you_mean
from noria.common.paths import conf_dir
from noria.comparison.runs import Run
from noria.config.trust import refuse_untrusted
from noria.metric.base import Metric
from noria.task.form import Form


def metric_named(name: str, run: Run, form: Form) -> Metric:
    """The metric of that name: as the run's own config has it, or as it is always measured, or as it comes with Noria.

    Args:
        form: that of the answers that are to be measured.

    Raises:
        UserError: there is none, or it does not measure such answers.
    """
    own = (run.config.get("metric") or {}).get(name)
    shipped = {path.stem: path for path in sorted((conf_dir() / "metric").glob("*.yaml"))}
    node = own
    if own is not None:
        refuse_untrusted({"metric": {name: own}}, str(run.folder))
    elif name in form.measured:
        node = {"_target_": form.measured[name]}
    elif name in shipped:
        node = yaml.safe_load(shipped[name].read_text(encoding="utf-8"))[name]
    made: Metric | None = instantiate(node) if node is not None else None
    holds = form.contents_of()
    if made is not None and all(holds.get(column) in contents for column, contents in made.reads.items()):
        return made
    hint = did_you_mean(name, dict.fromkeys([*form.measured, *(run.config.get("metric") or {}), *shipped]))
    raise UserError(
        f"stage.metric={name} cannot be computed from these predictions. {hint if made is None else ''}".rstrip()
    )
