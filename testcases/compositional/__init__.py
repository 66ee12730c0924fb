"""Do networks that learned parts of a task share dynamics with those that learned the whole?

The tasks that the networks learn, each with the best accuracy that any observer could reach, are in
tasks.py.
"""

SUITE: tuple = ()
