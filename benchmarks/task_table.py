"""Which model learns which task, how well and how fast: the table of docs/tasks.md.

    python benchmarks/task_table.py --write docs/tasks.md

Every cell is trained from several seeds until a test on 1024 fresh trials reaches 98 % of the
ceiling, the accuracy of the ideal observer, which is computed and not assumed. A test has a
standard error of 1 % and the best of several is lucky, so that a goal of 95 % would not bring 95 %.
What is printed is the accuracy on 1024 further trials. One learning rate for all, not tuned.
Networks are kept in the cache, so that the table is printed at once the second time, with the
seconds of the first.
"""

import argparse
from pathlib import Path

import numpy as np

from model_zoo.ensemble import Ensemble
from model_zoo.trained import trained_networks
from repsim.plugins import TASKS

MODELS = ("leaky_rnn", "gru", "lstm", "sublstm", "mamba")
FAMILY, RULES = "perceptual_decision", ("basic", "anti", "delay")
UNITS = {"mamba": 16}  # of the residual stream; 512 states
WANTED, GOAL, TESTS = 0.95, 0.98, 1024
HEAD = ("task", "model", "accuracy", "ceiling", "share", "lowest share", "steps", "seconds")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--models", nargs="+", default=MODELS)
    options.add_argument("--rules", nargs="+", default=RULES)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--timing", default="short", help="short, or train: as in the paper")
    options.add_argument("--units", type=int, default=64)
    options.add_argument("--steps", type=int, default=2000, help="at most")
    options.add_argument("--learning-rate", type=float, default=3e-3)
    options.add_argument("--write", type=Path, help="a file for the table and how it came to be")
    chosen = options.parse_args()
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    print("\n".join(lines), flush=True)
    failed = 0
    for rule in chosen.rules:
        for model in chosen.models:
            ensemble = trained(model, rule, chosen)
            lines.append(row(model, rule, ensemble))
            failed += lowest_share(ensemble) < WANTED
            print(lines[-1], flush=True)
    n_cells = len(lines) - 2
    verdict = (
        f"{n_cells - failed} of {n_cells} cells: every seed reaches {WANTED:.0%} of the ceiling."
    )
    print(f"\n{verdict}")
    if chosen.write:
        chosen.write.write_text(page(lines, verdict, chosen))


def trained(model: str, rule: str, chosen: argparse.Namespace) -> Ensemble:
    """The networks of one cell."""
    return trained_networks(
        model,
        TASKS[f"{FAMILY}/{rule}"](timing=chosen.timing),
        seeds=range(chosen.seeds),
        n_units=UNITS.get(model, chosen.units),
        steps=chosen.steps,
        test_every=50,
        criterion=GOAL,
        n_tests=TESTS,
        learning_rate=chosen.learning_rate,
        progress=True,
    )


def lowest_share(ensemble: Ensemble) -> float:
    """Of the ceiling, by the worst seed."""
    return float(ensemble.accuracies.min() / ensemble.ceiling)


def row(model: str, rule: str, ensemble: Ensemble) -> str:
    """One line of the table; steps and seconds are medians over seeds."""
    seconds = np.median([one.seconds for one in ensemble.networks])
    accuracy = ensemble.accuracies.mean()
    cells = (
        rule, model, f"{accuracy:.3f}", f"{ensemble.ceiling:.3f}",
        f"{accuracy / ensemble.ceiling:.3f}", f"{lowest_share(ensemble):.3f}",
        f"{np.median(ensemble.steps):.0f}", f"{seconds:.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def page(lines: list[str], verdict: str, chosen: argparse.Namespace) -> str:
    """The file: what was done, and the table."""
    words = " ".join(["python benchmarks/task_table.py", "--write", str(chosen.write)])
    return f"""# Which model learns which task

Written by `{words}`. Do not edit by hand.

Tasks: {FAMILY}, timing `{chosen.timing}`, dt 20 ms, five coherences of which one is zero
(testcases/compositional/perceptual_decision.py). `ceiling` is the accuracy of the ideal observer,
averaged over coherences and durations. Models: {chosen.units} units, for mamba {UNITS["mamba"]} in
the residual stream; Adam, learning rate {chosen.learning_rate:g} for all, 64 fresh trials a step,
at most {chosen.steps} steps; {chosen.seeds} seeds. A network stops when a test on {TESTS} fresh
trials reaches {GOAL:.0%} of the ceiling. `accuracy` is the mean over seeds on 1024 further trials,
`share` the same over the ceiling, `lowest share` that of the worst seed, `steps` the median. With
the noise of 1024 trials a share may lie above 1. `seconds` are those of one network, its part of
the time of networks trained side by side on a processor core, tests included.

{chr(10).join(lines)}

{verdict}
"""


if __name__ == "__main__":
    main()
