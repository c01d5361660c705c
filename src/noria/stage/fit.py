"""`stage=fit`: train, keep the best, save the artifact, look at the test set once, at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import lightning.pytorch as pl
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig
from torch import nn

from noria.artifact import bundle
from noria.callback.checkpoint import AveragedCheckpoint, price
from noria.callback.heartbeat import Heartbeat
from noria.callback.interrupt import Interrupt
from noria.callback.last_validation import LastValidation
from noria.callback.monitored import Monitored
from noria.callback.rng_state import RngState
from noria.callback.throughput import Throughput
from noria.common.errors import UserError
from noria.common.heap import give_back_freed_memory
from noria.common.names import ARTIFACT_FILE, LAST_CHECKPOINT
from noria.data.batch.batches import batch_count
from noria.data.module import DataModule
from noria.metric.base import Metric
from noria.model.limits import limit_length
from noria.model.packed_weights import is_packed
from noria.model.pretrained import Pretrained
from noria.report import show
from noria.stage.execution import settle_execution
from noria.stage.exits import measuring, one_exit, own_group, saving
from noria.stage.inputs import input_facts, refuse_other_inputs
from noria.stage.measure import evaluate_and_record, measure_before
from noria.stage.parts import (
    load_mean,
    load_weights,
    make_callbacks,
    make_loggers,
    make_metrics,
    run_info,
    summary_modes,
)
from noria.stage.rehearsal import rehearse
from noria.stage.run import known_to_other_ranks, open_record, plain, recording, shareable
from noria.stage.seen_rows import keep_train_keys
from noria.stage.teacher import student, teach, teacher_facts
from noria.task.kind import Kind
from noria.task.learner import Learner
from noria.task.wrapper.taught import taught
from noria.tracking.environment import versions
from noria.tracking.epoch_table import EpochTable
from noria.tracking.record import Record, first_rank
from noria.trainer.precision import matmul_precision
from noria.trainer.steps import refuse_empty, total_steps

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def fit(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    test: bool = True,
    before: bool = False,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
) -> None:
    """Trains from the config to the artifact.

    Args:
        choices: the choice made in each config group.
        multirun: a trial of a sweep: it reports validation only.
        test: evaluate the test set at the end.
        before: measure the validation set before the first step as well, as `before/val/…`.
        dtype: the type of the artifact's weights; `auto`: of a decoder that in which it came, else float32.
    """
    given = _given(cfg) if cfg.resume else None
    if given is not None:  # before anything of the run is touched
        refuse_other_inputs(Path(cfg.paths.run_dir), _facts_of(cfg, given))
    record = open_record(cfg, "fit", choices)
    with recording(record):
        show.config(cfg, choices)
        table, throughput = EpochTable(), Throughput()
        told = Heartbeat(lambda progress: record.update(progress=progress), cfg.monitor.metric, cfg.monitor.mode)
        monitored = Monitored(cfg.monitor.metric)
        always = [throughput, table, RngState(cfg.seed), LastValidation(), monitored, Interrupt(), told]
        callbacks = [*always, *make_callbacks(cfg.get("callback"))]
        trainer = instantiate(cfg.trainer, callbacks, [], str(record.folder))  # what it refuses costs no more than this
        given = given or _given(cfg)
        splits = ["val", "test"] if test and not multirun else ["val"]
        splits = [split for split in splits if split in given.data.splits]
        network = _network(given, splits)
        show.data(given.data)
        keep_train_keys(given.data, record)
        record.update(**_facts_of(cfg, given))

        metrics = make_metrics(cfg.metric)
        trainer.loggers = make_loggers(cfg.get("logger"), run_info(cfg, record, "fit", summary_modes(metrics)))
        record.update(precision=trainer.precision, devices=trainer.world_size)
        if given.kind.wrapper is not None:
            teach(cfg, given.data, given.kind, network, metrics, record, trainer.precision)
        learner = _learner(cfg, given, network, metrics, trainer)
        record.data["model"]["parameters"] = sum(weight.numel() for weight in learner.network.parameters())
        facts = _facts(cfg, choices, given, trainer.precision, dtype)
        if first_rank():
            wanted = monitored.names(trainer)
            rehearse(trainer, given.data, learner, given.kind, splits, metrics, wanted, facts, bool(cfg.resume))
        checkpoint, earlier = _checkpoint(cfg)
        record.update(execution=settle_execution(cfg, given.pretrained, learner, trainer, given.data, earlier))
        if before and "val" in given.data.splits and not cfg.resume:
            untrained = bundle.Artifact(record.folder, facts, learner.network, given.tokenizer, given.kind)
            measure_before(cfg, untrained, given.data, metrics, record, trainer.precision)
            learner.network.train()

        started = time.perf_counter()
        try:
            products = cfg.trainer.get("float32_matmul_precision", "high")
            device = trainer.strategy.root_device.type
            ranks = known_to_other_ranks(cfg, choices)
            with ranks, one_exit(), own_group(), matmul_precision(products, device):
                trainer.fit(learner, given.data, ckpt_path=checkpoint, weights_only=True)
        finally:
            record.time("fit_seconds", time.perf_counter() - started)
            record.update(history=table.rows, throughput=throughput.summary(), checkpoints=price(trainer))
        if not trainer.is_global_zero:
            return
        artifact = _saved(given, learner, trainer, record, facts)
        with measuring(artifact):
            evaluate_and_record(cfg, artifact, given.data, splits, metrics, record, trainer.precision)
        bundle.write_facts(artifact, bundle.read_facts(artifact) | {"metrics": record.data["metrics"]})
        show.end(record, table)


class _Given(NamedTuple):
    """What a fit learns from."""

    pretrained: Pretrained
    tokenizer: PreTrainedTokenizerBase
    kind: Kind
    data: DataModule


def _given(cfg: DictConfig) -> _Given:
    """Opens the tokenizer and reads the rows; from here on the run's random numbers come from its seed."""
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    pretrained = instantiate(cfg.model)
    kind: Kind = instantiate(cfg.task)
    pretrained = student(pretrained, kind.wrapper)
    data: DataModule = instantiate(cfg.data).bind(kind.form, seed=cfg.seed)
    tokenizer = pretrained.tokenizer(data.corpus)
    data.bind(kind.form, tokenizer, cfg.seed).setup()
    return _Given(pretrained, tokenizer, kind, data)


