"""What no kept file may say: unfinished work, switched-off tests, where it was made, where packages come from."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import ROOT, kept_files

HERE = "tests/architecture/test_text.py"  # this file spells out what it looks for

#: Rule → (what is looked for, in which files, a line that must be found).
RULES: dict[str, tuple[re.Pattern[str], str, str]] = {
    "nothing is left to do": (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), r".*", "# TODO: later"),
    "no test is switched off": (
        re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b|\bunittest\.skip|--deselect\b"),
        r"(tests/.*|pyproject\.toml|Makefile|\.ci/.*)",
        "@pytest.mark.skip",
    ),
    "no path of the machine it was made on": (
        re.compile(r"(?<![\w.\]}\"'>/-])/(work|root|home|Users|tmp)/[\w.]"),
        r".*",
        "see /root/notes",
    ),
    "no address that packages are fetched from": (
        re.compile(r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|repo1?\.maven\.(org|apache\.org))\b"),
        r".*",
        "--index-url https://pypi.org/simple",
    ),
    "no test asserts how long something took": (
        re.compile(r"\bassert\b.*(\belapsed|\btime\.(time|monotonic|perf_counter)\(\) *-)"),
        r"tests/(?!benchmarks/|guard_report/|acceptance/).*\.py",
        "assert elapsed_s < 1",
    ),
}


def findings(rule: str, name: str, text: str) -> Iterator[str]:
    pattern, where, _ = RULES[rule]
    if re.fullmatch(where, name):
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                yield f"{name}:{number}"


@pytest.mark.parametrize("rule", RULES)
def test_no_kept_file_says_it(rule: str) -> None:
    found = []
    for path in kept_files():
        name = str(path.relative_to(ROOT))
        if name != HERE:
            found += findings(rule, name, path.read_text(encoding="utf-8", errors="replace"))
    assert found == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_forbids(rule: str) -> None:
    assert list(findings(rule, "tests/planted.py", RULES[rule][2]))
