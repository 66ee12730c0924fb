"""18 of the 20 ring tasks of Yang et al. 2019: what is shown when, and what it asks for.

    family     epochs, in order                                            stimuli on in
    fd         fixation, stimulus, go                                      stimulus and go
    react      fixation, go                                                go
    delay      fixation, stimulus, delay, go                               stimulus
    dm         fixation, stimulus, go                                      both in stimulus
    delaydm    fixation, stimulus, delay, stimulus_2, delay_2, go          one each
    match      fixation, stimulus, delay, go                               stimulus; go

Durations are those of the authors' training, drawn anew for each trial; where they draw uniformly,
ours lie on a grid of 100 ms. "test" has their fixed durations, "short" is "train" without what is
longer than 800 ms. The two that weigh both rings together, multidm and multidelaydm, are left out:
their ceiling has no closed form. Source: Yang, Joglekar, Song, Newsome, Wang 2019 (Nature
Neuroscience 22:297), names and durations as in the authors' code (gyyang/multitask, task.py).
"""

from dataclasses import dataclass

from repsim.errors import InputError
from testcases.compositional.timing import Timing

SOME = (200, 400, 600)
DELAYS = (200, 400, 800, 1600)


def every_100(low: int, high: int) -> tuple[int, ...]:
    """Durations in ms from low to high, both included."""
    return tuple(range(low, high + 1, 100))


TRAIN: dict[str, Timing] = {
    "fd": {"fixation": every_100(300, 700), "stimulus": every_100(500, 1500), "go": (500,)},
    "react": {"fixation": every_100(500, 2500), "go": (500,)},
    "delay": {"fixation": (300, 500, 700), "stimulus": SOME, "delay": DELAYS, "go": (500,)},
    "dm": {"fixation": every_100(100, 400), "stimulus": (400, 800, 1600), "go": (500,)},
    "delaydm": {
        "fixation": SOME,
        "stimulus": SOME,
        "delay": DELAYS,
        "stimulus_2": SOME,
        "delay_2": every_100(100, 300),
        "go": (500,),
    },
    "dms": {"fixation": SOME, "stimulus": SOME, "delay": DELAYS, "go": (500,)},
    "dmc": {"fixation": SOME, "stimulus": SOME, "delay": DELAYS, "go": SOME},
}
TEST: dict[str, tuple[int, ...]] = {
    "fd": (500, 1000, 500),
    "react": (2000, 500),
    "delay": (500, 500, 1000, 500),
    "dm": (500, 1500, 500),
    "delaydm": (500, 500, 1000, 500, 200, 300),
    "dms": (500, 500, 1200, 500),
    "dmc": (500, 500, 1200, 500),
}
SHOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fd": (("stimulus", "go"), ()),
    "react": (("go",), ()),
    "delay": (("stimulus",), ()),
    "dm": (("stimulus",), ("stimulus",)),
    "delaydm": (("stimulus",), ("stimulus_2",)),
    "dms": (("stimulus",), ("go",)),
    "dmc": (("stimulus",), ("go",)),
}
WITHOUT_CUE = ("react", "dms", "dmc")


@dataclass(frozen=True)
class Rule:
    """One task.

    family      key of the tables above
    anti        go opposite the stimulus
    ring        1 or 2: the ring that counts; 0: any, drawn for each stimulus
    context     the other ring shows strengths of its own, to be ignored
    nogo        stay when the stimuli match, in place of when they do not
    """

    family: str
    anti: bool = False
    ring: int = 0
    context: bool = False
    nogo: bool = False

    @property
    def shown(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Epochs in which the first and the second stimulus are on."""
        return SHOWN[self.family]

    @property
    def decides(self) -> bool:
        """Is it about which of two stimuli is stronger?"""
        return self.family in ("dm", "delaydm")

    @property
    def matches(self) -> bool:
        """Is it about whether two stimuli match?"""
        return self.family in ("dms", "dmc")

    @property
    def cue(self) -> bool:
        """Does the fixation input go off to say go? Otherwise the stimulus says it."""
        return self.family not in WITHOUT_CUE


RULES = {
    "fdgo": Rule("fd"),
    "reactgo": Rule("react"),
    "delaygo": Rule("delay"),
    "fdanti": Rule("fd", anti=True),
    "reactanti": Rule("react", anti=True),
    "delayanti": Rule("delay", anti=True),
    "dm1": Rule("dm", ring=1),
    "dm2": Rule("dm", ring=2),
    "contextdm1": Rule("dm", ring=1, context=True),
    "contextdm2": Rule("dm", ring=2, context=True),
    "delaydm1": Rule("delaydm", ring=1),
    "delaydm2": Rule("delaydm", ring=2),
    "contextdelaydm1": Rule("delaydm", ring=1, context=True),
    "contextdelaydm2": Rule("delaydm", ring=2, context=True),
    "dmsgo": Rule("dms"),
    "dmsnogo": Rule("dms", nogo=True),
    "dmcgo": Rule("dmc"),
    "dmcnogo": Rule("dmc", nogo=True),
}


def rule_timing(rule: str, timing: str | Timing) -> dict[str, tuple[float, ...]]:
    """Durations in ms of the epochs of a rule: train, test, short, or one's own.

    raises  InputError for an unknown timing, or other epochs than the rule has
    """
    train = TRAIN[RULES[rule].family]
    if not isinstance(timing, str):
        if tuple(timing) != tuple(train):
            raise InputError(
                f"timing has epochs {', '.join(timing)}; {rule} has {', '.join(train)}. Give "
                "durations in ms for these, in that order."
            )
        return {name: tuple(durations) for name, durations in timing.items()}
    if timing == "train":
        return dict(train)
    if timing == "test":
        fixed = TEST[RULES[rule].family]
        return {name: (ms,) for name, ms in zip(train, fixed, strict=True)}
    if timing == "short":
        return {name: tuple(ms for ms in each if ms <= 800) for name, each in train.items()}
    raise InputError(
        f"timing is {timing!r}. Take train, test, short, or a mapping of epoch -> durations in ms."
    )