def _facts_of(cfg: DictConfig, given: _Given) -> dict[str, Any]:
    facts = input_facts(plain(cfg), given.data, given.tokenizer, given.pretrained)
    return {**facts, **teacher_facts(given.kind)}


def _network(given: _Given, splits: Sequence[str]) -> nn.Module:
    """The network, once it is sure that it can read all rows.

    Args:
        splits: those that will be measured: what the test set holds is known before the first step, too.
    """
    pretrained, tokenizer, kind, data = given
    network = kind.network(pretrained, tokenizer)
    if is_packed(network):
        raise UserError(
            f"model.name={pretrained.name} has weights of few bits, which cannot be trained. Name the model that it "
            f"was made from: the {ARTIFACT_FILE} of an artifact says it (source)."
        )
    limit_length(network, tokenizer, data.max_length)
    data.prepare_data()  # all tokens are made before there is a group of processes that could wait for them
    for split in ("train", *splits):
        kind.check(network, tokenizer, data.encoded(split), data.splits[split].where)
    return network


def _learner(
    cfg: DictConfig, given: _Given, network: nn.Module, metrics: Mapping[str, Metric], trainer: pl.Trainer
) -> Learner:
    train = given.data.encoded("train")
    given.kind.settle(train)
    given.data.row_weights = given.kind.weights(train)
    micro_batch = given.data.batch_size
    if given.kind.whole_step:  # its loss needs all batches of a step together: they are taken apart again inside it
        given.data.batch_size *= trainer.accumulate_grad_batches
        trainer.accumulate_grad_batches = 1
    how = given.kind.wrapper
    return Learner(
        network,
        given.kind if how is None else taught(given.kind, how),
        instantiate(cfg.optimizer, _partial_=True),
        instantiate(cfg.scheduler, _partial_=True),
        metrics,
        _steps(trainer, given.data),
        given.data.encoded("val") if "val" in given.data.splits else None,
        micro_batch,
    )


