"""The jars of Kafka: a locked list, fetched by an ordinary client and verified before each use."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from shared.core.errors import Refused, Unavailable

LOCK = Path(__file__).with_name("kafka-jars.lock")
_AT_ONCE: Final = 6


class Jar(NamedTuple):
    """One Maven artifact and the SHA-512 that its file must have."""

    group: str
    artifact: str
    version: str
    sha512: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(lock: Path = LOCK) -> tuple[Jar, ...]:
    """Return the jars of the lock file (`group:artifact:version sha512` per line) in class path order."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return tuple(Jar(*re.split("[: ]", line)) for line in lines if line and not line.startswith("#"))


def ensure_jars(folder: Path, say: Callable[[str], None], jars: Sequence[Jar] | None = None) -> list[Path]:
    """Return the verified paths of all jars, in order; fetch missing ones into `folder` first.

    Raises `Refused("jar_digest_mismatch")`, which names the jar, and `Unavailable("jars_not_fetched")`.
    """
    wanted = locked_jars() if jars is None else jars
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in wanted if not (folder / jar.file_name).exists()]
    if missing:
        say(f"fetching {len(missing)} of {len(wanted)} Kafka jars (about 25 MB, once)")
        with tempfile.TemporaryDirectory(dir=folder) as draft:
            _fetch(missing, Path(draft), say)
            for jar in missing:
                _verify(jar, Path(draft) / jar.file_name)
                # A jar moves into the folder only after its verification.
                (Path(draft) / jar.file_name).replace(folder / jar.file_name)
        say(f"{len(missing)} jars fetched and verified")
    return [_verify(jar, folder / jar.file_name) for jar in wanted]


def _verify(jar: Jar, path: Path) -> Path:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha512").hexdigest() != jar.sha512:
            raise Refused(
                "jar_digest_mismatch",
                f"{jar.file_name} does not have the locked SHA-512: delete it from the jar cache and start again; "
                "if the second download has the same digest, the registry serves another file than the locked one",
            )
    return path


def _fetch(jars: Sequence[Jar], folder: Path, say: Callable[[str], None]) -> None:
    """Fetch with the locked client; fetch the rest with Maven, which may know a mirror."""
    try:
        _fetch_each(jars, folder, say)
    except Unavailable:
        if shutil.which("mvn") is None:
            raise
        _fetch_by_maven([jar for jar in jars if not (folder / jar.file_name).exists()], folder, say)
    absent = [jar.file_name for jar in jars if not (folder / jar.file_name).exists()]
    if absent:
        raise Unavailable("jars_not_fetched", f"not delivered: {', '.join(absent)}")


def _fetch_each(jars: Sequence[Jar], folder: Path, say: Callable[[str], None]) -> None:
    """Fetch several at a time.

    The client makes no other requests, whereas Maven also loads its own plugins, 9 MB.
    """
    fetched = count(1)

    def fetch(jar: Jar) -> None:
        command = [sys.executable, "-m", "maven_artifact.main", ":".join(jar[:3]), str(folder / jar.file_name)]
        _run(command, lambda line: None)
        say(f"  {next(fetched)}/{len(jars)} {jar.file_name}")

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            for done in [threads.submit(fetch, jar) for jar in jars]:
                done.result()
        except Unavailable:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_by_maven(jars: Sequence[Jar], folder: Path, say: Callable[[str], None]) -> None:
    pom = folder / "pom.xml"
    pom.write_text(_pom(jars), encoding="utf-8")
    names = {jar.file_name for jar in jars}
    seen: set[str] = set()

    def on_line(line: str) -> None:
        # Maven prints "Downloaded from ID: ADDRESS/FILE (size)", also for its own plugins: count only the jars.
        name = line.partition(" (")[0].rpartition("/")[2]
        if line.startswith("[INFO] Downloaded ") and name in names - seen:
            seen.add(name)
            say(f"  {len(seen)}/{len(jars)} {name}")

    _run(["mvn", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"], on_line)


def _run(command: list[str], on_line: Callable[[str], None]) -> None:
    """Run a client to its end, passing each line of its output on. If it fails, its last lines are shown."""
    last: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as client:
        for line in client.stdout or ():
            on_line(line)
            last = [*last[-4:], line.rstrip()]
    if client.returncode != 0:
        tail = "\n".join(last)
        raise Unavailable("jars_not_fetched", f"the Maven client failed: is the package registry reachable?\n{tail}")


def _pom(jars: Sequence[Jar]) -> str:
    """Return a project that depends on exactly these jars: every transitive dependency is excluded."""
    dependencies = "".join(
        f"<dependency><groupId>{escape(jar.group)}</groupId><artifactId>{escape(jar.artifact)}</artifactId>"
        f"<version>{escape(jar.version)}</version><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId>"
        "</exclusion></exclusions></dependency>"
        for jar in jars
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion>"
        "<groupId>example</groupId><artifactId>jars</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


if __name__ == "__main__":
    from deploy.devstack.state import DevStackSettings

    ensure_jars(DevStackSettings().causeway_cache_dir / "jars", print)
