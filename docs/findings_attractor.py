"""What Guilhot et al. 2024 (arXiv:2410.24070) claim on attractors, and what the suite finds.

    python docs/findings_attractor.py RESULTS [PAGE]

Reads the rows in the folder RESULTS and writes PAGE, docs/findings-attractor.md when left out:
claim, published number, found number with its 95 % t-interval over seeds, verdict. No verdict is
typed: RULES says how each follows from the numbers. COMMANDS makes the rows; what has not been run
is named on the page. Published numbers: the authors' code and the outputs of their notebooks
(github qglht/RepAL); CKA and Procrustes are angles times 2 / pi there, DSA is in radians.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from published_attractor import ill_posed, mixtures, regimes, shared_motifs
from verdicts import (
    CEILING,
    METRICS,
    PUBLISHED_DSA,
    RANKED,
    Claim,
    Found,
    chance_verdicts,
    claim_of_best,
    matrices,
    rows_of,
    scores,
    summary,
    table,
    threshold,
)

from repsim.results import read_rows
from repsim.rules import SEPARATION
from testcases.attractor import sampling

COMMANDS = f"""\
repsim board --suite attractor --seeds 20 --results RESULTS
repsim board linear_cka angular_procrustes "{PUBLISHED_DSA["lorenz_regimes"]}" \\
    --suite attractor/lorenz_regimes --seeds 10 --results RESULTS --protocol published
repsim board linear_cka angular_procrustes "{PUBLISHED_DSA["mixing"]}" \\
    --suite attractor/mixing --seeds 10 --results RESULTS --protocol published
repsim board linear_cka angular_procrustes --suite attractor/motifs \\
    --seeds 10 --results RESULTS --protocol published
python docs/findings_attractor.py RESULTS"""
RULES = """\
- DSA has 10 delays and rank 20; **tuned**, both come from held-out prediction, blind to scores.
- A metric is **ahead** in a condition where its interval lies above that of each other method; a
  claim that it is best *holds* if it is ahead in all conditions, *does not hold* if in none, and
  else *depends on* the condition.
- A score is **above chance** where its interval lies above 1/2, **below** where below, else *at*.
- A published number is **reproduced** where it lies, up to half its last digit, inside the 95 %
  prediction interval of one more seed: the paper has one draw.
  DSA's numbers of case B are read off a figure.
- The ratio at which a score falls to .75 is the report card's, with its interval.
- Numbers **fall** where the interval of each lies above that of the next. An answer to noise is
  proportional where halving it divides the distance by 2, up to .05.
