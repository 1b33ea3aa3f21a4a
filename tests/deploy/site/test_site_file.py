"""A handwritten site file: its permitted and forbidden content, and the site that a verb uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import site_last
from deploy.site.access import kafka_access
from deploy.site.endpoints import Endpoints, read_site
from deploy.site.installation import Installation, environment, install
from deploy.site.open import instance_kind, instance_settings, owned_databases, site, state_directory
from deploy.site.options import Options
from shared.core.errors import Refused, Unavailable

KAFKA = {
    "bootstrap_servers": "kafka-1.example:9093,kafka-2.example:9093",
    "security_protocol": "SASL_SSL",
    "passwords": {"audit": "sesame"},
    "password_files": {"admin": "secrets/admin"},
}
DATABASE = {f"{role}_url": f"postgresql://{role}:sesame@db.example/hotline" for role in ("service", "owner")}
SITE = {
    "kafka": KAFKA,
    "databases": {"hotline": DATABASE | {"accountant_url": "postgresql://accountant:sesame@db.example/hotline"}},
    "http": {"hotline": "https://hotline.example", "audit": "https://audit.example:8443"},
}


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CAUSEWAY_SITE", "CAUSEWAY_DEV_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "site.json"
    file.write_text(json.dumps(SITE | changes))
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "admin").write_text("open sesame\n")
    return file


def kafka(**changes: Any) -> dict[str, Any]:
    return KAFKA | changes


def test_a_public_authority_needs_no_file_and_a_password_may_be_in_one(tmp_path: Path) -> None:
    endpoints = read_site(written(tmp_path))
    access = kafka_access(endpoints, "admin")
    assert (access.username, access.password, access.tls, access.ca_file) == ("admin", "open sesame", True, None)
    assert kafka_access(endpoints, "audit").password == "sesame"
    renamed = read_site(written(tmp_path, kafka=kafka(admin_username="operations")))
    names = [kafka_access(renamed, principal).username for principal in ("admin", "audit")]
    assert (names, renamed.kafka.librdkafka_options("admin")["sasl.username"]) == (
        ["operations", "audit"],
        "operations",
    )
    options = endpoints.kafka.librdkafka_options("admin")
    assert (options["security.protocol"], options["sasl.password"]) == ("SASL_SSL", "open sesame")


def test_both_kinds_of_client_use_one_system_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store.pem"
    store.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    assert read_site(written(tmp_path)).kafka.librdkafka_options("admin")["ssl.ca.location"] == str(store)


def test_what_a_site_file_names_stands_beside_it_or_where_it_says(tmp_path: Path) -> None:
    file = written(tmp_path / "etc", kafka=kafka(ca_file="ca.pem"), state="../var")
    here = site(Options(site=file))
    assert here.endpoints.kafka.ca_file == tmp_path / "etc" / "ca.pem"
    assert here.state == tmp_path / "etc" / ".." / "var"
    assert here.endpoints.kafka.librdkafka_options("admin")["ssl.ca.location"] == str(tmp_path / "etc" / "ca.pem")
    assert site(Options(site=written(tmp_path / "etc"))).state == tmp_path / "etc"


DATABASE_FIELD = "/databases/hotline/owner_url"
URLS = dict.fromkeys(("service_url", "owner_url", "accountant_url"), "postgresql://role:word@db.example/hotline")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kafka": kafka(cafile="ca.pem")}, "/kafka/cafile"),
        ({"kafka": kafka(security_protocol="SSL")}, "/kafka/security_protocol"),
        ({"kafka": kafka(security_protocol="SASL_PLAINTEXT", ca_file="ca.pem")}, "/kafka"),
        ({"kafka": kafka(security_protocol="PLAINTEXT")}, "/kafka"),
        ({"kafka": kafka(passwords={"admin": "sesame"})}, "/kafka"),
        ({"databases": {"hotline": DATABASE}}, "/databases/hotline/accountant_url"),
        ({"databases": {"hotline": URLS | {"owner_url": "postgresql://owner:sesame/part@db/hotline"}}}, DATABASE_FIELD),
        (
            {"databases": {"hotline": URLS | {"owner_url": "postgresql://owner:sesame@db:99999/hotline"}}},
            DATABASE_FIELD,
        ),
        ({"http": {"hotlin": "https://hotline.example"}}, "/"),
        ({"http": {"platforms": "https://platforms.example"}, "kinds": {"platforms": "platform"}}, "/"),
        ({"kinds": {"platforms": "industry"}}, "/"),
        ({"http": {"hotline_owner": "https://hotline.example"}, "kinds": {"hotline_owner": "hotline"}}, "/"),
        ({"http": {"admin": "https://hotline.example"}, "kinds": {"admin": "hotline"}}, "/"),
        ({"statedir": "."}, "/statedir"),
    ],
)
def test_a_wrong_site_file_is_refused_by_its_field(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused, match="site_invalid") as refused:
        read_site(written(tmp_path, **changes))
    assert refused.value.field == field
    assert "sesame" not in f"{refused.value}{refused.value.__cause__}"


def test_what_a_site_does_not_have_is_said_where_it_is_asked_for(tmp_path: Path) -> None:
    endpoints = read_site(written(tmp_path, kafka=kafka(password_files={"admin": "secrets/none"})))
    with pytest.raises(Refused, match="instance_not_in_site"):
        endpoints.database("audit")
    with pytest.raises(Refused, match="instance_not_in_site"):
        endpoints.address("industry")
    with pytest.raises(Unavailable, match="kafka_password_missing"):
        endpoints.kafka.password("industry")
    with pytest.raises(Unavailable, match="password_file_unreadable"):
        endpoints.kafka.password("admin")


def test_an_instance_is_of_the_kind_that_the_site_says_and_may_have_any_name(tmp_path: Path) -> None:
    addresses = SITE["http"] | {name: f"https://{name}.example" for name in ("industry", "platforms")}
    here = written(tmp_path, http=addresses, kinds={"platforms": "industry"})
    endpoints = read_site(here)
    assert {name: endpoints.kind(name) for name in endpoints.instances} == {
        "hotline": "hotline",
        "audit": "audit",
        "industry": "industry",
        "platforms": "industry",
    }
    assert endpoints.of_kind("industry") == ("industry", "platforms")
    assert endpoints.owned("hotline") == ("hotline", DATABASE["owner_url"])
    with pytest.raises(Refused, match="instance_not_in_site"):
        endpoints.kind("law_enforcement")


def test_an_instance_of_the_environment_needs_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds of the sample's instances are known by name. For another instance the site file must state the kind."""
    monkeypatch.setenv("CAUSEWAY_DEV_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("CAUSEWAY_INDUSTRY_TWO_KAFKA_BOOTSTRAP_SERVERS", "elsewhere.example:9092")
    monkeypatch.setenv("CAUSEWAY_INDUSTRY_TWO_DATABASE_URL", "postgresql://elsewhere.example/two")
    assert instance_kind("industry_two", Options()) == "industry"
    assert owned_databases(Options()) == {"industry_two": ("industry", "postgresql://elsewhere.example/two")}
    monkeypatch.setenv("CAUSEWAY_PLATFORMS_KAFKA_BOOTSTRAP_SERVERS", "elsewhere.example:9092")
    monkeypatch.setenv("CAUSEWAY_PLATFORMS_DATABASE_URL", "postgresql://elsewhere.example/platforms")
    for asked in (lambda: instance_kind("platforms", Options()), lambda: owned_databases(Options())):
        with pytest.raises(Refused, match="instance_kind_unknown"):
            asked()


def test_the_nearest_word_says_which_site_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, stack = written(tmp_path / "named"), tmp_path / "stack"
    stack.mkdir()
    Endpoints.model_validate(SITE).save(stack)
    monkeypatch.setenv("CAUSEWAY_DEV_STATE_DIR", str(stack))
    assert state_directory(Options()) == site(Options()).state == stack
    monkeypatch.setenv("CAUSEWAY_SITE", str(named))
    assert state_directory(Options()) == site(Options()).state == named.parent
    assert site(Options(state=stack)).state == stack
    monkeypatch.delenv("CAUSEWAY_SITE")
    assert site(Options(site=named)).file == named
    with pytest.raises(Refused, match="site_named_twice"):
        site(Options(site=named, state=stack))
    with pytest.raises(Refused, match="site_missing"):
        site(Options(site=tmp_path / "nobody.json"))


def test_a_named_site_is_not_mixed_with_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_HOTLINE_DATABASE_URL", "postgresql://elsewhere.example/hotline")
    monkeypatch.setenv("CAUSEWAY_AUDIT_KAFKA_BOOTSTRAP_SERVERS", "elsewhere.example:9092")
    assert owned_databases(Options()) == {"hotline": ("hotline", "postgresql://elsewhere.example/hotline")}
    assert instance_settings("audit", Options()) == {}
    monkeypatch.setenv("CAUSEWAY_SITE", str(written(tmp_path)))
    assert owned_databases(Options()) == {"hotline": ("hotline", "postgresql://owner:sesame@db.example/hotline")}
    with pytest.raises(Refused, match="instance_not_in_site"):
        instance_settings("audit", Options())


def test_an_instance_is_told_all_that_the_site_says_of_kafka(tmp_path: Path) -> None:
    passwords = kafka(passwords={"hotline": "sesame"}, password_files={}, ca_file="ca.pem")
    endpoints = read_site(written(tmp_path, kafka=passwords))
    told = environment(Installation(tmp_path), endpoints, "hotline")
    assert told["CAUSEWAY_HOTLINE_KAFKA_TLS"] == "true"
    assert told["CAUSEWAY_HOTLINE_KAFKA_CA_FILE"] == str(tmp_path / "ca.pem")
    assert told["CAUSEWAY_HOTLINE_KAFKA_USERNAME"] == "hotline"
    assert told["CAUSEWAY_HOTLINE_HTTP_PORT"] == "443"


def test_what_was_installed_without_an_instance_says_so_before_the_instance_waits_for_ever(tmp_path: Path) -> None:
    endpoints = read_site(written(tmp_path))
    (tmp_path / "directory.json").write_text(json.dumps({"instances": [{"id": "hotline"}]}))
    with pytest.raises(Refused, match="installed_without_instance") as refused:
        install(tmp_path, endpoints)
    assert "no audit:" in refused.value.detail
    assert not (tmp_path / "keys").exists()


def test_a_misspelt_key_of_a_site_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_SITE_FILE", "site.json")
    with pytest.raises(Refused, match="unknown_setting"):
        site(Options())


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        (["--site", "f.json", "topics", "diff", "--json"], ["topics", "diff", "--json", "--site", "f.json"]),
        (["--site=f.json", "doctor"], ["doctor", "--site=f.json"]),
        (["doctor", "--site", "f.json"], ["doctor", "--site", "f.json"]),
        ([], []),
    ],
)
def test_the_site_may_be_named_before_the_verb(words: list[str], moved: list[str]) -> None:
    assert site_last(words) == moved
