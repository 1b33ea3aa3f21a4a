"""Keys come from files that only their owner may read, or from the settings, and from nowhere else."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.errors import Refused
from shared.instance.settings import load_keys

SIGNING, OPENING, OLD = SigningKey(b"1" * 32), OpeningKey(b"2" * 32), OpeningKey(b"3" * 32)
KEK_TEXT = b64encode(b"4" * 32).decode()


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    texts = {"signing.key": SIGNING.secret_text(), "opening.key": OPENING.secret_text(), "kek.key": KEK_TEXT}
    for name, text in texts.items():
        write(tmp_path / name, text)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def refused(keys_dir: Path | None) -> Refused:
    with pytest.raises(Refused) as error:
        load_keys(keys_dir)
    return error.value


def test_the_keys_of_an_instance_are_read_from_its_directory(keys_dir: Path) -> None:
    keys = load_keys(keys_dir)
    assert keys.signing.key_id == SIGNING.key_id
    assert keys.opening.keys() == {OPENING.key_id}


def test_an_old_opening_key_stays_beside_the_new_one(keys_dir: Path) -> None:
    write(keys_dir / "opening-2025.key", OLD.secret_text())
    assert load_keys(keys_dir).opening.keys() == {OPENING.key_id, OLD.key_id}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666, 0o610])
@pytest.mark.parametrize("name", ["signing.key", "opening.key", "kek.key"])
def test_a_key_file_that_others_may_touch_is_refused(keys_dir: Path, name: str, mode: int) -> None:
    (keys_dir / name).chmod(mode)
    assert refused(keys_dir).code == "key_file_exposed"


@pytest.mark.parametrize("name", ["signing.key", "opening.key", "kek.key"])
def test_a_key_that_is_missing_is_named(keys_dir: Path, name: str) -> None:
    (keys_dir / name).unlink()
    error = refused(keys_dir)
    assert error.code == "key_missing"
    assert name in error.detail


def test_without_a_directory_and_without_secrets_there_are_no_keys() -> None:
    assert refused(None).code == "key_missing"


def test_a_secret_that_is_given_wins_over_its_file(keys_dir: Path) -> None:
    keys = load_keys(keys_dir, opening_key=SecretStr(OLD.secret_text()))
    assert keys.opening.keys() == {OLD.key_id}


def test_a_malformed_key_is_refused_without_its_text(keys_dir: Path) -> None:
    write(keys_dir / "signing.key", "hunter2")
    error = refused(keys_dir)
    assert error.code == "key_malformed"
    assert "hunter2" not in str(error)
