"""The training loop, as a generator: `for record in train(model, data, settings)`.

The loop knows no paradigm: text in, its loss down, and every so often `model.nll_bound` on fixed
windows of the validation split with fixed noise. `TrainingRun` holds the parts of a step.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from ..data.corpus import TokenizedCorpus
from ..files import StrPath
from ..paradigms import Paradigm
from .run import TrainingRun
from .settings import Settings


def train(
    model: Paradigm,
    data: TokenizedCorpus,
    settings: Settings | None = None,
    run: StrPath | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    lock: AbstractContextManager | None = None,
) -> Iterator[dict]:
    """Train the model on the data; yield a record after every step.

    A record: step, loss (nats per token), lr (AdamW's), tokens (read so far) and seconds (of
    training so far); after an evaluation also val and val_se (nats per token, `nll_bound` on some
    validation windows, and its standard error).

    run: a folder for checkpoints and log.jsonl, or None to keep nothing. resume: go on from the
    last checkpoint in that folder. stop: called in every step; once it returns true, in any
    process, the step is finished, a checkpoint saved, and the generator ends. lock: the lock of the
    folder, from a caller that already holds it as `atomic.sole_writer` does.

    Inside `distributed.process_group` every process makes the same call. The first one alone
    evaluates and writes, and all yield its records (the seconds are their own).

    Raises InputError if the run does not fit the model, the data or the settings, if another
    process is writing to the folder, or if the training diverges; OSError where the disk refuses.
    """
    with TrainingRun(model, data, settings or Settings(), run, resume, stop, lock) as job:
        while job.step < job.total_steps and not job.stopping:
            with job.stopwatch():  # neither evaluation nor the disk count
                x = next(job.batches).to(job.device)
                loss = job.loss_and_gradients(x)
                job.update()
            record = job.record(loss)
            if job.evaluation_is_due():
                record |= job.validate()
            job.log_and_save(record)
            yield record
