"""What can go wrong, in words a user can act on: what is wrong, with numbers, and the way out."""


class RepsimError(ValueError):
    """What a user can put right: bad data, an unknown name, results that do not fit together."""


class InputError(RepsimError):
    """Activations that a metric or a test case cannot use."""


class MetricError(RepsimError):
    """A metric that raised, returned no number, changed its input or broke a promise."""
