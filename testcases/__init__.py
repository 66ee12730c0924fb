"""Test cases with known truth. SUITES is the table: a name, and where its cases are listed."""

SUITES = {"attractor": "testcases.attractor:SUITE"}
