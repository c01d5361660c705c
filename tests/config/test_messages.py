from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from noria.common.errors import UserError
from noria.config.messages import broken_interpolation, explain

CONF = {
    "config.yaml": """
defaults:
  - _self_
  - model: minilm
  - optimizer: adamw
  - callback: [progress]
  - experiment: null
seed: 0
monitor: {metric: val/loss, mode: min}
tags: []
""",
    "model/minilm.yaml": "name: a\nsize: 3\n",
    "model/bert_base.yaml": "name: b\nsize: 4\n",
    "optimizer/adamw.yaml": "_target_: torch.optim.AdamW\nlr: 1.0e-4\n",
    "callback/progress.yaml": "progress: {every: 1}\n",
    "callback/checkpoint.yaml": "checkpoint: {keep: 1}\n",
    "experiment/good.yaml": "# @package _global_\nseed: 3\n",
    "experiment/group.yaml": "# @package _global_\ndefaults:\n  - override /modle: minilm\n",
    "experiment/relative.yaml": "# @package _global_\ndefaults:\n  - model: minilm\n",
    "experiment/twice.yaml": "# @package _global_\ndefaults:\n  - /model: minilm\n",
    "experiment/choice.yaml": "# @package _global_\ndefaults:\n  - override /model: minillm\n",
    "experiment/flow.yaml": "# @package _global_\noptimizer:\n  lr: [3\n",
    "experiment/tabs.yaml": "# @package _global_\noptimizer:\n\tlr: 3\n",
    "experiment/double.yaml": "# @package _global_\nseed: 1\nseed: 2\n",
    "experiment/reference.yaml": "# @package _global_\nseed: ${sed}\n",
    "experiment/loop.yaml": "# @package _global_\nseed: ${monitor.mode}\nmonitor:\n  mode: ${seed}\n",
    "experiment/resolver.yaml": "# @package _global_\nseed: ${nope:1}\n",
    "experiment/brace.yaml": "# @package _global_\nseed: ${monitor.mode\n",
    "experiment/missing.yaml": "# @package _global_\nseed: s${model.tag}\nmodel:\n  tag: ???\n",
    "experiment/environment.yaml": "# @package _global_\nseed: ${oc.env:NO_SUCH_VARIABLE}\n",
}


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place") / "conf"
    for name, text in CONF.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def said(conf: Path, *overrides: str, name: str = "config") -> str:
    with initialize_config_dir(str(conf), version_base="1.3"), pytest.raises(Exception) as error:
        OmegaConf.to_container(compose(name, list(overrides)), resolve=True)
    assert not isinstance(error.value, AssertionError)
    return explain(error.value, conf)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        # groups and choices
        ("optimzer=adam", "'optimzer' is neither a key nor a group of the config. Did you mean 'optimizer'?"),
        ("modle/minilm=3", "Did you mean 'model'?"),
        (
            "model=minillm",
            "model=minillm: there is no such model. Did you mean 'minilm'? There are: bert_base, minilm.",
        ),
        ("model=zzz", "model=zzz: there is no such model. There are: bert_base, minilm."),
        ("callback=[chekpoint]", "callback=chekpoint: there is no such callback. Did you mean 'checkpoint'?"),
        ("experiment=god", "experiment=god: there is no such experiment. Did you mean 'good'?"),
        ("experiment=choice", "model=minillm: there is no such model. Did you mean 'minilm'?"),
        (
            "experiment=group",
            "experiment/group.yaml overrides 'modle', and there is no such group. Did you mean 'model'?",
        ),
        ("experiment=relative", "a group at the top is written /model"),
        (
            "experiment=twice",
            "model is chosen twice. In an experiment or another overlay, write 'override /model: …'.",
        ),
        ("+model=bert_base", "model is chosen already: type model=… without the +"),
        ("model@x=minilm", "'model@x' is not chosen anywhere. Did you mean 'model'?"),
        ("model=3", "A group takes the name of a choice"),
        ("optimizer=null", "To leave a group out, type ~group."),
        ("experiment.x=3", "experiment is a choice and holds no keys of its own. Type experiment=…"),
        # keys
        ("sed=3", "'sed' is neither a key nor a group of the config. Did you mean 'seed'?"),
        ("optimizer.lrr=3", "optimizer.lrr is not a key of the config. Did you mean 'optimizer.lr'?"),
        ("optimzer.lr=3", "Did you mean 'optimizer.lr'?"),
        ("callback.progres.every=3", "Did you mean 'callback.progress.every'?"),
        ("optimizer.weight_decay=0.1", "optimizer takes it: type +optimizer.weight_decay=0.1"),
        ("optimizer.wieght_decay=0.1", "Did you mean '+optimizer.weight_decay'?"),
        ("model.zzz=1", "model.zzz is not a key of the config. There are: name, size."),
        ("lr=3", "'lr' is not at the top of the config. Did you mean 'optimizer.lr'?"),
        ("model.name.x=3", "model.name is no group of keys"),
        ("tags.x=3", "'x' stands where a list is"),
        ("+seed=4", "seed is in the config already: type seed=4 without the +."),
        ("+optimizer.lr=4", "type optimizer.lr=4 without the +."),
        ("~sed", "~sed: the config holds no 'sed'. Did you mean 'seed'?"),
        ("~optimizer.lrr", "~optimizer.lrr: the config holds no 'optimizer.lrr'."),
        ("hydra.job.num=x", "hydra.job.num=x: Value 'x' of type 'str' could not be converted to Integer."),
        # the words themselves
        ("foo", "'foo' is not key=value."),
        ("model.name=a(b", "needs quotes of its own: 'model.name=\"a(b\"'"),
        ("model.name=a=b", "needs quotes of its own: 'model.name=\"a=b\"'"),
        ("model.name=don't", "needs quotes of its own: 'model.name=\"don't\"'"),
        ('model.name=say "x', 'needs quotes of its own: "model.name=\'say "x\'"'),
        ("model.name=${seed", "a reference is written ${dotted.key}"),
        ("a b=3", "'a b=3' cannot be read."),
        ("optimizer.lr=1,2", "For a sweep over them add -m; for a list type 'optimizer.lr=[1,2]'"),
        ("model=minilm,bert_base", "For a sweep over them add -m"),
        # files and references
        ("experiment=flow", "conf/experiment/flow.yaml, line 4, cannot be read: expected ',' or ']'"),
        ("experiment=tabs", "conf/experiment/tabs.yaml, line 3, cannot be read: found character '\\t'"),
        (
            "experiment=double",
            "conf/experiment/double.yaml, line 3, cannot be read: found duplicate key seed",
        ),
        ("experiment=reference", "seed refers to ${sed}, which is not in the config. Did you mean 'seed'?"),
        ("experiment=loop", "seed refers to itself"),
        ("experiment=resolver", "seed uses ${nope:…}, and there is no such resolver."),
        ("experiment=brace", "seed = '${monitor.mode' cannot be read: a reference is ${dotted.key}"),
        ("experiment=missing", "seed refers to ${model.tag}, which is required: type model.tag=…"),
        ("experiment=environment", "Environment variable 'NO_SUCH_VARIABLE' not found"),
    ],
)
def test_says_what_is_wrong_and_the_way_out(conf, override, expected):
    message = said(conf, override)
    assert expected in message
    assert len(message.splitlines()) == 1
    assert "not in struct" not in message and "object_type" not in message


def test_a_choice_that_must_be_made(conf):
    (conf / "bare.yaml").write_text("defaults:\n  - model: ???\n  - _self_\n")
    assert said(conf, name="bare") == "model must be chosen: type model=… There are: bert_base, minilm."


def test_a_config_that_is_not_there(conf):
    assert said(conf, name="nothing").startswith(f"There is no config 'nothing' in {conf}")


def test_several_values_with_multirun_forgotten_name_the_override(conf):
    assert said(conf, "seed=range(1,3)").startswith("'seed=range(1,3)' gives several values.")


def test_what_a_resolver_of_ours_says_is_passed_on():
    def refuse() -> None:
        raise UserError("there is no such run")

    OmegaConf.register_new_resolver("refusing_resolver", refuse)
    with pytest.raises(OmegaConfBaseException) as error:
        _ = OmegaConf.create({"x": "${refusing_resolver:}"}).x
    OmegaConf.clear_resolver("refusing_resolver")
    assert broken_interpolation(error.value) == "there is no such run"


def test_other_errors_are_passed_on():
    assert explain(UserError("as it is"), Path("conf")) == "as it is"
    assert "strange" in explain(RuntimeError("strange\nmore"), Path("conf"))
