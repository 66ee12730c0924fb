"""Newton's method on the orthogonal group for ||A - C B C'||, many problems one after the other.

    L(W) = ||A - e^W M e^-W||^2 / 2,   M = C B C',   W antisymmetric

With A = K + S and M = L + T, antisymmetric and symmetric parts, and [X, Y] = X Y - Y X:

    gradient         G    = [K, L] - [S, T]
    Hessian times W  H(W) = [K, [W, L]] - [S, [W, T]] - [W, G] / 2

Each step solves the Newton equations by conjugate gradients inside a trust region (Steihaug 1983)
and moves C by a Cayley transform, which keeps it orthogonal. Coordinates are the eigenvectors of S:
S is diagonal there, and H nearly so. With s its diagonal, H is one tall and one small product:

    H(W) = Y - Y',   Y = (G / 2 - K L) W - (s_j - s_i) (T W) + (L W) K

Compiled: matrices are small enough that calls from Python would cost more than the work. Parts are
written out inside the one compiled function: compiled on their own, too, they round otherwise in
the run that compiles than in those that find them on disk.
"""

from collections.abc import Callable

import numpy as np
from numba import njit

from repsim.dynamics.problems import Problems

FASTMATH = {"contract", "nsz", "reassoc"}

part = njit(forceinline=True, fastmath=FASTMATH)


def compiled(function: Callable) -> Callable:
    """Compile at the first call, some ten seconds in all, and keep what was compiled on disk."""
    try:
        return njit(cache=True, nogil=True, fastmath=FASTMATH)(function)
    except RuntimeError:  # no folder can be written
        return njit(nogil=True, fastmath=FASTMATH)(function)


def descend(problems: Problems, iterations: int, inner: int, tolerance: float) -> None:
    """Take so many Newton steps in every problem, or until its gradient is below tolerance."""
    values = (x.numpy() for x in vars(problems).values())
    _descend(*values, iterations, inner, tolerance)


@compiled
def _descend(odds, spectra, all_moved, transforms, radii, losses, iterations, inner, tolerance):
    """Newton steps of each problem; all but the first two change in place."""
    n = spectra.shape[1]
    factors, rotated = np.empty((3 * n, n), odds.dtype), np.empty((2 * n, n), odds.dtype)
    product, slope = np.empty_like(odds[0]), np.empty_like(odds[0])
    rounding = 4 * np.finfo(odds.dtype).eps
    for k in range(len(losses)):
        odd, moved, transform, spectrum = odds[k], all_moved[k], transforms[k], spectra[k]
        gaps, even = spectrum - spectrum.reshape(n, 1), np.diag(spectrum)
        for _ in range(iterations):
            _slope(odd, spectrum, moved, slope, product)
            if not (np.sqrt(_dot(slope, slope)) > tolerance and radii[k] > tolerance):
                break
            _copy(product, factors[:n])
            _copy(moved, factors[n:])
            inverse = _preconditioner(odd, spectrum, moved)
            step, promised = _steihaug(odd, gaps, factors, slope, inverse, radii[k], inner)
            rotation = _cayley(step)
            _rotate(rotation, moved, rotated, product)
            reached = _loss(odd, even, rotated)
            noise = rounding * np.sqrt(losses[k]) + 1e-30
            gain = (losses[k] - reached + noise) / (promised + noise)
            length = _length(step, inverse)
            if not gain > 0.25:
                radii[k] = length / 4
            elif gain > 0.75 and length > 0.9 * radii[k]:
                radii[k] = min(2 * radii[k], 4)
            if gain > 0.05:
                _copy(rotated, moved)
                _multiply(rotation, transform, product)
                _copy(product, transform)
                losses[k] = reached


@part
def _slope(odd, spectrum, moved, slope, product):
    """The gradient G, (n, n), and G / 2 - K L."""
    n = len(odd)
    _multiply(odd, moved[n:], product)
    for i in range(n):
        for j in range(n):
            slope[i, j] = product[i, j] - spectrum[i] * moved[i, j]
    _antisymmetrise(slope)
    for i in range(n):
        for j in range(n):
            product[i, j] = slope[i, j] / 2 - product[i, j]


