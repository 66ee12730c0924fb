"""Evaluations in processes of their own, which the parent can end when a metric never returns.

A worker is `python -m repsim.workers`: it reads pickled tasks from its input and writes pickled rows to its
output. Nothing of the caller's main module is imported, so that scripts need no main guard, and each worker
does its linear algebra in one thread.
"""

import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from repsim.errors import MetricError

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class Worker:
    """One child process; started when first needed, and again after it was ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None

    def score(self, cell: tuple, metric: Any, timeout: float | None) -> dict[str, Any]:
        """The row of a metric on a (case, seed, protocol, quick); only the metric's own time counts.

        raises  MetricError when the process dies or the time runs out
        """
        if self.process is None:
            self._start()
        self._ask(cell, None)
        return self._ask(metric, timeout)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "repsim.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )

    def _ask(self, task: Any, timeout: float | None) -> Any:
        import cloudpickle

        process = self.process
        watch = threading.Timer(timeout or 0, process.kill)
        started = time.monotonic()
        try:
            _send(process.stdin, cloudpickle.dumps(task))
            if timeout is not None:
                watch.start()
            answer = pickle.loads(_receive(process.stdout))
        except (EOFError, BrokenPipeError):
            self.stop()
            if timeout is not None and time.monotonic() - started >= timeout:
                raise MetricError(
                    f"no answer within {timeout:g} s; it was stopped. Allow more with --timeout."
                ) from None
            raise MetricError(
                f"its process died (exit status {process.returncode}), for want of memory or by a "
                "crash in compiled code."
            ) from None
        finally:
            watch.cancel()
        if isinstance(answer, Exception):
            raise answer
        return answer


def scores_from_workers(
    pending: list[tuple[Any, int, list[Any]]],
    protocol: str,
    quick: bool,
    n_workers: int,
    timeout: float | None,
) -> Iterator[dict[str, Any]]:
    """Rows as they come in; leaving the iteration early ends the workers."""
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    answers: queue.SimpleQueue = queue.SimpleQueue()
    for cell in pending:
        tasks.put(cell)
    workers = [Worker() for _ in range(min(n_workers, len(pending)))]
    threads = [
        threading.Thread(
            target=_serve, args=(worker, tasks, answers, protocol, quick, timeout), daemon=True
        )
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(sum(len(metrics) for *_, metrics in pending)):
            row = answers.get()
            if isinstance(row, BaseException):
                raise row
            yield row
    finally:
        while not tasks.empty():
            tasks.get()
        for worker in workers:
            worker.stop()


def _serve(
    worker: Worker, tasks: Any, answers: Any, protocol: str, quick: bool, timeout: float | None
) -> None:
    from repsim.run import failed

    try:
        while True:
            case, seed, metrics = tasks.get(block=False)
            for metric in metrics:
                try:
                    row = worker.score((case, seed, protocol, quick), metric, timeout)
                except MetricError as error:
                    row = failed(metric, case, seed, protocol, quick, error)
                answers.put(row)
    except queue.Empty:
        return
    except BaseException as error:
        answers.put(error)


def _send(pipe: Any, message: bytes) -> None:
    pipe.write(struct.pack(">Q", len(message)) + message)
    pipe.flush()


def _receive(pipe: Any) -> bytes:
    header = pipe.read(8)
    if len(header) < 8:
        raise EOFError
    (length,) = struct.unpack(">Q", header)
    message = pipe.read(length)
    if len(message) < length:
        raise EOFError
    return message


def _die_with_parent() -> None:
    """A killed parent leaves a busy child behind: look now and then whether it is still there."""
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _answer_tasks() -> None:
    """Take cells and metrics in turn; what a metric prints goes to the error stream."""
    _die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from repsim.contract import Metric
    from repsim.run import Cell

    made, cell = None, None
    while True:
        try:
            task = pickle.loads(_receive(sys.stdin.buffer))
        except EOFError:
            return
        answer: Any = None
        try:
            if isinstance(task, Metric):
                answer = cell.score(task)
            elif made != (key := (task[0].name, *task[1:])):
                cell, made = Cell(*task), key
        except Exception as error:
            answer = error
        _send(answers, pickle.dumps(answer))


if __name__ == "__main__":
    _answer_tasks()
