"""Models that generate activations, one paper a file. MODELS is the table: a name, and where it lives."""

MODELS: dict[str, str] = {}
