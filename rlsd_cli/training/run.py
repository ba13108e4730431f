"""One training run from configuration to run directory."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rlsd_cli.arms import configure, load_arm
from rlsd_cli.config.run import RunConfig, dump
from rlsd_cli.errors import UserError
from rlsd_cli.models.libraries import quiet_libraries
from rlsd_cli.runs import lock
from rlsd_cli.runs.crash import CRASH_FILE, remember_run
from rlsd_cli.runs.directory import RunDir, read_object, write_json, write_text
from rlsd_cli.training.distributed import on_main, rank, world_size


def prepare(path: Path, config: RunConfig, resume: bool) -> RunDir:
    """Claim a run directory: a new one, or with ``resume`` the one of the same run.

    Raises:
        UserError: The directory holds something else.
    """
    run_dir = RunDir(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: give a directory with --output-dir.")
    # Empty directories are what a run leaves that failed while it was built.
    occupied = path.is_dir() and any(
        child.name not in (lock.LOCK_FILE, CRASH_FILE) and (child.is_symlink() or not child.is_dir())
        for child in path.rglob("*")
    )
    if not occupied:
        return run_dir
    if not resume:
        raise UserError(
            f"{path} already holds files: add --resume to go on with the run in it, or give another --output-dir."
        )
    if run_dir.config_file.is_file() and not configure.describes(run_dir.config(), config):
        raise UserError(f"{path} holds a run with another configuration: give another --output-dir.")
    # A run killed before its first status has only some of the files; all that it has must be sound.
    run_dir.refuse_links()
    return RunDir.open(path) if run_dir.config_file.is_file() and run_dir.status_file.is_file() else run_dir


def train(
    config: RunConfig,
    path: Path,
    *,
    resume: bool = False,
    on_step: Callable[[dict[str, Any]], None] = lambda record: None,
    say: Callable[[str], None] = lambda text: None,
) -> RunDir:
    """Train one run, or go on with it; with several processes, each calls this and the first one writes.

    Args:
        config: The resolved configuration.
        path: The run directory.
        resume: Go on from the newest whole checkpoint in ``path``; a finished run is left as it is.
        on_step: Called with each line of metrics.jsonl as it is written.
        say: Called with a sentence when something is worth telling.

    Raises:
        UserError: The directory or the model can't be used, or training met NaN.
    """
    run_dir, say = RunDir(path), (say if rank() == 0 else lambda text: None)
    try:
        with ExitStack() as held:

            def claim() -> bool:
                prepare(path, config, resume)
                held.enter_context(lock.held(path))
                return run_dir.status_file.is_file() and run_dir.status().get("state") == "complete"

            claimed = on_main(claim)
            remember_run(run_dir.path)
            if claimed:
                say(f"{run_dir.path} is complete already; nothing to do.")
                return run_dir
            return _train_locked(config, run_dir, on_step, say)
    except PermissionError as error:
        raise UserError(f"{error.filename} cannot be written: check its permissions.") from None
    except Exception as error:
        if disk_is_full(error):
            raise UserError(f"the disk is full: free some room, then go on with --resume in {path}.") from None
        raise


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error, or one that it came from, says that no room is left.

    safetensors and torch have errors of their own for it; torch's, which come last, don't say why.
    """
    told = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if told or any(words in str(error) for words in ("No space left on device", "PytorchStreamWriter failed writing")):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and disk_is_full(before)


def _train_locked(
    config: RunConfig, run_dir: RunDir, on_step: Callable[[dict[str, Any]], None], say: Callable[[str], None]
) -> RunDir:
    quiet_libraries(config.train.threads)
    from rlsd_cli.training.callbacks import way_out
    from rlsd_cli.training.checkpointing import load_teachers

    trainer, callbacks = build_trainer(config, run_dir, on_step, say)
    checkpoint = on_main(lambda: find_checkpoint(run_dir, say))
    on_main(lambda: begin(config, run_dir, checkpoint[0] if checkpoint else 0))
    if checkpoint:
        load_teachers(trainer, checkpoint[1])
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint[1]) if checkpoint else None)
    except BaseException as error:
        if rank() == 0:
            run_dir.write_status(state="failed", error=f"{type(error).__name__}: {error}")
        if "probability tensor contains" in str(error):  # torch.multinomial on the logits of broken weights
            raise UserError(
                f"{config.method} has no finite probabilities left after step {trainer.state.global_step}: "
                f"{way_out(run_dir.checkpoints_dir)}"
            ) from error
        if checkpoint and isinstance(error, pickle.UnpicklingError):  # torch's loader, which takes tensors only
            raise UserError(
                f"{checkpoint[1]} holds a pickle with more in it than tensors, which is never opened: "
                "remove that checkpoint, then go on with --resume."
            ) from None
        raise
    finally:
        callbacks["interrupt"].restore()
    if callbacks["interrupt"].interrupted:
        on_main(lambda: run_dir.write_status(state="interrupted", step=trainer.state.global_step))
        say(f"stopped after step {trainer.state.global_step}; go on with --resume.")
        return run_dir
    trainer.save_model(str(run_dir.model_dir))

    def finish() -> None:
        (run_dir.model_dir / "training_args.bin").unlink(missing_ok=True)  # a pickle: nobody should have to open one
        run_dir.write_status(state="complete", step=config.train.steps, steps=config.train.steps, error=None)

    on_main(finish)
    return run_dir


