"""Commands about networks: record what one does on a task, and look after the cache."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from repsim.console import err, out, print_json, print_table, show_help_alone
from repsim.errors import RepsimError

cache_commands = typer.Typer(
    name="cache", help="Trained networks and recordings that are kept.",
    invoke_without_command=True, callback=show_help_alone,
)  # fmt: skip
LARGEST = 2**63 - 1  # of seeds, as torch takes them
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def add_commands(app: typer.Typer) -> None:
    """Give the command line the commands of this file."""
    app.command("record", epilog=EXAMPLE)(record_network)
    app.add_typer(cache_commands)


EXAMPLE = (
    'Example: repsim record "leaky_rnn(alpha=0.2)" --task "perceptual_decision/delay('
    "timing='short')\" --seed 1 -o out.nc"
)


def record_network(
    model: Annotated[str, typer.Argument(help='A name, or "name(option=value)".')],
    task: Annotated[str, typer.Option(help='A name, or "name(parameter=value)".')],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, such as out.nc.")],
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST, help="Of the network and its training.")
    ] = 0,
    states: Annotated[
        list[str] | None, typer.Option(help="Which states; several times for several.")
    ] = None,
    units: Annotated[int, typer.Option(min=1, help="Units of the network.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="Training steps at most.")] = 2000,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Of Adam.")] = 1e-3,
    trials: Annotated[int, typer.Option(min=1, help="Test trials to record.")] = 200,
    trial_seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Of the test trials.")] = 0,
    json_: AsJson = False,
) -> None:
    """Train a network on a task, or take it from the cache, and record it on test trials."""
    from repsim.cache import Cache
    from repsim.files import assert_place, save
    from repsim.plugins import MODELS, TASKS, TRAINERS, split_parameters
    from repsim.trial_recording import record_trials

    model, options = split_parameters(model)
    task_name, parameters = split_parameters(task)
    made = _made(f"Task {task_name!r} cannot be made", TASKS[task_name], **parameters)
    known = _made(
        f"Model {model!r} cannot be built", MODELS[model], made.n_inputs, units, made.n_outputs,
        **options,
    ).state_names  # fmt: skip
    names = list(dict.fromkeys(states or known[:1]))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RepsimError(f"No state {unknown[0]!r}. {model} has: {', '.join(known)}.")
    for name in names:
        assert_place(_path(output, name, len(names)))
    cache = Cache(tell=_tell)
    ensemble = TRAINERS["trained_networks"](
        model, made, seeds=[seed], n_units=units, options=options, cache=cache, tell=_tell,
        steps=steps, learning_rate=learning_rate, progress=not json_,
    )  # fmt: skip
    network, accuracy = ensemble[0], float(ensemble.accuracies[0])
    if not math.isfinite(accuracy):
        raise RepsimError(
            f"Training diverged: after {ensemble.steps[0]} steps {model} gives outputs that are "
            f"not finite. Lower --learning-rate, which is {learning_rate:g}."
        )
    recorded = record_trials(
        network, made, states=names, n_trials=trials, trial_seed=trial_seed, cache=cache,
        model=model, seed=seed, steps=ensemble.steps[0], accuracy=accuracy,
    )  # fmt: skip
    paths = [save(recorded[name], _path(output, name, len(names))) for name in names]
    facts = {
        "model": model, "task": made.name, "seed": seed, "steps": ensemble.steps[0],
        "accuracy": accuracy, "ceiling": ensemble.ceiling, "files": [str(one) for one in paths],
    }  # fmt: skip
    if json_:
        print_json(facts)
        return
    out.print(
        Text(
            f"{model} on {made.name}: accuracy {accuracy:.3f}, ceiling {ensemble.ceiling:.3f}, "
            f"{ensemble.steps[0]} steps"
        )
    )
    for name, path in zip(names, paths, strict=True):
        err.print(Text(f"wrote {path}: {name} {tuple(recorded[name].shape)}"))


@cache_commands.command("list", epilog="Example: repsim cache list")
def list_entries(json_: AsJson = False) -> None:
    """What is kept, the latest first, and where."""
    from repsim.cache import Cache

    cache = Cache()
    rows = [
        {
            "kind": one.kind,
            "model": one.facts.get("model", "(cannot be read)"),
            "task": one.facts.get("task", ""),
            "seed": _seed(one.facts),
            "MB": f"{one.n_bytes / 1e6:.2f}",
            "address": one.path.stem[:8],
        }
        for one in cache.entries()
    ]
    if json_:
        print_json({"folder": str(cache.folder), "entries": rows})
        return
    print_table(rows, "The cache is empty.")
    err.print(Text(str(cache.folder)), soft_wrap=True)


@cache_commands.command("clear", epilog="Example: repsim cache clear --kind activations")
def clear_entries(
    kind: Annotated[
        str | None, typer.Option(help="networks, activations or unfinished; all if left out.")
    ] = None,
) -> None:
    """Delete what is kept; it is made again when it is needed."""
    from repsim.cache import Cache

    cache = Cache()
    n_entries = cache.clear(kind)
    out.print(Text(f"{n_entries} {'entry' if n_entries == 1 else 'entries'} deleted."))
    err.print(Text(str(cache.folder)), soft_wrap=True)


def _seed(facts: Any) -> str:
    return str(facts.get("seed", facts.get("attrs", {}).get("seed", "")))


def _made(failure: str, make: Any, *arguments: Any, **parameters: Any) -> Any:
    try:
        return make(*arguments, **parameters)
    except TypeError as error:
        raise RepsimError(f"{failure}: {error}.") from error


def _path(output: Path, state: str, n_states: int) -> Path:
    """OUTPUT, or for several states OUTPUT_state."""
    return output if n_states == 1 else output.with_name(f"{output.stem}_{state}{output.suffix}")


def _tell(sentence: str) -> None:
    err.print(Text(sentence), soft_wrap=True)