def _saved(given: _Given, learner: Learner, trainer: pl.Trainer, record: Record, facts: dict[str, Any]) -> Path:
    """The artifact of the best weights."""
    trainer.optimizers = []  # their state is in the checkpoint; what comes now needs the room
    give_back_freed_memory()
    network = given.kind.network(given.pretrained, given.tokenizer)
    _take_best(network, learner, trainer, record)
    artifact = record.folder / "artifact"
    with saving(artifact, record.data["paths"]["last_checkpoint"]):
        bundle.save(artifact, network, given.tokenizer, given.kind, facts)
    record.data["paths"]["artifact"] = str(artifact)
    return artifact


def _take_best(network: nn.Module, learner: Learner, trainer: pl.Trainer, record: Record) -> None:
    """Puts the best weights (the last, where no checkpoint was kept), or the mean of the last ones, into a fresh
    network: FSDP has cut up the old one.

    The record says which they are, and of how many steps.
    """
    found = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.best_model_path]
    averaged = next((c for c in found if isinstance(c, AveragedCheckpoint)), None)
    best = next((c for c in found if c is not averaged), None)
    last = record.folder / LAST_CHECKPOINT
    kept: dict[str, Any] = {"step": trainer.global_step, "steps": trainer.global_step}
    if averaged:
        kept |= {"step": load_mean(network, averaged.files), "averaged": len(averaged.files)}
    elif best:
        kept["step"] = load_weights(network, best.best_model_path)
        if best.best_model_score is not None:  # a callback of the user's may keep by time
            kept |= {"metric": best.monitor, "value": float(best.best_model_score)}
    else:
        network.load_state_dict(learner.network.state_dict())
    record.data["kept"] = kept
    record.data["paths"] |= {
        "best_checkpoint": best.best_model_path if best else None,
        "last_checkpoint": str(last) if last.is_file() else None,
    }


def _facts(cfg: DictConfig, choices: dict[str, Any], given: _Given, precision: str, dtype: str) -> dict[str, Any]:
    """What `noria.yaml` says of the artifact, besides what the kind of work says of itself."""
    if dtype == "auto":
        dtype = given.pretrained.dtype if given.kind.keeps_dtype else "float32"
    return {
        "max_length": given.data.max_length,
        "precision": precision,
        "dtype": dtype,
        "config": shareable(cfg),
        "choices": choices,
        "data": {"fingerprint": given.data.fingerprint, "fingerprints": given.data.fingerprints},
        "model": {"name": given.pretrained.name, "revision": given.pretrained.revision},
        "versions": versions(),
    }


def _steps(trainer: pl.Trainer, data: DataModule) -> int:
    """Optimiser steps of the whole run, once it is sure that it trains and validates as asked."""
    assert trainer.max_epochs is not None
    batches = data.batches_per_epoch(trainer.world_size, trainer.accumulate_grad_batches)
    steps = total_steps(
        batches,
        max_epochs=trainer.max_epochs,
        max_steps=trainer.max_steps,
        accumulate_grad_batches=trainer.accumulate_grad_batches,
        limit_train_batches=trainer.limit_train_batches,
    )
    val = batch_count(len(data.encoded("val")), data.eval_batch_size, trainer.world_size) if "val" in data.splits else 0
    limits = trainer.limit_train_batches, trainer.limit_val_batches, trainer.val_check_interval
    refuse_empty(steps, batches, val, *limits)
    if not val and trainer.early_stopping_callback:
        raise UserError(
            "callback=early_stopping looks at validation, and this data has no val split: data.val_fraction above 0 "
            "cuts one from train."
        )
    return steps


def _checkpoint(cfg: DictConfig) -> tuple[str | None, dict[str, Any] | None]:
    """What a resumed run goes on from, and how its network was executed."""
    if not cfg.resume:
        return None, None
    path = Path(cfg.paths.run_dir) / LAST_CHECKPOINT
    try:
        earlier = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("execution")
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        said = str(error).partition("\n")[0].rstrip(".")
        raise UserError(
            f"resume={cfg.resume}: {path} cannot be read ({said}). It is damaged or none of Noria's: put a copy of it "
            "there, or start a new run."
        ) from error
    return str(path), earlier
