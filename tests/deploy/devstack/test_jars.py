"""Jars come from a locked list and are verified before each use."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from deploy.devstack.jars import Jar, ensure_jars, locked_jars
from shared.kernel.errors import Refused, Unavailable

DELIVERED = b"harmless bytes of a jar\n"


def silent(text: str) -> None:
    """Progress that nobody reads."""


def jar(content: bytes) -> Jar:
    return Jar("org.example", "sample", "1.0", hashlib.sha512(content).hexdigest())


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search path on which `mvn` delivers one jar into the folder it is told, as the real one does."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "mvn"
    program.write_text(
        '#!/bin/sh\nfor word; do case "$word" in -DoutputDirectory=*) folder="${word#*=}";; esac; done\n'
        'echo "[INFO] Downloaded from sample: repository/sample-1.0.jar (24 B)"\n'
        'printf "harmless bytes of a jar\\n" > "$folder/sample-1.0.jar"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return tmp_path / "cache"


def test_a_missing_jar_is_fetched_verified_and_kept(maven: Path) -> None:
    said: list[str] = []
    paths = ensure_jars(maven, said.append, [jar(DELIVERED)])
    assert [path.read_bytes() for path in paths] == [DELIVERED]
    assert "  1/1 sample-1.0.jar" in said


def test_a_delivered_jar_of_another_digest_is_refused_by_name_and_not_kept(maven: Path) -> None:
    with pytest.raises(Refused, match=r"jar_digest_mismatch: sample-1\.0\.jar"):
        ensure_jars(maven, silent, [jar(b"what was locked")])
    assert list(maven.iterdir()) == []


def test_a_kept_jar_that_changed_is_refused_by_name(maven: Path) -> None:
    (path,) = ensure_jars(maven, silent, [jar(DELIVERED)])
    path.write_bytes(DELIVERED + b"changed")
    with pytest.raises(Refused, match=r"jar_digest_mismatch: sample-1\.0\.jar"):
        ensure_jars(maven, silent, [jar(DELIVERED)])


def test_a_client_that_fails_is_reported_and_leaves_nothing(maven: Path) -> None:
    (maven.parent / "programs" / "mvn").write_text("#!/bin/sh\necho no route; exit 1\n")
    with pytest.raises(Unavailable, match="jars_not_fetched"):
        ensure_jars(maven, silent, [jar(DELIVERED)])
    assert list(maven.iterdir()) == []


def test_each_locked_jar_has_a_whole_sha512_and_kafka_is_4_3() -> None:
    jars = locked_jars()
    assert all(re.fullmatch("[0-9a-f]{128}", one.sha512) for one in jars)
    assert len({one.file_name for one in jars}) == len(jars)
    kafka = {one.version for one in jars if one.group == "org.apache.kafka"}
    assert len(kafka) == 1
    assert kafka.pop().startswith("4.3.")