def build_trainer(
    config: RunConfig,
    run_dir: RunDir,
    on_step: Callable[[dict[str, Any]], None],
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Any, dict[str, Any]]:
    """Return the arm's trainer, with our callbacks in place of the Trainer's printing, and the callbacks by name.

    Raises:
        UserError: The model or the task can't be used, or the questions lack what the arm's teacher sees.
    """
    from transformers import PrinterCallback, set_seed

    from rlsd_cli.models.limits import check_chat, check_variables
    from rlsd_cli.models.load import load_model, load_tokenizer
    from rlsd_cli.models.lora import trainable
    from rlsd_cli.models.processors import takes_images
    from rlsd_cli.tasks.load import task_of
    from rlsd_cli.training.blank_picture import look_always
    from rlsd_cli.training.callbacks import InterruptCallback, MetricsCallback, ProbeCallback
    from rlsd_cli.training.checkpointing import CheckpointCallback
    from rlsd_cli.training.context import RunContext
    from rlsd_cli.training.data import check_images, training_set
    from rlsd_cli.training.means import TokenMeans
    from rlsd_cli.training.preflight import check_machine
    from rlsd_cli.training.probe import Probe
    from rlsd_cli.training.references import check_references
    from rlsd_cli.training.reporting import MetadataCallback, set_places
    from rlsd_cli.training.timer import StepTimer

    arm = load_arm(config.method)
    if warning := on_main(lambda: check_machine(config, arm)):
        say(warning)
    set_seed(config.seed)
    task = task_of(config)
    if warning := check_references(config, arm, task):
        say(warning)
    tokenizer = load_tokenizer(config.model.path)
    on_main(lambda: check_images(config, task, tokenizer, say))
    dataset = training_set(config, task, takes_images(tokenizer))
    check_chat(tokenizer, task.train_example(config.seed, 0).prompt, config.model.path)
    for variables in (config.model.chat_template_kwargs, config.teacher.chat_template_kwargs or {}):
        check_variables(tokenizer, variables, config.model.path)
    context = RunContext(
        config=config,
        run_dir=run_dir,
        task=task,
        model=trainable(load_model(config.model), config),
        tokenizer=tokenizer,
        dataset=dataset,
    )
    if world_size() > 1 and takes_images(tokenizer):
        look_always(context.model, tokenizer)
    set_places(config, run_dir)
    make = arm.load_trainer()
    if arm.data == "on-policy" and config.rollout.engine == "vllm":
        from rlsd_cli.training.vllm_rollouts import on_vllm

        trainer = on_vllm(lambda: make(context), say)
    else:
        trainer = make(context)
    trainer.remove_callback(PrinterCallback)
    trainer.args.logging_nan_inf_filter = False  # it would log a finite loss in the place of NaN
    timer = getattr(trainer, "timer", StepTimer())  # TRL's own trainers have none
    callbacks = {
        "probe": ProbeCallback(trainer, Probe(context), timer),
        "metrics": MetricsCallback(run_dir, config.method, config.train.steps, timer, on_step),
        "checkpoints": CheckpointCallback(trainer, config.train.keep_checkpoints),
        "interrupt": InterruptCallback(),
    }
    for callback in callbacks.values():
        trainer.add_callback(callback)
    # What adds to a step's metrics goes first, so that a service gets all of them.
    for kind in (ProbeCallback, TokenMeans):
        if (callback := trainer.pop_callback(kind)) is not None:
            trainer.callback_handler.callbacks.insert(0, callback)
    if config.log.report_to != "none":
        trainer.add_callback(MetadataCallback(trainer, config))
    return trainer, callbacks


def find_checkpoint(run_dir: RunDir, say: Callable[[str], None]) -> tuple[int, Path] | None:
    """Return the newest whole checkpoint; damaged ones are named."""
    from rlsd_cli.runs.checkpoints import checkpoints, newest_intact

    newest = newest_intact(run_dir.checkpoints_dir)
    for step, path in checkpoints(run_dir.checkpoints_dir):
        if step > (newest[0] if newest else 0):
            say(f"{path} is damaged or unfinished; going on from {newest[1] if newest else 'the start'}.")
    return newest


def begin(config: RunConfig, run_dir: RunDir, step: int) -> None:
    """Write what identifies the run, and drop records of steps that will be trained again."""
    from rlsd_cli.runs.provenance import attempt

    if not run_dir.config_file.is_file():
        write_text(run_dir.config_file, dump(config))
    provenance: dict[str, Any] = {"schema_version": 1, "seed": config.seed, "attempts": []}
    if run_dir.provenance_file.is_file():
        provenance = read_object(run_dir.provenance_file)
    if not isinstance(provenance.get("attempts"), list):
        raise UserError(f"{run_dir.provenance_file} is damaged: restore it, or remove it and go on with --resume.")
    provenance["arm"] = load_arm(config.method).card()
    provenance["attempts"].append({**attempt(), "from_step": step})
    write_json(run_dir.provenance_file, provenance)
    run_dir.discard_after(step)
    run_dir.write_status(state="running", step=step, steps=config.train.steps, error=None)
