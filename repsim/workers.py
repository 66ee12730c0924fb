"""Evaluations in processes of their own, which the parent can end when a metric never returns.

A worker is `python -m repsim.workers`: it reads pickled calls from its input and writes pickled
answers to its output. Nothing of the caller's main module is imported, so that scripts need no main
guard, and each worker does its linear algebra in one thread.
"""

import contextlib
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from repsim.errors import MetricError

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Worker:
    """One child process; started when first needed, and again after it was ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.closed = False
        self.lock = threading.Lock()

    def close(self) -> None:
        """End the process for good: no other takes its place."""
        with self.lock:
            self.closed = True
        self.stop()

    def call(self, function: Callable, *arguments: Any, timeout: float | None = None) -> Any:
        """function(*arguments) as computed by the child.

        raises  MetricError when the child dies or the time runs out; else what the function raised
        """
        import cloudpickle

        try:
            message = cloudpickle.dumps((function, arguments))
        except Exception as error:
            raise MetricError(
                f"it cannot be sent to a worker ({error}): pickle the metric, or use workers=0."
            ) from error
        with self.lock:
            if self.closed:
                raise MetricError("its worker was closed.")
            if self.process is None:
                self._start()
            process = self.process
        watch = threading.Timer(timeout or 0, process.kill)
        started = time.monotonic()
        try:
            _send(process.stdin, message)
            if timeout is not None:
                watch.start()
            answer = pickle.loads(_receive(process.stdout))
        except (EOFError, BrokenPipeError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)  # for its own exit status
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

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        with self.lock:
            process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "repsim.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )


def scores_from_workers(
    pending: list[tuple[Any, list[Any]]],
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
        threading.Thread(target=_serve, args=(worker, tasks, answers, timeout), daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(sum(len(metrics) for _, metrics in pending)):
            row = answers.get()
            if isinstance(row, BaseException):
                raise row
            yield row
    finally:
        while not tasks.empty():
            tasks.get()
        for worker in workers:
            worker.close()


def _serve(worker: Worker, tasks: Any, answers: Any, timeout: float | None) -> None:
    from repsim.run import failed, make_cell, score_in_cell

    try:
        while True:
            setting, metrics = tasks.get(block=False)
            for metric in metrics:
                try:
                    worker.call(make_cell, setting)
                    row = worker.call(score_in_cell, metric, timeout=timeout)
                except MetricError as error:
                    row = failed(metric, setting, error)
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
    """Take calls one after another; what a metric prints goes to the error stream."""
    _die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    import repsim.run  # noqa: F401  (loaded before the first timed call)

    while True:
        try:
            message = _receive(tasks)
        except EOFError:
            return
        try:
            function, arguments = pickle.loads(message)
            answer = function(*arguments)
        except Exception as error:
            answer = error
        try:
            _send(answers, pickle.dumps(answer))
        except BrokenPipeError:  # nobody is left to answer
            os._exit(1)


if __name__ == "__main__":
    _answer_tasks()
