"""The networks of a training in a line, and the processes that work it off round by round."""

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from model_zoo.rounds import Network, Settings, run_round
from model_zoo.saved_state import SavedState
from repsim.workers import Worker


class Line:
    """Which networks wait, which are taken, and what has become of each.

    networks    where each stands; taken over from the saved state where there is one
    snapshots   of each network: step -> parameters, where snapshots are asked for
    waiting     the networks that are neither finished nor taken
    """

    def __init__(
        self, networks: Sequence[Network], saved: SavedState, with_snapshots: bool
    ) -> None:
        found = [saved.load(k) for k in range(len(networks))]
        self.saved, self.with_snapshots = saved, with_snapshots
        self.networks = [old or new for (old, _), new in zip(found, networks, strict=True)]
        self.snapshots: list[dict[int, dict[str, Tensor]]] = [
            {0: new.parameters} | taken for (_, taken), new in zip(found, networks, strict=True)
        ]
        self.waiting = deque(k for k, one in enumerate(self.networks) if not one.finished)
        self.lock, self.stopped = threading.Lock(), False
        self.report: Callable[[], None] = lambda: None

    def watch(self, progress: Callable[[int, int, list[float]], None], settings: Settings) -> None:
        """Have progress called after each round."""
        if not progress:
            return

        def report() -> None:
            done = sum(settings.steps if n.finished else n.step for n in self.networks)
            latest = [n.history[-1]["accuracy"] for n in self.networks if n.history]
            progress(done, settings.steps * len(self.networks), latest)

        self.report = report
        report()

    def take(self, held: list[int], together: int) -> list[int]:
        """Those of the held that are not finished, filled up from the line."""
        with self.lock:
            held = [k for k in held if not self.networks[k].finished]
            while len(held) < together and self.waiting:
                held.append(self.waiting.popleft())
            return [] if self.stopped else held

    def put(self, held: list[int], after: list[Network]) -> None:
        """Take over and save what a round has made of the held networks."""
        with self.lock:
            for k, network in zip(held, after, strict=True):
                self.networks[k] = network
                if self.with_snapshots:
                    self.snapshots[k][network.step] = network.parameters
                self.saved.save(k, network, self.with_snapshots)
            self.report()


def work_through(
    line: Line, model: nn.Module, task: Any, settings: Settings, n_workers: int, together: int
) -> None:
    """Train all that wait; leaving early, by an error or Ctrl-C, ends the processes."""
    if n_workers == 0:
        _work(line, together, lambda held: run_round(model, task, settings, held))
        return
    workers, errors = [Worker() for _ in range(n_workers)], []

    def serve(worker: Worker) -> None:
        try:
            worker.call(keep_freed_memory)
            _work(line, together, lambda held: worker.call(run_round, model, task, settings, held))
        except BaseException as error:
            line.stopped = True
            errors.append(error)

    threads = [threading.Thread(target=serve, args=(one,), daemon=True) for one in workers]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        line.stopped = True
        for worker in workers:
            worker.close()
    if errors:
        raise errors[0]


def _work(line: Line, together: int, round_of: Callable[[list[Network]], list[Network]]) -> None:
    held = line.take([], together)
    while held:
        line.put(held, round_of([line.networks[k] for k in held]))
        held = line.take(held, together)


def keep_freed_memory() -> None:
    """Have this process keep what it frees, or each step pays to map the same memory again."""
    if sys.platform == "linux":
        no_mapping, no_trimming = (-4, 0), (-1, 2**31 - 1)  # M_MMAP_MAX, M_TRIM_THRESHOLD
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(*no_mapping)
            libc.mallopt(*no_trimming)
