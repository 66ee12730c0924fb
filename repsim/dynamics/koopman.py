"""Operators fitted by models of other packages: pykoopman, PyDMD, or any object with `fit`.

    g(x_{t+1}) = A g(x_t)        g the model's observables, A the operator it fits

Trials are handled by pairs of neighbouring steps within a trial, never across; a model that takes
one series only is given one trial only. Every fit works on a fresh copy of the model, and draws
from random generators that start at 0 and are put back afterwards: numpy's global one and torch's.
"""

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repsim.activations import as_numpy
from repsim.dynamics.operator_identity import describe, held
from repsim.errors import InputError, RepsimError

ATTRIBUTES = ("operator_", "operator", "matrix_", "matrix", "A", "K", "state_matrix_", "coef_")
PAIRS = "pykoopman's Koopman, PyDMD's DMD or OptDMD, or delays and rank without operator"


@dataclass(frozen=True)
class FittedOperator:
    """What a model fitted: g(x_{t+1}) = matrix g(x_t), in the coordinates the model itself uses."""

    matrix: np.ndarray
    model: Any

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues for one time step, complex (n,)."""
        return np.linalg.eigvals(self.matrix).astype(complex)

    @property
    def real(self) -> np.ndarray:
        """The matrix as real numbers, (n, n); InputError when more than rounding is imaginary."""
        imaginary, largest = abs(self.matrix.imag).max(), abs(self.matrix).max()
        if imaginary > 1e-6 * largest:
            raise InputError(
                f"{describe(self.model)} fits a complex operator (imaginary parts {imaginary:.2g} "
                f"of {largest:.2g}), which real rotations cannot align. "
                "Compare eigenvalues (dsa_spectrum), or give the model a lower rank."
            )
        return self.matrix.real.copy()


def operator_of(model: Any, trajectories: Any) -> FittedOperator:
    """Fit a copy of a model to trajectories and read off its operator for one time step.

    model         pykoopman `Koopman` or one of its regressors; a PyDMD model; or any object with
                  fit(before, after), fit(X, y=None) or fit(*args), given the (sample, unit) pairs
                  of all trials, or with fit(series), given one (time, unit) trial. It, or what fit
                  returns, then holds a square matrix, acting on columns: the first of ATTRIBUTES
                  that is an array and square
    trajectories  (trial, time, unit), or a list of (time, unit); numpy or torch; as float64
    raises        InputError for a model that would run something else than it says, needs inputs,
                  takes one trial only, fails, or holds no square finite operator
    source        pykoopman 1.0.5, PyDMD 2025.8.1: read and checked at these versions

    Continuous-time models (HAVOK, BOPDMD, VarProDMD) are turned into one-step operators, exp(A).
    An intercept is left out. Observables that are random or tied to axes (RBF, Fourier) make the
    operator depend on the coordinates of the units.
    """
    trials = _as_trials(trajectories)
    name = describe(model)
    try:
        fresh = _copied(model)
        with _own_randomness():
            matrix = np.asarray(_fit(fresh, trials))
    except RepsimError:
        raise
    except Exception as error:
        said = f"{name} raised {type(error).__name__}: {str(error).rstrip('.')}."
        if "Polynomial(" in name:
            said += " Polynomial needs scikit-learn below 1.2; use CustomObservables."
        raise InputError(said) from error
    if matrix.ndim != 2 or len(matrix) != matrix.shape[-1] or not np.isfinite(matrix).all():
        raise InputError(
            f"{name} fits an operator of shape {matrix.shape}; it must be square, without NaN or "
            "inf. Use a lower rank, or more data."
        )
    return FittedOperator(matrix.astype(np.result_type(matrix, np.float64)), fresh)


def prepare_operator(x: Any, *, operator: Any, eigenvalues: bool = False) -> Any:
    """The real matrix (n, n) that a model fits to x, or its complex eigenvalues (n,).

    x        (trial, time, unit), numpy or torch; the answer is of the same library and device, in
             float64 or complex128; no gradient flows through a model of others
    raises   InputError as operator_of does, and for a complex matrix when eigenvalues is False
    """
    fitted = operator_of(operator, x)
    values = fitted.eigenvalues if eigenvalues else fitted.real
    return array_namespace(x).asarray(values, device=x.device)


def _as_trials(trajectories: Any) -> list[np.ndarray]:
    trials = [as_numpy(trial).astype(np.float64) for trial in trajectories]
    for i, trial in enumerate(trials):
        if trial.ndim != 2 or len(trial) < 2:
            raise InputError(
                f"trial {i} has shape {trial.shape}; an operator is fitted to (time, unit) trials "
                "of at least 2 steps. Give (trial, time, unit) or a list of (time, unit)."
            )
    return trials


def _fit(model: Any, trials: list[np.ndarray]) -> Any:
    if _is_from(model, "pykoopman"):
        return _fit_pykoopman(model, trials)
    if _is_from(model, "pydmd"):
        return _fit_pydmd(model, trials)
    given = _pairs(trials) if _takes_pairs(model.fit) else [_only_trial(model, trials)]
    result = model.fit(*given)
    oblong = None
    for holder in (model, result):
        for name in ATTRIBUTES:
            found = getattr(holder, name, None)
            found = found.detach().cpu().numpy() if hasattr(found, "detach") else found
            if getattr(found, "ndim", None) == 2:
                if found.shape[0] == found.shape[1]:
                    return found
                oblong = found if oblong is None else oblong
    if oblong is not None:
        return oblong
    raise InputError(
        f"{describe(model)} holds no matrix after fit; looked for {', '.join(ATTRIBUTES)}."
    )


def _takes_pairs(fit: Any) -> bool:
    """Two arguments or more are required, or the second is called y, or there is only *args."""
    given = inspect.signature(fit).parameters.values()
    places = [one for one in given if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    required = [one for one in places if one.default is one.empty]
    return len(required) > 1 or not places or any(one.name in ("y", "Y") for one in places[1:2])


def _fit_pykoopman(model: Any, trials: list[np.ndarray]) -> Any:
    """The observables are applied within trials (delays too); then the regressor gets the pairs."""
    if _is_from(model, "pykoopman", "KoopmanContinuous"):
        raise InputError("KoopmanContinuous fits derivatives, not steps. Use pykoopman's Koopman.")
    regressor = model.regressor if hasattr(model, "observables") else model
    _refuse_substitution(regressor)
    if _is_from(regressor, "pykoopman", "DMDc", "EDMDc"):
        raise InputError(f"{describe(regressor)} needs the inputs u, and activations have none.")
    if hasattr(model, "observables"):
        model.observables.fit(np.concatenate(trials))
        trials = [model.observables.transform(trial) for trial in trials]
    if _is_from(regressor, "pykoopman", "HAVOK"):
        from scipy.linalg import expm

        regressor.fit(_only_trial(regressor, trials), dt=1)
        return expm(regressor.state_matrix_)
    series = _is_from(regressor, "pykoopman", "NNDMD")
    regressor.fit(*([trials] if series else _pairs(trials)), dt=1)
    return regressor.state_matrix_


def _refuse_substitution(regressor: Any) -> None:
    """PyDMDRegressor copies ranks off a PyDMD object, never calls its fit, and runs plain DMD."""
    if not _is_from(regressor, "pykoopman", "PyDMDRegressor"):
        return
    from pydmd import DMD
    from pydmd.dmdoperator import DMDOperator

    inner = regressor.regressor
    own = getattr(inner._Atilde, "_tikhonov_regularization", None)
    if own is not None and own != regressor.tikhonov_regularization:
        reason = f"drops its tikhonov_regularization={own!r}"
    elif getattr(type(inner), "fit", None) is not DMD.fit or any(
        getattr(type(inner._Atilde), name) is not getattr(DMDOperator, name)
        for name in ("compute_operator", "_least_square_operator")
    ):
        reason = "runs plain DMD instead"
    else:
        return
    raise InputError(
        f"pykoopman's PyDMDRegressor never calls the fit of {describe(inner)}: it {reason}. "
        f"Give the PyDMD object itself: operator={describe(inner)}."
    )


def _fit_pydmd(model: Any, trials: list[np.ndarray]) -> Any:
    """PyDMD takes snapshots as columns; fit(X, Y) is given pairs, fit(X) and fit(X, t) a trial."""
    from scipy.linalg import expm

    arguments = list(inspect.signature(model.fit).parameters)
    if {"I", "training_parameters"} & set(arguments) or _is_from(model, "pydmd", "MrDMD"):
        raise InputError(f"{describe(model)} has no one operator of states alone. Use {PAIRS}.")
    if "Y" in arguments:
        model.fit(*(side.T for side in _pairs(trials)))
        return model.operator.as_numpy_array
    trial = _only_trial(model, trials)
    if len(arguments) < 2 or arguments[1] not in ("t", "time"):
        model.fit(trial.T)
        return model.operator.as_numpy_array
    model.fit(trial.T, np.arange(len(trial), dtype=float))
    if _is_from(model, "pydmd", "HAVOK"):
        return expm(model.A)
    return _from_modes(model.modes, np.exp(model.eigs))


def _from_modes(modes: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    """The operator in a real orthonormal basis of what the modes span, (rank, rank).

    It has these eigenvalues, and is real when they and their modes come in conjugate pairs.
    """
    rank = len(eigenvalues)
    both = np.hstack([modes.real, modes.imag])
    vectors = np.linalg.svd(both, full_matrices=False)[0][:, :rank].T @ modes
    return vectors * eigenvalues @ np.linalg.inv(vectors)


def _pairs(trials: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    before, after = [trial[:-1] for trial in trials], [trial[1:] for trial in trials]
    if sum(map(len, before)) == 0:
        raise InputError("no steps are left after the delays; use fewer, or longer trials.")
    return np.concatenate(before), np.concatenate(after)


def _only_trial(model: Any, trials: list[np.ndarray]) -> np.ndarray:
    if len(trials) > 1:
        raise InputError(
            f"{describe(model)} takes one series, and there are {len(trials)} trials; joining them "
            f"would make up steps from one trial to the next. Select one trial, or use {PAIRS}."
        )
    return trials[0]


def _is_from(thing: Any, package: str, *names: str) -> bool:
    """Whether an object is of a package, and of one of its classes, without importing it."""
    return any(
        package in kind.__module__.split(".") and (not names or kind.__name__ in names)
        for kind in type(thing).__mro__
    )


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Global random generators start at 0, and are as before afterwards."""
    import torch

    state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            np.random.set_state(state)


def _copied(model: Any) -> Any:
    """A deep copy that shares mapping proxies, which copy refuses and nobody can write to.

    Seeds left open become 0; else such a model would draw from the system's entropy.
    """
    proxies = {id(part): part for part in _parts(model) if isinstance(part, MappingProxyType)}
    fresh = copy.deepcopy(model, proxies)
    for part in list(_parts(fresh)):
        for name in {"random_state", "seed", "_seed"} & set(held(part)):
            if getattr(part, name) is None:
                setattr(part, name, 0)
    return fresh


def _parts(thing: Any, depth: int = 3) -> Iterator[Any]:
    """An object, and what it holds in attributes and lists; classes are left out."""
    if isinstance(thing, type):
        return
    yield thing
    for value in held(thing).values() if depth else ():
        for item in value if isinstance(value, list) else [value]:
            yield from _parts(item, depth - 1)
