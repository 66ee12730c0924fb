"""The Gram matrices of a delay embedding from lagged covariances, without the embedding.

block (i, j) of H'H = sum_t x_{t-i tau} x_{t-j tau}'        t over the windows of every trial
block (i + 1, j + 1) = block (i, j) + terms before the first window - terms of the last tau windows

so that the first row of blocks (delays lagged covariances) and the tau windows at both ends of
every trial give them all. The same holds for H_-' H_+, which pairs each window with the next.
"""

from typing import Any

from array_api_compat import array_namespace

from repsim.dynamics.trials import Trials


def lag_grams(trials: Trials) -> tuple[Any, Any, Any]:
    """H'H over all windows, H_l'H_l over the last of each trial, and H_-'H_+ over transitions.

    returns  three (delays * unit, delays * unit) matrices, blocks ordered from the newest lag
    cost     3 delays time unit^2 a trial, 2 delays at interval 1; the embedding takes
             2 delays^2 time unit^2. Memory: the matrices and one chunk of trials
    """
    total = None
    for chunk in trials.chunks():
        grams = _of_chunk(chunk, trials.delays, trials.interval)
        total = grams if total is None else tuple(x + y for x, y in zip(total, grams, strict=True))
    return total


def _of_chunk(chunk: Any, delays: int, interval: int) -> tuple[Any, Any, Any]:
    xp = array_namespace(chunk)
    flat = xp.reshape(xp.permute_dims(chunk, (1, 0, 2)), (-1,))
    steps = xp.reshape(flat, (chunk.shape[1], -1, chunk.shape[2]))  # contiguous: no copies below
    n_units, reach, end = chunk.shape[2], (delays - 1) * interval, chunk.shape[1]

    def covariance(start: int, stop: int, left: int, right: int) -> Any:
        """Sum over start <= t < stop of x_{t-left} x_{t-right}'."""
        first = xp.reshape(steps[start - left : stop - left], (-1, n_units))
        second = xp.reshape(steps[start - right : stop - right], (-1, n_units))
        return first.T @ second

    def windows(start: int, stop: int, n_lags: int) -> Any:
        """The embedding with n_lags delays, rows ending at start <= t < stop."""
        lagged = [steps[start - j * interval : stop - j * interval] for j in range(n_lags)]
        return xp.reshape(xp.concat(lagged, axis=-1), (-1, n_lags * n_units))

    def ends(ahead: int) -> Any:
        """What blocks gain at the start of every trial and lose at its end, one block on."""
        first, last = reach - interval, end - ahead - interval
        gained, lost = (windows(t, t + interval, delays - 1) for t in (first, last))
        if not ahead:
            return gained.T @ gained - lost.T @ lost
        follow = (windows(t + 1, t + 1 + interval, delays - 1) for t in (first, last))
        return gained.T @ next(follow) - lost.T @ next(follow)

    lags = [j * interval for j in range(delays)]
    row = [covariance(reach, end, 0, lag) for lag in lags]
    gram = _shifted(row, [block.T for block in row], ends(0) if delays > 1 else None)
    newest = windows(end - 1, end, delays)
    last = newest.T @ newest
    column = [covariance(reach, end - 1, lag, -1) for lag in lags]
    if interval == 1:  # all but the newest lag of the next window are lags of this one
        kept = (gram - last)[:, : (delays - 1) * n_units]
        return gram, last, xp.concat([xp.concat(column, axis=0), kept], axis=1)
    row = column[:1] + [covariance(reach, end - 1, 0, lag - 1) for lag in lags[1:]]
    return gram, last, _shifted(row, column, ends(1) if delays > 1 else None)


def _shifted(row: list[Any], column: list[Any], change: Any) -> Any:
    """The matrix of blocks from its first row and column; change is (i + 1, j + 1) less (i, j)."""
    xp = array_namespace(row[0])
    n_units = row[0].shape[0]
    rows = [xp.concat(row, axis=1)]
    for i in range(1, len(column)):
        moved = rows[-1][:, :-n_units] + change[(i - 1) * n_units : i * n_units]
        rows.append(xp.concat([column[i], moved], axis=1))
    return xp.concat(rows, axis=0)
