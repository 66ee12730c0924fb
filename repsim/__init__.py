"""repsim: which representational similarity metric can be trusted, and what it says about your
models.

Names come when they are asked for, so that importing repsim costs next to nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "as_activations": "activations",
    "fingerprint": "activations",
    "load": "files",
    "save": "files",
    "Metric": "contract",
    "metric": "contract",
    "get_metric": "plugins",
    "METRICS": "plugins",
    "SUITES": "plugins",
    "MODELS": "plugins",
    "TASKS": "plugins",
    "Cache": "cache",
    "record": "recording",
    "check": "checks",
    "compare": "pairs",
    "TestCase": "testcase",
    "Rule": "rules",
    "score": "report",
    "Report": "report",
    "evaluate": "run",
    "read_rows": "results",
    "Leaderboard": "leaderboard",
    "RepsimError": "errors",
    "InputError": "errors",
    "MetricError": "errors",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'repsim' has no attribute {name!r}")
    return getattr(import_module(f"repsim.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
