"""Jars come from a locked list and are verified before each use."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from deploy.devstack.jars import Jar, ensure_jars
from shared.core.errors import Refused, Unavailable

DELIVERED = b"harmless bytes of a jar\n"


def silent(text: str) -> None:
    """Ignore progress messages."""


def jar(content: bytes) -> Jar:
    return Jar("org.example", "sample", "1.0", hashlib.sha512(content).hexdigest())


#: Replacements of the two clients, each of which delivers one jar to the place that the real one would use.
LOCKED = '#!/bin/sh\n[ "$3" = org.example:sample:1.0 ] && printf "harmless bytes of a jar\\n" > "$4"\n'
MAVEN = (
    '#!/bin/sh\nfor word; do case "$word" in -DoutputDirectory=*) folder="${word#*=}";; esac; done\n'
    'echo "[INFO] Downloaded from sample: repository/sample-1.0.jar (24 B)"\n'
    'printf "harmless bytes of a jar\\n" > "$folder/sample-1.0.jar"\n'
)
FAILING = "#!/bin/sh\necho no route; exit 1\n"


class Clients:
    """A machine whose Python and `mvn` are replaced; no registry is contacted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.set("python", LOCKED)
        self.set("mvn", FAILING)

    def set(self, name: str, text: str) -> None:
        program = self.folder / name
        program.write_text(text)
        program.chmod(0o755)


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clients:
    one = Clients(tmp_path / "programs")
    monkeypatch.setenv("PATH", str(one.folder), prepend=":")
    monkeypatch.setattr(sys, "executable", str(one.folder / "python"))
    return one


@pytest.fixture
def cache(clients: Clients, tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_missing_jar_is_fetched_verified_and_kept(cache: Path) -> None:
    said: list[str] = []
    paths = ensure_jars(cache, said.append, [jar(DELIVERED)])
    assert [path.read_bytes() for path in paths] == [DELIVERED]
    assert "  1/1 sample-1.0.jar" in said


def test_a_delivered_jar_of_another_digest_is_refused_by_name_and_not_kept(cache: Path) -> None:
    with pytest.raises(Refused, match=r"jar_digest_mismatch: sample-1\.0\.jar"):
        ensure_jars(cache, silent, [jar(b"what was locked")])
    assert list(cache.iterdir()) == []


def test_a_kept_jar_that_changed_is_refused_by_name(cache: Path) -> None:
    (path,) = ensure_jars(cache, silent, [jar(DELIVERED)])
    path.write_bytes(DELIVERED + b"changed")
    with pytest.raises(Refused, match=r"jar_digest_mismatch: sample-1\.0\.jar"):
        ensure_jars(cache, silent, [jar(DELIVERED)])


def test_maven_fetches_what_the_locked_client_cannot(cache: Path, clients: Clients) -> None:
    clients.set("python", FAILING)
    clients.set("mvn", MAVEN)
    said: list[str] = []
    assert [path.read_bytes() for path in ensure_jars(cache, said.append, [jar(DELIVERED)])] == [DELIVERED]
    assert "  1/1 sample-1.0.jar" in said


def test_a_client_that_fails_is_reported_and_leaves_nothing(cache: Path, clients: Clients) -> None:
    clients.set("python", FAILING)
    with pytest.raises(Unavailable, match="jars_not_fetched"):
        ensure_jars(cache, silent, [jar(DELIVERED)])
    assert list(cache.iterdir()) == []