- A fit with fewer transitions than its rank is **ill posed**.
- Intervals and verdicts are not corrected for the number of claims."""


STATISTICS = ("relative_speed", "radial_profile")
VERDICTS = {  # by whether DSA and its tuned form are ahead
    (False, False): "neither",
    (True, False): "DSA",
    (False, True): "DSA tuned",
    (True, True): "DSA, also tuned",
}


def noise_robustness(rows: list[dict]) -> Claim:
    """Observation and process noise, matched and independent trials: scores and thresholds."""
    conditions, body = {}, []
    for kind in ("observation", "process"):
        for protocol in ("controlled", "independent"):
            name = f"{kind} noise, {protocol}"
            conditions[name] = found = scores(rows, f"{kind}_noise", protocol)
            for metric, score in found.items():
                own = rows_of(rows, f"{kind}_noise", protocol, METRICS[metric])
                tables = [SEPARATION.by_block(d, truth) for d, truth in matrices(own, metric)]
                body.append([name, metric, str(score), threshold(tables)])
    header = ["condition", "metric", "score", "ratio at which it falls to .75"]
    return Claim(
        "DSA is the most robust to noise",
        "R2 over 3 levels: DSA .982, CKA and Procrustes .964",
        "<br>".join(summary(name, found) for name, found in conditions.items() if found),
        claim_of_best(conditions, "DSA"),
        tuple(table(header, body)),
    )


def signal_over_noise(rows: list[dict]) -> Claim:
    """Controlled case B: equal energies."""
    conditions = {protocol: scores(rows, "mixing", protocol) for protocol in RANKED}
    return Claim(
        "Case B: DSA answers the mixture rather than the noise",
        "mixture .49 .46 .43, noise .18 .17 .15 (energies not equal)",
        "<br>".join(summary(name, found) for name, found in conditions.items() if found),
        chance_verdicts(conditions),
    )


def blindness(rows: list[dict]) -> Iterator[Claim]:
    """Cases in which only the dynamics differ."""
    for case, claim in (
        ("hidden_dynamics", "DSA sees dynamics that condition averages hide; geometry does not"),
        ("conjugacy", "DSA sees one flow through other coordinates; geometry is at chance"),
        ("deformation", "DSA keeps a ring attractor through deformation; geometry does not"),
        ("topology", "DSA sees a line close into a ring; geometry does not"),
        ("surrogates", "DSA tells a process from its reversal, its slowing and its surrogates"),
    ):
        conditions = {protocol: scores(rows, case, protocol) for protocol in RANKED}
        yield Claim(
            claim,
            "stated without these numbers (Ostrow et al. 2023)",
            "<br>".join(summary(name, found) for name, found in conditions.items() if found),
            chance_verdicts(conditions),
        )


def simple_statistics(rows: list[dict]) -> Iterator[str]:
    """What one number or one profile a set tells apart, beside DSA."""
    body = []
    for case in sorted({row["case"].partition("/")[2] for row in rows}):
        for protocol in RANKED:
            dsa = [scores(rows, case, protocol).get(name) for name in ("DSA", "DSA tuned")]
            held = [rows_of(rows, case, protocol, name) for name in STATISTICS]
            if dsa[0] is None or min(map(len, held)) < 2:
                continue
            simple = [Found(np.array([row["value"] for row in own]), CEILING) for own in held]
            best = max(one.high for one in simple)
            ahead = [one is not None and one.low > best for one in dsa]
            body.append([case, protocol, *map(str, (*dsa, *simple)), VERDICTS[tuple(ahead)]])
    if not body:
        return
    yield from ("## What simple statistics tell apart", "")
    yield from (
        "`relative_speed`: mean squared step over variance, one number a set. `radial_profile`: "
        "sorted distances of the samples from their mean. Neither fits dynamics, matches samples "
        "or trials. Where DSA is not ahead of both, a case does not show that DSA is needed.",
        "",
    )
    yield from table(["case", "protocol", "DSA", "DSA tuned", *STATISTICS, "ahead of both"], body)


def sampling_errors(rows: list[dict]) -> Iterator[str]:
    """How distances within a system change as less is recorded."""
    own = [
        row
        for metric in METRICS.values()
        for row in rows_of(rows, "sampling", "controlled", metric)
    ]
    if not own:
        return
    errors = sampling.bias_and_variance(own)
    yield from ("## Bias and variance of distances as less is recorded", "")
    yield from (
        "Distance under a cut less distance in full, of two recordings of one system and of two "
        "systems; in units of the metric, mean over seeds ± standard deviation.",
        "",
    )
    body = [
        [one.metric, one.cut, f"{one.fraction:g}", one.pair, f"{one.full:.3f}",
         f"{one.bias:+.3f} ± {one.variance**0.5:.3f}"]
        for one in errors.itertuples()
    ]  # fmt: skip
    yield from table(["metric", "cut", "kept", "pair", "full", "change"], body)


def page(rows: list[dict]) -> str:
    """The whole page as Markdown."""
    claims = [
        noise_robustness(rows), *regimes(rows), *mixtures(rows), signal_over_noise(rows),
        *shared_motifs(rows), *ill_posed(), *blindness(rows),
    ]  # fmt: skip
    header = ["claim", "published", "found", "verdict"]
    body = [[c.claim, c.published, c.found or "not run", c.verdict] for c in claims]
    versions = sorted({(r["case"], r["case_version"]) for r in rows if r["suite"] == "attractor"})
    return "\n".join([
        "# What the attractor suite finds",
        "",
        "Written by `docs/findings_attractor.py` from results, never by hand. To make it again:",
        "",
        "```sh", COMMANDS, "```",
        "",
        "Found numbers: mean over seeds with its 95 % interval, or ± standard deviation.",
        "",
        RULES,
        "",
        *table(header, body),
        "## Noise: score and threshold",
        "",
        *claims[0].details,
        *simple_statistics(rows),
        *sampling_errors(rows),
        "Cases: " + ", ".join(f"{case} version {version}" for case, version in versions) + ".",
        "",
    ])  # fmt: skip


def main() -> None:
    """Read the folder, write the page, say how its rows are made."""
    if len(sys.argv) not in (2, 3):
        raise SystemExit(f"Give a folder of results. These commands make one:\n\n{COMMANDS}")
    target = Path(sys.argv[2] if len(sys.argv) == 3 else "docs/findings-attractor.md")
    target.write_text(page(read_rows(sys.argv[1])))
    print(f"wrote {target}; its rows are made by\n\n{COMMANDS}")


if __name__ == "__main__":
    main()
