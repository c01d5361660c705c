from __future__ import annotations

import pytest

from noria.common.errors import UserError
from noria.config.trust import refuse_untrusted, untrusted_interpolations, untrusted_targets

TRUSTED = [
    "torch.optim.AdamW",
    "torch.optim.lr_scheduler.CosineAnnealingLR",
    "torch.nn.Linear",
    "lightning.pytorch.callbacks.EarlyStopping",
    "lightning.pytorch.callbacks.lr_monitor.LearningRateMonitor",
    "lightning.pytorch.loggers.tensorboard.TensorBoardLogger",
    "lightning.pytorch.profilers.simple.SimpleProfiler",
    "lightning.pytorch.strategies.ddp.DDPStrategy",
    "torchmetrics.classification.MulticlassF1Score",
    "transformers.optimization.get_cosine_schedule_with_warmup",
    "noria.callback.checkpoint.checkpoints",
    "noria.model.pretrained.Pretrained",
    "noria.trainer.build.build_trainer",
]
DANGEROUS = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "hydra.utils.get_method",
    "hydra.utils.call",
    "hydra.utils.instantiate",
    "importlib.import_module",
    "pickle.loads",
    "runpy.run_path",
    "torch.load",
    "torch.hub.load",
    "torch.serialization.load",
    "torch.utils.cpp_extension.load",
    "transformers.AutoModel.from_pretrained",
    "transformers.optimization.os.system",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.callbacks.ModelCheckpoint.load_state_dict",
    "lightning.pytorch.callbacks.model_checkpoint.shutil.rmtree",
    "lightning.pytorch.callbacks.model_checkpoint.os.system",
    "torch.optim.optimizer.functools.partial",
    "torch.nn.modules.module.torch.load",
    "torch.nn.functional.importlib.import_module",
    "torch.optim",
    "torch.optim.",
    "torch.optim..AdamW",
    "torch.optim.AdamW.__init__.__globals__",
    "torch.optim.__builtins__.eval",
    "torch.optim.NoSuchThing",
    "torch.optimx.AdamW",
    "noria.cli.main.entry",
    "noria.stage.fit.fit",
    "noria.config.check.check",
    "noria.tracking.record.Record",
    "noria.callback.checkpoint.Path.unlink",
    "noria.callback.checkpoint.Path",
    "noria.model.pretrained.json.loads",
    "noria.model.pretrained.packaged",
    "noria.model.pretrained.freeze",
    "${oc.env:TARGET}",
    "${model.name}",
    "",
    "AdamW",
]


@pytest.mark.parametrize("target", TRUSTED)
def test_components_are_trusted(target):
    assert untrusted_targets({"a": {"_target_": target}}) == []


@pytest.mark.parametrize("target", DANGEROUS)
def test_everything_else_is_not(target):
    assert untrusted_targets({"a": {"_target_": target}}) == [("a._target_", target)]


def test_at_any_depth_and_of_any_type():
    config = {
        "a": [{"b": {"_target_": "os.system", "x": {"_target_": "torch.nn.ReLU"}}}],
        "_target_": "builtins.eval",
        "c": {"_target_": ["os", "system"]},
        "d": {"_target_": None},
    }
    assert [key for key, _ in untrusted_targets(config)] == [
        "a[0].b._target_",
        "_target_",
        "c._target_",
        "d._target_",
    ]


def test_a_stage_may_only_be_named_as_the_stage():
    assert untrusted_targets({"stage": {"_target_": "noria.stage.fit.fit"}}) == []
    assert untrusted_targets({"stage": {"_target_": "os.system"}})
    assert untrusted_targets({"model": {"stage": {"_target_": "noria.stage.fit.fit"}}})


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HOME}",
        "a ${oc.env:HOME,x} b",
        "${oc.decode:'1'}",
        "${oc.create:{_target_:os.system}}",
        "${${a}:x}",
        "${oc.${b}:HOME}",
        "${oc.select:${oc.env:HOME}}",
        "${oc.select:a,${oc.env:HOME}}",
        "${oc.env:HOME",
        "${ oc.env : HOME }",
        "${hydra:runtime.cwd}",
    ],
)
def test_resolvers_that_look_outside_the_config(text):
    assert untrusted_interpolations({"a": [{"b": text}]}) == [("a[0].b", text)]
    with pytest.raises(UserError, match=r"a\[0\]\.b"):
        refuse_untrusted({"a": [{"b": text}]}, "an artifact")


@pytest.mark.parametrize(
    "text", ["${a.b}", "${.b}", "x ${a[0]} y", "${oc.select:a.b,3}", "\\${oc.env:HOME}", "$5", "{}"]
)
def test_references_inside_the_config_are_fine(text):
    assert untrusted_interpolations({"x": text}) == []


def test_the_message_names_file_key_and_target():
    refuse_untrusted({"optimizer": {"_target_": "torch.optim.AdamW", "lr": "${seed}"}, "seed": 1}, "noria.yaml")
    with pytest.raises(UserError) as error:
        refuse_untrusted({"model": {"_target_": "os.system", "_args_": ["true"]}}, "runs/x/noria.yaml")
    assert "runs/x/noria.yaml" in str(error.value)
    assert "model._target_ = 'os.system'" in str(error.value)


def test_looking_imports_nothing_of_the_target(write):
    write({"evil_package/__init__.py": "raise SystemExit('imported')", "evil_package/a.py": "class A: ..."})
    assert untrusted_targets({"a": {"_target_": "evil_package.a.A"}})
