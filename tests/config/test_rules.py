from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noria.common.hardware import Machine
from noria.config.rules import RULES, broken, rule, table
from noria.config.rules.__main__ import page

CPU = Machine(gpu_count=0, has_mps=False, cpu_has_bf16=False, cpu_threads=2)
GPUS = Machine(gpu_count=2, has_mps=False, cpu_has_bf16=False, cpu_threads=2)
MAC = Machine(gpu_count=0, has_mps=True, cpu_has_bf16=False, cpu_threads=2)
DOCS = Path(__file__).parents[2] / "docs" / "rules.md"

FSDP = {"_target_": "noria.trainer.fsdp.FSDPStrategy"}
KEEPS = {"checkpoint": {"_target_": "noria.callback.checkpoint.checkpoints"}}
STOPS = {"stop_on_nan": {"_target_": "noria.callback.stop_on_nan.StopOnNan"}}
NEW = {"_target_": "noria.model.transformer.fresh.Transformer", "architecture": "both", "norm": "layer"}
NEW |= {"norm_first": False, "positions": "sinusoidal", "activation": "relu"}
LORA = {"_target_": "noria.model.peft.Lora"}
STOP = {"_target_": "lightning.pytorch.callbacks.early_stopping.EarlyStopping", "monitor": "val/loss"}

PARTS = """
class EncoderTask:
    only_for = {"label_smoothing": ("single_label",), "class_weights": ("single_label", "multi_label")}
    form_path = "noria.task.text_classification.form.TextClassificationForm"
    architectures = ("encoder",)
class AnyTask:
    architectures = ("encoder", "decoder", "both")
class Up:
    reads = {"label": ("class", "classes"), "prediction": ("class", "classes")}
    mode = "max"
class Down:
    reads = {"label": ("number",)}
    mode = "min"
class LeaveOut(Down):
    pass
class Decoding:
    kind = "causal_lm"
    form_path = "noria.task.causal_lm.form.CausalLMForm"
class Chats:
    gives = ("messages", "tools")
"""
LM, CHATS = {"_target_": "rule_parts.Decoding"}, {"_target_": "noria.data.source.instructions.Instructions"}
LOGGED = {"logger": {"wandb": {"project": "mill"}}}
TO_TEXT = {"_target_": "noria.task.seq2seq.kind.Seq2Seq"}
TAUGHT = {"_target_": "noria.task.text_classification.kind.TextClassification"}
WITH_STATES = {"task": {**TAUGHT, "wrapper": {"hidden": 0.5}}}
VECTORS = {"_target_": "noria.task.text_embedding.kind.TextEmbedding"}
BLEU = {"_target_": "noria.metric.bleu.Bleu"}
METHODS = {
    "float16": {"_target_": "noria.compression.float16.Float16"},
    "quantize_int8": {"_target_": "noria.compression.quantize_int8.QuantizeInt8", "rows": 8},
    "quantize_weights": {"_target_": "noria.compression.quantize_weights.QuantizeWeights"},
    "prune_magnitude": {"_target_": "noria.compression.prune_magnitude.PruneMagnitude", "recover_epochs": 0},
}
CLASSIFIER = {"_target_": "noria.task.text_classification.kind.TextClassification"}
TRAINED = {"prune_magnitude": {"recover_epochs": 1}}
UP, DOWN = {"_target_": "rule_parts.Up"}, {"_target_": "rule_parts.Down"}


def wrapped(teacher: Any, kind: dict[str, Any] = TAUGHT) -> dict[str, Any]:
    return {"task": {**kind, "wrapper": {"teacher": teacher}}}


def stage(verb: str, **more: Any) -> dict[str, Any]:
    return {"stage": {"_target_": f"noria.stage.{verb}.{verb}"}, **more}


def under(config: dict[str, Any], **variables: str) -> dict[str, Any]:
    """A config, and the environment in which it is looked at."""
    return {**config, "env": variables}


def compress(*steps: Any, **more: Any) -> dict[str, Any]:
    verb = {"_target_": "noria.stage.compress.compress", "steps": [*steps], "teacher": more.pop("teacher", False)}
    return {"stage": verb, "compression": METHODS, "artifact": "run/artifact", **more}


def trainer(**keys: Any) -> dict[str, Any]:
    return {"trainer": keys}


def data(**keys: Any) -> dict[str, Any]:
    return stage("fit", data={"_target_": "noria.data.source.table.TableData", **keys})


