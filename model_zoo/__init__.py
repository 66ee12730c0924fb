"""Models that generate activations, one paper a file. MODELS: a name, and where it lives."""

MODELS: dict[str, str] = {}
