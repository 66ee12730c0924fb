"""What dynamical similarity stands on: delay embedding, fitted operators, conjugacy and spectra."""

from repsim.dynamics.choice import choose_delays_and_rank, sensitivity
from repsim.dynamics.operator import Operator, delay_embed, fit_operator
from repsim.dynamics.spectra import spectral_distance

__all__ = [
    "Operator",
    "choose_delays_and_rank",
    "conjugacy",
    "delay_embed",
    "fit_operator",
    "sensitivity",
    "spectral_distance",
]


def __getattr__(name: str) -> object:
    """Conjugacy needs torch, which comes when it is asked for."""
    if name == "conjugacy":
        from importlib import import_module

        return import_module("repsim.dynamics.alignment").conjugacy
    raise AttributeError(name)
