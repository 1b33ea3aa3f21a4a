"""Checks of the list of promises: each names existing tests, and a test that did not run breaks its line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.__main__ import apart, judge, of_the_suite, read_report, together
from tests.acceptance.line import Line
from tests.acceptance.lines import LINES, LONG_LINES
from tests.acceptance.long_verbs import LONG_VERBS
from tests.acceptance.verbs import VERBS

ROOT = Path(__file__).parents[2]
MARK = "pytest.mark.long"
ALL = [line for lines in LINES.values() for line in lines]
LINE = Line("a promise", ("tests/a/test_a.py::test_one", "tests/a/test_a.py::test_two"))
ONE = '<testcase classname="tests.a.test_a" name="test_one[x]">{inside}</testcase>'
TWO = '<testcase classname="tests.a.test_a" name="test_two"/>'


def report(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


@pytest.mark.parametrize("line", ALL, ids=lambda line: line.promise[:40])
def test_every_line_names_tests_and_verbs_that_exist(line: Line) -> None:
    assert line.tests or line.verb
    assert line.verb is None or line.verb in VERBS
    for test in line.tests:
        path, _, function = test.partition("::")
        if not function:
            assert (ROOT / path).is_file(), test
            continue
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in names, test


def test_every_verb_is_named_by_a_line() -> None:
    assert {line.verb for line in ALL if line.verb} == VERBS.keys()
    assert [line.verb for line in LONG_LINES] == list(LONG_VERBS)


def test_what_the_suite_has_found_holds_for_its_own_commit_alone(tmp_path: Path) -> None:
    assert of_the_suite(tmp_path, "abc") == {}
    (tmp_path / "1.xml").write_text(report(ONE.format(inside="")))
    (tmp_path / "2.xml").write_text(report(TWO))
    (tmp_path / "commit").write_text("abc")
    assert judge(LINE, of_the_suite(tmp_path, "abc"))[0]
    (tmp_path / "commit").write_text("abc+")
    assert of_the_suite(tmp_path, "abc") == of_the_suite(tmp_path, "abc+") == {}


def test_what_the_default_run_leaves_out_is_named_by_a_line() -> None:
    """Otherwise no run would include it."""
    named = {test for line in ALL for test in line.tests}
    left_out = [*marked_long(ROOT / "tests")]
    assert len(left_out) > 10
    assert [test for test in left_out if not {test, test.partition("::")[0]} & named] == []


def marked_long(folder: Path) -> Iterator[str]:
    """Yield the tests with the marker `long` on all or some of their cases."""
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if MARK not in text or path == Path(__file__):
            continue
        body = ast.parse(text).body
        everything = any(isinstance(node, ast.Assign) and MARK in ast.unparse(node) for node in body)
        functions = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for node in functions:
            marked = everything or any(MARK in ast.unparse(each) for each in node.decorator_list)
            if marked and node.name.startswith("test_"):
                yield f"{path.relative_to(ROOT)}::{node.name}"


WITHIN = '<testcase classname="tests.a.test_a.TestIt" name="test_three"><failure/></testcase>'
FIGURES = """<properties><property name="figure" value="3 of 3"/><property name="cells" value="7"/>
    <property name="share" value="1.5"/></properties>"""
CASE, MODULE = ONE.format(inside=FIGURES), Line("a promise", ("tests/a/test_a.py",))


@pytest.mark.parametrize(
    ("line", "cases", "judged"),
    [
        (
            LINE,
            [ONE.format(inside=FIGURES)] * 2 + [TWO],
            [*["3 of 3", "share 1.5"] * 2, "14 cells", "3 of 3 tests passed"],
        ),
        (LINE, [TWO], None),
        *(
            (LINE, [ONE.format(inside=f"<{tag}/>"), ONE.format(inside=""), TWO], None)
            for tag in ("failure", "error", "skipped")
        ),
        (MODULE, [ONE.format(inside=""), TWO], ["2 of 2 tests passed"]),
        (MODULE, [ONE.format(inside="<failure/>"), TWO], None),
        (MODULE, [TWO, WITHIN], None),
        (MODULE, [], None),
    ],
)
def test_a_line_is_kept_if_all_cases_of_its_tests_ran_and_passed(
    line: Line, cases: list[str], judged: list[str] | None
) -> None:
    kept, figures = judge(line, read_report(report(*cases)))
    assert kept is (judged is not None)
    assert judged in (None, figures)


def test_what_runs_apart_counts_beside_what_the_suite_has_found() -> None:
    suite, long = read_report(report(ONE.format(inside=""), TWO)), read_report(report(ONE.format(inside="<failure/>")))
    assert judge(LINE, together(suite, long)) == (False, ["2 of 3 tests passed"])
    assert apart(["tests/b.py::test_b", "tests/a.py", "tests/a.py::test_a"]) == ["tests/a.py", "tests/b.py::test_b"]