def task(**keys: Any) -> dict[str, Any]:
    return {"task": {"_target_": "rule_parts.EncoderTask", **keys}}


def monitor(metric: str, mode: str = "max", **measured: Any) -> dict[str, Any]:
    return stage("fit", monitor={"metric": metric, "mode": mode}, metric=measured)


def keeps(folder: str) -> dict[str, Any]:
    return {"callback": {"checkpoint": {**KEEPS["checkpoint"], "directory": f"{folder}/checkpoints"}}}


def steps(**scheduler: Any) -> dict[str, Any]:
    return stage("fit", scheduler=scheduler, trainer={"max_steps": 100})


Case = tuple[str, dict[str, Any], Machine, str]

TRIPS: list[Case] = [
    (
        "fp16_on_cpu",
        trainer(precision="16-mixed", accelerator="auto"),
        CPU,
        "trainer.precision=16-mixed needs a GPU",
    ),
    ("fp16_on_cpu", trainer(precision="16-true", accelerator="cpu"), GPUS, "needs a GPU"),
    ("accelerator_that_is_not_there", trainer(accelerator="gpu"), CPU, "no such GPU is visible"),
    ("accelerator_that_is_not_there", trainer(accelerator="cuda"), MAC, "trainer.accelerator=cuda"),
    ("accelerator_that_is_not_there", trainer(accelerator="mps"), GPUS, "trainer.accelerator=mps"),
    ("accelerator_that_is_not_there", trainer(accelerator="tpu"), GPUS, "needs torch_xla"),
    ("devices_of_a_cpu", trainer(devices=[0]), CPU, "trainer.devices=[0] chooses among GPUs"),
    ("devices_of_a_cpu", trainer(devices=[0, 1], accelerator="cpu"), GPUS, "how many processes"),
    ("devices_of_a_cpu", trainer(devices="0,"), CPU, "how many processes"),
    ("devices_of_a_cpu", trainer(devices=-1), CPU, "trainer.devices=-1"),
    ("devices_of_a_cpu", stage("cycle", **trainer(devices=10**6)), CPU, "at most 8"),
    ("tasks_of_slurm_that_lightning_does_not_count", under(stage("fit"), SLURM_NTASKS="4"), CPU, "--ntasks-per-node=4"),
    ("tasks_of_slurm_that_lightning_does_not_count", under(stage("cycle"), SLURM_NTASKS="x"), CPU, "is no number"),
    ("wandb_tags", {"tags": ["a", "x" * 65], **LOGGED}, CPU, "has 65 characters, and W&B takes 1 to 64"),
    ("wandb_tags", {"tags": [""], **LOGGED}, CPU, "has 0 characters"),
    ("wandb_project", {"logger": {"wandb": {"project": "team/mill"}}}, CPU, "holds /"),
    ("wandb_project", {"logger": {"wandb": {"project": "x" * 129}}}, CPU, "has 129 characters"),
    ("wandb_mode", under(LOGGED, WANDB_MODE="of-line"), CPU, "WANDB_MODE=of-line in the environment"),
    ("more_devices_than_there_are", trainer(devices=3), GPUS, "but the visible GPUs are 2"),
    ("more_devices_than_there_are", trainer(devices="3"), GPUS, "trainer.devices=3"),
    ("more_devices_than_there_are", trainer(devices=[0, 2]), GPUS, "no GPU 2 is here; the last is 1"),
    ("more_devices_than_there_are", trainer(devices="1,5"), GPUS, "no GPU 5 is here"),
    ("fsdp_on_one_device", trainer(strategy=FSDP), CPU, "this run has one"),
    ("fsdp_on_one_device", trainer(strategy="fsdp"), MAC, "this run has one"),
    ("fsdp_on_one_device", trainer(strategy=FSDP, devices=1), GPUS, "this run has one"),
    ("fsdp_on_one_device", trainer(strategy=FSDP, devices=[1]), GPUS, "this run has one"),
    ("fsdp_without_checkpoints", {**trainer(strategy=FSDP), "callback": STOPS}, GPUS, "add checkpoint to callback"),
    ("model_that_cannot_do_the_task", {**task(), "model": {"architecture": "decoder"}}, CPU, "needs encoder"),
    ("model_that_cannot_do_the_task", {**task(), "model": {"architecture": "both"}}, CPU, "needs encoder"),
    (
        "keys_of_what_was_not_chosen",
        {"callback": {**STOPS, "checkpoint": {"average": 3}}},
        CPU,
        "callback.checkpoint.average: there is no callback 'checkpoint' to have it. Choose it",
    ),
    ("shape_without_a_home", {"model": {**NEW, "norm": "rms"}}, CPU, "nearest is Marian: take model.norm=layer"),
    (
        "shape_without_a_home",
        {"model": {**NEW, "architecture": "decoder", "norm": "rms", "norm_first": True, "positions": "rotary"}},
        CPU,
        "The nearest is Llama: take model.activation=swiglu",
    ),
    (
        "step_whose_size_varies",
        {"task": {"_target_": "noria.task.text_embedding.kind.TextEmbedding"}, "data": {"batch_tokens": 4096}},
        CPU,
        "take data.batch_size, and trainer.accumulate_grad_batches",
    ),
    (
        "monitored_number_that_is_not_measured",
        {**monitor("val/bleu", bleu=BLEU, up=UP), "task": {"_target_": "noria.task.causal_lm.kind.CausalLM"}},
        CPU,
        "which is measured when the training is over: this task generates none",
    ),
    (
        "monitored_number_that_is_not_measured",
        {**monitor("val/bleu", bleu=BLEU), "task": {**TO_TEXT, "generate_in_validation": False}},
        CPU,
        "task.generate_in_validation=true measures it in every validation",
    ),
    (
        "metric_that_cannot_measure_the_task",
        {**task(kind="regression"), "metric": {"up": UP}},
        CPU,
        "metric 'up'",
    ),
    (
        "metric_that_cannot_measure_the_task",
        {**task(kind="single_label"), "metric": {"up": UP, "x": {"_target_": "rule_parts.LeaveOut"}}},
        CPU,
        "metric 'x' reads label (number), which the answers of task.kind=single_label do not hold",
    ),
    ("monitored_number_that_is_not_measured", monitor("val/upp", up=UP), CPU, "Did you mean val/up?"),
    ("monitored_number_that_is_not_measured", monitor("train/loss", up=UP), CPU, "one of val/loss, val/up"),
    ("monitored_in_the_wrong_direction", monitor("val/loss", "max"), CPU, "take monitor.mode=min"),
    ("monitored_in_the_wrong_direction", monitor("val/down", "max", down=DOWN), CPU, "less is better"),
    ("monitored_in_the_wrong_direction", monitor("val/up", "min", up=UP), CPU, "more is better"),
    (
        "data_for_another_task",
        {**data(path="rows.csv"), "task": LM},
        CPU,
        "data=TableData is for task=embedding or multilabel_classification or similarity or text_classification or "
        "text_regression or token_classification, but this task is Decoding: choose such a task, or data=hub_parallel "
        "or instructions or parallel or text.",
    ),
    ("data_for_another_task", {**task(kind="regression"), "data": CHATS}, CPU, "is for task=causal_lm, but"),
    ("batch_without_room_for_a_row", data(batch_tokens=127, max_length=128), CPU, "no room for a row of data.max_l"),
    (
        "data_for_another_task",
        stage("evaluate", data={"_target_": "rule_parts.Chats"}, **task(kind="single_label")),
        CPU,
        "data=Chats is for task=causal_lm",
    ),
    (
        "key_of_the_task_without_meaning",
        task(kind="multi_label", label_smoothing=0.1),
        CPU,
        "only for task.kind=single_label, not multi_label: leave it out",
    ),
    (
        "key_of_the_task_without_meaning",
        task(kind="regression", class_weights="balanced"),
        CPU,
        "only for task.kind=single_label or task.kind=multi_label, not regression",
    ),
    ("training_without_end", stage("fit", trainer={"max_epochs": -1, "max_steps": -1}), CPU, "never end"),
    ("training_without_end", stage("fit", trainer={"max_epochs": None}), CPU, "never end"),
    ("warmup_longer_than_training", steps(warmup_steps=100), CPU, "not below trainer.max_steps=100"),
    ("fractions_that_leave_nothing", data(val_fraction=0.5, test_fraction=0.5), CPU, "must be less than 1"),
    (
        "early_stopping_without_validation",
        {"callback": {"stop": STOP}, **trainer(limit_val_batches=0)},
        CPU,
        "~callback.stop",
    ),
    ("part_that_is_left_out", stage("fit", data={"_target_": "a.B"}), CPU, "needs a choice for model, metric, task"),
    ("part_that_is_left_out", stage("fit", data={"_target_": "a.B"}, model=None), CPU, "a choice for model, metric"),
    ("part_that_is_left_out", stage("predict", data={"x": 1}, trainer={"_target_": "a.B"}), CPU, "type data=…"),
    ("steps_that_are_none", compress(), CPU, "type some of float16, quantize_int8, quantize_weights"),
    ("steps_that_are_none", compress("float61"), CPU, "'float61' is no step. Did you mean 'float16'?"),
    ("steps_that_are_none", compress(16), CPU, "neither a name nor one name with its settings"),
    ("steps_that_are_none", compress({"quantize_int8": {"row": 1}}), CPU, "Did you mean 'rows'?"),
    ("step_after_the_last_one", compress("quantize_int8", "float16"), CPU, "put 'quantize_int8' last"),
    ("step_for_another_kind_of_work", compress("quantize_int8", task=TO_TEXT), CPU, "Seq2Seq, is another"),
    ("step_for_another_kind_of_work", compress("quantize_weights", task=CLASSIFIER), CPU, "is for decoders"),
    ("teacher_without_pupil", compress(TRAINED, teacher=True, task=TO_TEXT), CPU, "cannot be learnt from a teacher"),
    ("teacher_without_pupil", compress("float16", teacher=True, task=CLASSIFIER), CPU, "no step is followed by"),
    ("zeros_that_an_adapter_would_fill", compress(TRAINED, model={"peft": LORA}), CPU, "model/peft=none"),
    ("resume_without_fit", stage("predict", resume="run"), CPU, "the stage is predict"),
    ("resume_with_artifact", stage("fit", resume="run", artifact="run/artifact"), CPU, "give one of the two"),
    ("stage_without_artifact", stage("evaluate"), CPU, "type artifact="),
    ("stage_without_artifact", stage("predict", artifact=None), CPU, "stage=predict needs a model"),
    ("artifact_that_is_not_read", stage("fit", artifact="run/artifact"), CPU, "add stage=evaluate"),
    ("compare_without_runs", {"stage": {"_target_": "noria.stage.compare.compare", "runs": []}}, CPU, "stage.runs=["),
    ("predict_without_input", stage("predict", artifact="run/artifact"), CPU, "input=- for standard input"),
    ("input_that_is_not_read", stage("fit", input="texts.txt"), CPU, "only read by stage=predict"),
    ("artifact_that_is_not_there", {"artifact": "run/artifakt"}, CPU, "Did you mean run/artifact?"),
    ("artifact_that_is_not_there", {"artifact": "run"}, CPU, "Did you mean artifact=run/artifact?"),
    ("artifact_that_is_not_there", {"artifact": "empty"}, CPU, "empty holds no noria.yaml"),
    ("artifact_that_is_not_there", stage("cycle", artifact="registry"), CPU, "its champion is artifact=registry/champ"),
    ("artifact_that_is_not_there", stage("serve", artifact="beginning"), CPU, "a registry without a champion"),
    (
        "run_files_elsewhere",
        stage("fit", **keeps("elsewhere"), paths={"run_dir": "mine"}),
        CPU,
        "callback.checkpoint.directory=elsewhere/checkpoints lies outside the run's folder (mine)",
    ),
    ("resume_from_what_is_not_there", {"resume": "rum"}, CPU, "there is no such folder. Did you mean run?"),
    ("resume_from_what_is_not_there", {"resume": "empty"}, CPU, "holds no checkpoints/last.ckpt"),
    ("resume_from_what_is_not_there", {"resume": "run/checkpoints/last.ckpt"}, CPU, "name the run's folder"),
    ("input_that_is_not_there", stage("predict", input="text.txt"), CPU, "Did you mean texts.txt?"),
    ("input_that_is_not_there", stage("predict", input="run"), CPU, "is a folder"),
    (
        "data_that_is_not_there",
        data(path="row.csv"),
        CPU,
        "data.path=row.csv: there is no such file or folder",
    ),
    ("data_that_is_not_there", data(path="rows.csv", test_path="/no/where.csv"), CPU, "data.test_path="),
    ("data_that_is_not_there", data(path="package:no_such_package_x/a.csv"), CPU, "is not installed"),
    ("adapter_that_is_none", {"model": {"peft": "lora"}}, CPU, "with a slash: model/peft=lora"),
    ("adapter_that_is_none", {"model": {"peft": 3}}, CPU, "model/peft=…"),
    ("freezing_under_an_adapter", stage("fit", model={"peft": LORA, "freeze": "backbone"}), CPU, "freeze=backbone"),
    ("freezing_under_an_adapter", stage("fit", model={"peft": LORA, "freeze": 0}), CPU, "model/peft=none"),
    ("teacher_of_another_stage", stage("index", **wrapped("run/artifact")), CPU, "the stage is index"),
    ("kind_that_no_teacher_teaches", wrapped("run/artifact", TO_TEXT), CPU, "Seq2Seq cannot be learnt from a teacher"),
    ("states_that_are_not_there", {**WITH_STATES, "model": {"attn_implementation": "unpadded"}}, CPU, "take auto"),
    ("states_that_are_not_there", {**WITH_STATES, **trainer(compile=True)}, CPU, "leave one of the two out"),
    ("states_that_are_not_there", {"task": {**WITH_STATES["task"], **VECTORS}}, CPU, "set it to 0"),
    ("teacher_that_is_not_there", wrapped("rum"), CPU, "there is no such folder"),
    ("teacher_that_is_not_there", stage("fit", **wrapped("run")), CPU, "Did you mean run/artifact?"),
    ("teacher_that_is_not_there", wrapped("empty"), CPU, "it is no artifact."),
]

