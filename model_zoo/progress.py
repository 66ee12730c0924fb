"""A bar for a training: steps done, and how the test accuracies of the networks are spread."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class AccuracyBar:
    """Shown on the error stream, and only on a terminal."""

    def __init__(self, title: str, hidden: bool) -> None:
        console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(),
            TextColumn("{task.fields[spread]}", markup=False), TimeRemainingColumn(),
            console=console, disable=hidden or not console.is_terminal, transient=True,
        )  # fmt: skip
        self.line = self.bar.add_task(title, total=None, spread="")

    def __enter__(self) -> "AccuracyBar":
        if not self.bar.disable:
            self.bar.start()
        return self

    def update(self, done: int, total: int, accuracies: Sequence[float | None]) -> None:
        """So many steps are done, and these are the latest accuracies."""
        self.bar.update(self.line, completed=done, total=total, spread=spread(accuracies))

    def __exit__(self, *error: object) -> None:
        if not self.bar.disable:
            self.bar.stop()


def spread(accuracies: Sequence[float | None]) -> str:
    """Lowest, median and highest accuracy in words; nothing where there is none yet."""
    known = [one for one in accuracies if one is not None]
    if not known:
        return ""
    return f"accuracy {min(known):.2f} | {np.median(known):.2f} | {max(known):.2f}"
