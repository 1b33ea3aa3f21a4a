"""Forbidden content of files: unfinished work, disabled tests, the place of their making, the source of packages.

Every file is read, this one too. A rule and its sample are therefore composed of parts, so that they do not match
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import ROOT, kept_files

#: Hosts that packages, images and their archives come from, with a space for the dot before the last label.
REGISTRY_HOSTS = (
    *("pypi org", "pythonhosted org", "anaconda org", "anaconda com"),
    *("npmjs org", "npmjs com", "yarnpkg com", "unpkg com", "jsdelivr net"),
    *("maven org", "maven.apache org", "repository.apache org", "sonatype org", "sonatype com"),
    *("docker io", "docker com", "ghcr io", "gcr io", "quay io", "pkg dev"),
    *("crates io", "proxy.golang org", "rubygems org", "nuget org", "packagist org"),
    *("deb.debian org", "archive.ubuntu com", "dlcdn.apache org", "archive.apache org", "nodejs org"),
)


def _hosts(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for each of the hosts and every host below it."""
    return re.compile(rf"\b({'|'.join(re.escape(name.replace(' ', '.')) for name in names)})\b", re.IGNORECASE)


#: Rule → (the pattern, the files, a line that it must match).
RULES: dict[str, tuple[re.Pattern[str], str, str]] = {
    "nothing is left to do": (re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b"), r".*", "# TO" + "DO: later"),
    "no test is switched off": (
        re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b|\bunittest\.skip|--deselec[t]\b"),
        r"(tests/.*|pyproject\.toml|Makefile|\.ci/.*)",
        "@pytest.mark." + "skip",
    ),
    "no path of the machine it was made on": (
        re.compile(r"(?<![\w.\]}\"'>/-])/(work|root|home|Users|tmp)/[\w.]"),
        r".*",
        "see /ro" + "ot/notes",
    ),
    "no address that packages are fetched from": (_hosts(REGISTRY_HOSTS), r".*", "--index-url https://py" + "pi.org/x"),
    "no test asserts how long something took": (
        re.compile(r"\bassert\b.*(\belapsed|\btime\.(time|monotonic|perf_counter)\(\) *-)"),
        r"tests/(?!benchmarks/|guard_report/|acceptance/).*\.py",
        "ass" + "ert elapsed_s < 1",
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
        found += findings(rule, name, path.read_text(encoding="utf-8", errors="replace"))
    assert found == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_forbids(rule: str) -> None:
    assert list(findings(rule, "tests/planted.py", RULES[rule][2]))


@pytest.mark.parametrize(
    "name", ["tests/planted.py", "docs/planted.md", "planted.lock", ".ci/planted", "tests/sample.json"]
)
def test_every_registry_is_found_in_every_kind_of_file(name: str) -> None:
    rule = "no address that packages are fetched from"
    for host in REGISTRY_HOSTS:
        for line in ("https://{}/simple", "registry=//sub.{}", "FROM {}/image", "from {}."):
            assert list(findings(rule, name, line.format(host.replace(" ", "."))))
        assert list(findings(rule, name, f"look at {host}")) == []


def addresses(text: str) -> list[str]:
    return re.findall(r"\bhttps?://[^\s\"]+", text)


def test_a_lock_has_names_versions_and_hashes_and_no_address() -> None:
    """This includes a package's home page and its funding: `npm` writes both into the lock file."""
    locks = [each for each in kept_files() if re.fullmatch(r".*(\.lock|-lock\.json)", each.name)]
    assert len(locks) >= 6
    assert {each.name: found for each in locks if (found := addresses(each.read_text(encoding="utf-8")))} == {}
    assert addresses('"funding": {"url": "https://payers.example/one"}'), "the control"