PASSES: list[tuple[str, dict[str, Any], Machine]] = [
    (
        "step_whose_size_varies",
        {"task": {"_target_": "noria.task.seq2seq.kind.Seq2Seq"}, "data": {"batch_tokens": 4096}},
        CPU,
    ),
    ("fp16_on_cpu", trainer(precision="16-mixed"), GPUS),
    ("fp16_on_cpu", trainer(precision="bf16-mixed"), CPU),
    ("accelerator_that_is_not_there", trainer(accelerator="gpu"), GPUS),
    ("accelerator_that_is_not_there", trainer(accelerator="gpu"), MAC),
    ("accelerator_that_is_not_there", trainer(accelerator="auto"), CPU),
    ("devices_of_a_cpu", trainer(devices=[0]), GPUS),
    ("devices_of_a_cpu", trainer(devices=[0]), MAC),
    ("devices_of_a_cpu", trainer(devices="auto"), CPU),
    ("devices_of_a_cpu", trainer(devices=8), CPU),
    ("devices_of_a_cpu", stage("evaluate", **trainer(devices=[0])), CPU),  # of an artifact that was made on a GPU
    ("tasks_of_slurm_that_lightning_does_not_count", under(stage("fit"), SLURM_NTASKS="1"), CPU),
    (
        "tasks_of_slurm_that_lightning_does_not_count",
        under(stage("fit"), SLURM_NTASKS="4", SLURM_NTASKS_PER_NODE="4"),
        CPU,
    ),
    (
        "tasks_of_slurm_that_lightning_does_not_count",
        under(stage("fit"), SLURM_NTASKS="4", SLURM_JOB_NAME="interactive"),
        CPU,
    ),
    ("tasks_of_slurm_that_lightning_does_not_count", under(stage("serve"), SLURM_NTASKS="4"), CPU),
    ("wandb_tags", {"tags": ["x" * 64], **LOGGED}, CPU),
    ("wandb_tags", {"tags": ["x" * 65], "logger": {"csv": {}}}, CPU),
    ("wandb_project", {"logger": {"wandb": {"project": "a mill, of 2 stones"}}}, CPU),
    ("wandb_mode", under(LOGGED, WANDB_MODE="Offline"), CPU),
    ("wandb_mode", under({"logger": {"csv": {}}}, WANDB_MODE="of-line"), CPU),
    ("more_devices_than_there_are", trainer(devices=2), GPUS),
    ("more_devices_than_there_are", trainer(devices=-1), GPUS),
    ("more_devices_than_there_are", trainer(devices="auto"), GPUS),
    ("more_devices_than_there_are", trainer(devices=[0, 1]), GPUS),
    ("more_devices_than_there_are", trainer(devices=4, accelerator="cpu"), GPUS),
    ("more_devices_than_there_are", trainer(devices=4), CPU),
    ("fsdp_on_one_device", trainer(strategy=FSDP, devices=2), CPU),
    ("fsdp_on_one_device", trainer(strategy=FSDP), GPUS),
    ("fsdp_on_one_device", trainer(strategy=FSDP, devices=1, num_nodes=2), GPUS),
    ("fsdp_on_one_device", trainer(strategy="ddp", devices=1), GPUS),
    ("fsdp_without_checkpoints", {**trainer(strategy=FSDP), "callback": STOPS | KEEPS}, GPUS),
    ("fsdp_without_checkpoints", {**trainer(strategy="ddp"), "callback": STOPS}, GPUS),
    ("model_that_cannot_do_the_task", {**task(), "model": {"architecture": "encoder"}}, CPU),
    (
        "model_that_cannot_do_the_task",
        {"task": {"_target_": "rule_parts.AnyTask"}, "model": {"architecture": "decoder"}},
        CPU,
    ),
    ("keys_of_what_was_not_chosen", {"callback": {**STOPS, **KEEPS, "early": None}}, CPU),
    ("shape_without_a_home", {"model": NEW}, CPU),
    ("shape_without_a_home", {"model": {**NEW, "norm_first": True, "positions": "learned"}}, CPU),
    ("shape_without_a_home", {"model": {**NEW, "norm": "rms"}, **stage("predict")}, CPU),
    ("shape_without_a_home", {"model": {"_target_": "noria.model.pretrained.Pretrained", "architecture": "both"}}, CPU),
    ("metric_that_cannot_measure_the_task", {**task(kind="regression"), "metric": {"down": DOWN}}, CPU),
    (
        "metric_that_cannot_measure_the_task",
        {**task(kind="regression"), "metric": {"x": {"_target_": "a.B"}}},
        CPU,
    ),
    ("monitored_number_that_is_not_measured", monitor("val/loss"), CPU),
    (
        "monitored_number_that_is_not_measured",
        {**monitor("val/bleu", bleu=BLEU), "task": {"generate_in_validation": True}},
        CPU,
    ),
    ("monitored_number_that_is_not_measured", monitor("val/up", up=UP), CPU),
    ("monitored_number_that_is_not_measured", {**monitor("val/x", up=UP), **stage("predict")}, CPU),
    ("monitored_in_the_wrong_direction", monitor("val/loss", "min"), CPU),
    ("monitored_in_the_wrong_direction", monitor("val/down", "min", down=DOWN), CPU),
    ("monitored_in_the_wrong_direction", monitor("val/x", "min", x={"_target_": "a.B"}), CPU),
    ("data_for_another_task", {**data(path="rows.csv"), **task(kind="regression")}, CPU),
    ("batch_without_room_for_a_row", data(batch_tokens=128, max_length=128), CPU),
    ("batch_without_room_for_a_row", data(batch_tokens=None, max_length=128), CPU),
    ("batch_without_room_for_a_row", stage("evaluate", data={"batch_tokens": 8, "max_length": 128}), CPU),
    ("data_for_another_task", stage("fit", data=CHATS, task=LM), CPU),
    ("data_for_another_task", stage("predict", data=CHATS, **task(kind="regression")), CPU),
    ("data_for_another_task", stage("fit", data={"_target_": "mine.Data"}, task=LM), CPU),
    ("data_for_another_task", stage("fit", data=CHATS, task={"_target_": "mine.Task"}), CPU),
    ("key_of_the_task_without_meaning", task(kind="single_label", label_smoothing=0.1), CPU),
    ("key_of_the_task_without_meaning", task(kind="multi_label", label_smoothing=0.0), CPU),
    ("key_of_the_task_without_meaning", task(kind="multi_label", class_weights=[1.0]), CPU),
    ("training_without_end", stage("fit", trainer={"max_epochs": -1, "max_steps": 10}), CPU),
    ("training_without_end", stage("fit", trainer={"max_epochs": 3, "max_steps": -1}), CPU),
    ("training_without_end", stage("predict", trainer={"max_epochs": -1, "max_steps": -1}), CPU),
    ("warmup_longer_than_training", steps(warmup_steps=99), CPU),
    ("warmup_longer_than_training", steps(warmup_steps=0.99), CPU),
    ("warmup_longer_than_training", {"scheduler": {"warmup_steps": 99}, "trainer": {"max_steps": -1}}, CPU),
    ("fractions_that_leave_nothing", data(val_fraction=0.5, test_fraction=0.4), CPU),
    ("fractions_that_leave_nothing", data(val_fraction=1, test_fraction=None), CPU),
    (
        "early_stopping_without_validation",
        {"callback": {"stop": STOP}, **trainer(limit_val_batches=1.0)},
        CPU,
    ),
    ("early_stopping_without_validation", {"callback": {}, **trainer(limit_val_batches=0)}, CPU),
    ("part_that_is_left_out", stage("predict", data={"_target_": "a.B"}, trainer={"_target_": "a.B"}), CPU),
    ("part_that_is_left_out", {"stage": {"_target_": "mine.verb"}}, CPU),
    ("steps_that_are_none", compress("float16", {"quantize_int8": {"rows": 1}}), CPU),
    ("steps_that_are_none", stage("fit"), CPU),
    ("step_after_the_last_one", compress("prune_magnitude", "float16", "prune_magnitude", "quantize_int8"), CPU),
    ("step_for_another_kind_of_work", compress("quantize_int8", task=CLASSIFIER), CPU),
    ("step_for_another_kind_of_work", compress("float16", task=TO_TEXT), CPU),
    ("step_for_another_kind_of_work", compress("quantize_weights", task=LM), CPU),
    ("teacher_without_pupil", compress(TRAINED, teacher=True, task=CLASSIFIER), CPU),
    ("teacher_without_pupil", compress("float16", task=TO_TEXT), CPU),
    ("zeros_that_an_adapter_would_fill", compress("prune_magnitude", model={"peft": LORA}), CPU),
    ("zeros_that_an_adapter_would_fill", compress(TRAINED, model={"peft": None}), CPU),
    ("resume_without_fit", compress("float16", resume="run"), CPU),
    ("resume_with_artifact", compress("float16", resume="run"), CPU),
    ("resume_from_what_is_not_there", compress("float16", resume="empty"), CPU),
    ("resume_without_fit", stage("fit", resume="run"), CPU),
    ("resume_with_artifact", stage("fit", resume="run", artifact=None), CPU),
    ("stage_without_artifact", stage("evaluate", artifact="run/artifact"), CPU),
    ("stage_without_artifact", stage("fit"), CPU),
    ("artifact_that_is_not_read", stage("evaluate", artifact="run/artifact"), CPU),
    ("compare_without_runs", {"stage": {"_target_": "noria.stage.compare.compare", "runs": ["a"]}}, CPU),
    ("predict_without_input", stage("predict", input="-"), CPU),
    ("input_that_is_not_read", stage("predict", input="-"), CPU),
    ("artifact_that_is_not_there", {"artifact": "run/artifact"}, CPU),
    ("artifact_that_is_not_there", {"artifact": None}, CPU),
    ("artifact_that_is_not_there", stage("serve", artifact="registry"), CPU),
    ("artifact_that_is_not_there", stage("cycle", artifact="registry/champion"), CPU),
    ("run_files_elsewhere", stage("fit", **keeps("mine"), paths={"run_dir": "mine"}), CPU),
    ("run_files_elsewhere", stage("evaluate", **keeps("elsewhere"), paths={"run_dir": "mine"}), CPU),
    ("resume_from_what_is_not_there", {"resume": "run"}, CPU),
    ("resume_from_what_is_not_there", {"resume": "auto"}, CPU),
    ("input_that_is_not_there", stage("predict", input="texts.txt"), CPU),
    ("input_that_is_not_there", stage("predict", input="-"), CPU),
    ("data_that_is_not_there", data(path="rows.csv", val_path=None), CPU),
    ("data_that_is_not_there", data(path="empty", test_path="https://example.org/rows.csv"), CPU),
    ("data_that_is_not_there", {**data(path="nothing.csv"), **stage("predict")}, CPU),
    ("data_that_is_not_there", stage("fit", data={"_target_": "mine.Data", "path": "a/name"}), CPU),
    (
        "data_that_is_not_there",
        stage("fit", data={"_target_": "noria.data.source.hub.HubData", "path": "a/name"}),
        CPU,
    ),
    ("adapter_that_is_none", {"model": {"peft": None}}, CPU),
    ("adapter_that_is_none", {"model": {"peft": LORA}}, CPU),
    ("freezing_under_an_adapter", stage("fit", model={"peft": LORA, "freeze": "none"}), CPU),
    ("freezing_under_an_adapter", stage("fit", model={"peft": None, "freeze": 2}), CPU),
    ("freezing_under_an_adapter", stage("evaluate", model={"peft": LORA, "freeze": 2}), CPU),
    ("teacher_of_another_stage", stage("fit", **wrapped("run/artifact")), CPU),
    ("teacher_of_another_stage", stage("index", task=TAUGHT), CPU),
    ("kind_that_no_teacher_teaches", wrapped("run/artifact"), CPU),
    ("kind_that_no_teacher_teaches", {"task": TO_TEXT}, CPU),
    ("states_that_are_not_there", {**WITH_STATES, "model": {"attn_implementation": "auto"}}, CPU),
    ("states_that_are_not_there", {**wrapped("run/artifact"), **trainer(compile=True)}, CPU),
    ("teacher_that_is_not_there", wrapped("run/artifact"), CPU),
    ("teacher_that_is_not_there", stage("index", **wrapped("rum")), CPU),
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[dict[str, str]], Path]) -> None:
    """A working folder with a run, an artifact, rows and texts in it."""
    write({"rule_parts.py": PARTS})
    here = tmp_path / "here"
    for name in ("run/checkpoints/last.ckpt", "run/artifact/noria.yaml", "rows.csv", "texts.txt"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text("x")
    (here / "empty").mkdir()
    (here / "beginning" / "versions").mkdir(parents=True)
    (here / "registry").mkdir()
    (here / "registry" / "champion").symlink_to(here / "run" / "artifact")
    monkeypatch.chdir(here)


@pytest.mark.parametrize(("name", "config", "machine", "said"), TRIPS)
def test_a_rule_that_trips(name, config, machine, said, monkeypatch):
    for variable, value in config.get("env", {}).items():
        monkeypatch.setenv(variable, value)
    message = RULES[name](config, machine)
    assert message is not None and said in message
    assert message.endswith((".", "?", ")")) and "\n" not in message


@pytest.mark.parametrize(("name", "config", "machine"), PASSES)
def test_a_rule_that_does_not(name, config, machine, monkeypatch):
    for variable, value in config.get("env", {}).items():
        monkeypatch.setenv(variable, value)
    assert RULES[name](config, machine) is None


def test_every_rule_has_a_case_for_either():
    assert {name for name, *_ in TRIPS} == set(RULES)
    assert {name for name, *_ in PASSES} == set(RULES)
    assert len(RULES) >= 26


@pytest.mark.parametrize("config", [{}, {"trainer": None}, {"stage": {"_target_": "mine.verb"}, "metric": None}])
@pytest.mark.parametrize("machine", [CPU, GPUS, MAC])
def test_rules_say_nothing_of_what_is_not_there(config, machine):
    assert broken(config, machine) == []


def test_no_rule_trips_over_strange_values():
    groups = ("stage", "trainer", "metric", "task", "monitor", "callback", "data", "scheduler", "model")
    strange = {group: ["x"] for group in groups}
    assert broken({**strange, "resume": 3, "artifact": 3, "input": 3}, CPU)  # an artifact with a resume
    assert broken(trainer(devices="all", precision=None, strategy=3, max_steps="x"), CPU) == []


def test_the_way_out_names_metrics_that_measure_the_kind():
    message = RULES["metric_that_cannot_measure_the_task"]({**task(kind="regression"), "metric": {"up": UP}}, CPU)
    assert message is not None
    assert "mse" in message and "accuracy" not in message


def test_a_rule_needs_words_and_a_name_of_its_own():
    def fp16_on_cpu(config: dict[str, Any], machine: Machine) -> str | None:
        """A second one."""
        return None

    def without_words(config: dict[str, Any], machine: Machine) -> str | None:
        return None

    for function in (fp16_on_cpu, without_words):
        with pytest.raises(AssertionError):
            rule(function)
    assert "without_words" not in RULES


def test_the_documentation_is_what_the_rules_say():
    assert DOCS.read_text(encoding="utf-8") == page()
    assert table().count("\n") == len(RULES) + 2


def test_the_command_prints_the_documentation(monkeypatch):
    source = str(Path(__file__).parents[2] / "src")
    monkeypatch.setenv("PYTHONPATH", source)
    run = subprocess.run([sys.executable, "-m", "noria.config.rules"], capture_output=True, text=True, check=True)
    assert run.stdout == page()