@part
def _steihaug(odd, gaps, factors, slope, inverse, radius, inner):
    """The step that solves the Newton equations inside the radius, and the decrease it promises."""
    n = len(odd)
    size = n * n
    step, residual, direction = np.zeros_like(odd), slope.copy(), -slope * inverse
    products, bent = np.empty_like(factors), np.empty_like(odd)
    # the same, read row by row
    d, r, s, b, h = _flat(direction), _flat(residual), _flat(step), _flat(bent), _flat(inverse)
    p, g = _flat(products), _flat(gaps)
    # in the norm of the curvature: residual, direction, point times direction, room to the edge
    power = -_dot(slope, direction)
    square, along, room, promised = power, 0.0, radius * radius, 0.0
    goal = power * min(np.sqrt(_dot(slope, slope)), 0.1)
    for _ in range(inner):
        if not power > 0:
            break
        _multiply(factors, direction, products)
        _multiply(products[2 * n :], odd, bent)
        for i in range(size):
            b[i] += p[i] - g[i] * p[size + i]
        _antisymmetrise(bent)
        bend = _dot(direction, bent)
        edge = (np.sqrt(along * along + square * room) - along) / square
        length = power / bend if bend > 0 else edge
        inside = 0 < length < edge
        length = length if inside else edge
        stride = odd.dtype.type(length)
        fresh = odd.dtype.type(0)
        for i in range(size):
            s[i] += stride * d[i]
            r[i] += stride * b[i]
            fresh += r[i] * r[i] * h[i]
        promised += length * (power - length * bend / 2)
        if not (inside and fresh > goal):
            break
        turn = odd.dtype.type(fresh / power)
        for i in range(size):
            d[i] = turn * d[i] - r[i] * h[i]
        room = max(room - length * (2 * along + length * square), 0)
        along = turn * (along + length * square)
        square = fresh + turn * turn * square
        power = fresh
    return step, promised


@part
def _flat(x):
    return x.reshape(x.size)


@part
def _preconditioner(odd, spectrum, moved):
    """One over the curvature along each plane rotation (i, j), which also measures the steps.

    Curvature is 1 on average, so that radii of one step mean something in the next.
    """
    n = len(odd)
    even_moved, odd_moved = moved[:n], moved[n:]
    along, sums, inverse = np.empty_like(spectrum), np.empty_like(spectrum), np.empty_like(odd)
    for i in range(n):
        along[i] = even_moved[i, i]
        sums[i] = spectrum[i] * along[i]
        for j in range(n):
            sums[i] += odd[i, j] * odd_moved[i, j]
    mean = odd.dtype.type(0)
    for i in range(n):
        for j in range(n):
            cross = spectrum[i] * along[j] + spectrum[j] * along[i]
            inverse[i, j] = abs(sums[i] + sums[j] - cross - 2 * odd[i, j] * odd_moved[i, j])
            mean += inverse[i, j]
    mean = odd.dtype.type(mean / (n * n) + 1e-30)
    least, flat = odd.dtype.type(mean / 20), _flat(inverse)
    for i in range(n * n):
        flat[i] = mean / (flat[i] if flat[i] > least else least)
    return inverse


@part
def _cayley(step):
    """(I + V) (I - V)^-1 = 2 (I - V)^-1 - I, V = W / 2; by elimination, which needs no pivots.

    Columns of zeros up to a multiple of eight let whole rows be taken at once.
    """
    n = len(step)
    inverse = np.zeros((n, n + -n % 8), step.dtype)
    row, column = np.empty_like(inverse[0]), np.empty_like(step[0])
    for i in range(n):
        for j in range(n):
            inverse[i, j] = -step[i, j] / 2
        inverse[i, i] += 1
    for k in range(n):
        pivot = inverse[k, k]
        for i in range(n):
            column[i] = inverse[i, k] / pivot
            inverse[i, k] = 0
        column[k] = (pivot - 1) / pivot
        row[:] = inverse[k]
        row[k] = inverse[k, k] = 1
        for i in range(n):
            factor = column[i]
            for j in range(len(row)):
                inverse[i, j] -= factor * row[j]
    rotation = np.empty_like(step)
    for i in range(n):
        for j in range(n):
            rotation[i, j] = 2 * inverse[i, j]
        rotation[i, i] -= 1
    return rotation


@part
def _rotate(rotation, moved, rotated, product):
    """The symmetry parts of R (T + L) R', written to rotated."""
    n = len(rotation)
    _multiply(rotation, moved[:n] + moved[n:], product)
    _multiply(product, rotation.T, rotated[:n])
    for i in range(n):
        for j in range(i + 1):
            upper, lower = rotated[j, i] / 2, rotated[i, j] / 2
            rotated[i, j] = rotated[j, i] = upper + lower
            rotated[n + i, j], rotated[n + j, i] = lower - upper, upper - lower


@part
def _loss(odd, even, moved):
    odd, even, moved, total = _flat(odd), _flat(even), _flat(moved), odd.dtype.type(0)
    size = len(odd)
    for i in range(size):
        total += (moved[i] - even[i]) ** 2 + (moved[size + i] - odd[i]) ** 2
    return total / 2


@part
def _multiply(x, y, out):
    np.dot(x, y, out)


@part
def _copy(x, out):
    for i in range(len(x)):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j]


@part
def _antisymmetrise(x):
    """X - X', in place."""
    for i in range(len(x)):
        for j in range(i + 1):
            x[i, j] -= x[j, i]
            x[j, i] = -x[i, j]


@part
def _dot(x, y):
    x, y, total = _flat(x), _flat(y), x.dtype.type(0)
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@part
def _length(step, inverse):
    """Of a step, in the norm of the curvature."""
    step, inverse, total = _flat(step), _flat(inverse), step.dtype.type(0)
    for i in range(len(step)):
        total += step[i] ** 2 / inverse[i]
    return np.sqrt(total)
