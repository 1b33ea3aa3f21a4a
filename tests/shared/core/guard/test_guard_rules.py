"""L2: the format of each kind of value, with one accepted and one refused example per rule."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import Refused
from shared.core.guard import as_kept, inspect
from shared.core.guard.edition import own
from shared.core.guard.leaves import Leaf
from shared.core.guard.rules import check_rules
from tests.shared.core.guard.records import located, record, refusal

AT = "2026-01-11T10:11:12.000Z"


@pytest.mark.parametrize(
    "url",
    [
        "https://site.example/",
        "http://203.0.113.9:8080/a.jpg",
        "https://[2001:db8:85a3::8a2e:370:7334]:8443/x",
        "https://r3---sn-5hne6nz.video.example/videoplayback?id=1",
        "https://xn--80aafgqn1a7d.example/%D1%84%D0%BE%D1%82%D0%BE",
        "https://anna-.blogs.example/-a-",
        f"https://{'a1.' * 30}example/",
        "https://my_bucket.files.example/a_b/c-d.png#top",
        "https://site.example/%83%56%83%83%81%5B.html",
        "https://site.example/search?q=100%25+cotton&hl=en",
        "https://out.example/l?u=https%3A%2F%2Fsite.example%2F%25D1%2584",
    ],
)
def test_an_ordinary_address_is_accepted(url: str) -> None:
    inspect(as_kept(located(url)))


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("javascript:alert(1)", "scheme"),
        ("magnet:?xt=urn:btih:1", "other_kind"),
        ("https:///", "no_host"),
        (f"https://site.example/{'я' * 400}", "too_long"),
        ("https://a.example/ https://b.example/", "two_addresses"),
        ("https://site.example:99999/", "host_port"),
        ("https://site.example:0/", "host_port"),
        ("https://(site.example/", "host_label"),
        ("https://a..example/", "host_label"),
        (f"https://{'a' * 64}.example/", "host_label"),
        (f"https://{'a.' * 124}example/", "host"),
        ("https://s%FF.example/", "host"),
        ("https://[2001:db8::zz]/", "host_literal"),
        ("https://[2001:db8::1]x/", "host_literal"),
        ("https://site.example/%61", "not_canonical"),
        ("https://SITE.example/", "not_canonical"),
        ("https://site.example/%00/a", "control_character"),
        ("https://site.example/%C2%89a", "control_character"),
        ("https://site.example/%E2%80%AEa", "control_character"),
    ],
)
def test_an_address_that_breaks_a_rule_is_refused_with_the_rule_and_the_pointer(url: str, rule: str) -> None:
    assert refusal(located("https://site.example/", url)) == (f"guard_rules_{rule}", "/items/1/locator/value")


def subject(ip: str) -> dict[str, object]:
    return {"service": "provider-001.example", "account": "anna_1", "events": [{"ip": ip, "at": AT}]}


@pytest.mark.parametrize(
    ("ip", "rule"),
    [
        ("1.2.3", "ip_not_an_address"),
        ("2001:db8:0:0:0:0:0:1", "ip_not_canonical"),
        ("8950:4e47:d0a:1a0a:0:d:4948:4452", "ip_not_a_host"),
        ("ff02::1", "ip_not_a_host"),
        ("224.0.0.1", "ip_not_a_host"),
        ("0.0.0.0", "ip_not_a_host"),  # noqa: S104
        ("255.1.2.3", "ip_not_a_host"),
    ],
)
def test_an_address_that_no_host_has_is_refused(ip: str, rule: str) -> None:
    assert refusal(record(subject_accounts=[subject(ip)])) == (f"guard_rules_{rule}", "/subject_accounts/0/events/0/ip")


def test_an_instant_before_the_year_2000_is_refused() -> None:
    assert refusal(record(observed_at="1999-12-31T23:59:59.999Z")) == ("guard_rules_instant_too_early", "/observed_at")


def test_an_instant_is_no_later_than_its_charge_has_room_for() -> None:
    assert refusal(record(observed_at="2069-12-31T23:59:59.999Z"))[0] == "guard_rules_instant_in_future"


def test_an_instant_is_bounded_by_the_clock_where_the_clock_is_given() -> None:
    submission = record(observed_at="2026-01-11T10:17:13.000Z")
    inspect(submission)
    inspect(submission, now=datetime(2026, 1, 11, 10, 13, tzinfo=UTC))
    with pytest.raises(Refused, match="guard_rules_instant_in_future at /observed_at"):
        inspect(submission, now=datetime(2026, 1, 11, 10, 12, tzinfo=UTC))


_groups = st.one_of(
    st.integers(0, 0xFFFF).map("{:x}".format), st.sampled_from(["0", "00", "2001", "fe80", "ffff", "01", ""])
)
_addresses = st.one_of(
    st.lists(_groups, min_size=7, max_size=9).map(":".join),
    st.lists(st.one_of(st.integers(0, 260).map(str), st.sampled_from(["01", "", "1\n"])), min_size=3, max_size=5).map(
        ".".join
    ),
    st.ip_addresses().map(str),
    st.sampled_from(
        ["::ffff:192.0.2.7", "fe80::1%eth0", "2001:DB8::1", "::", "224.0.0.0", "223.255.255.255", "١.2.3.4"]
    ),
)


@given(_addresses)
@settings(max_examples=500, deadline=None)
def test_an_address_is_one_that_a_host_can_have_in_its_one_spelling(text: str) -> None:
    found: list[Leaf] = [("ip", text, None)]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        with pytest.raises(Refused, match="ip_not_an_address"):
            check_rules(found, None, own())
        return
    if address.version == 4:
        is_assigned = 0 < int(address) < int(ipaddress.IPv4Address("224.0.0.0"))
    else:
        is_assigned = address in ipaddress.ip_network("2000::/3") or (
            (address.is_private or address.is_link_local or address.ipv4_mapped is not None)
            and not address.is_unspecified
        )
    if is_assigned and str(address) == text:
        check_rules(found, None, own())
        return
    with pytest.raises(Refused, match=r"ip_not_a_host|ip_not_canonical"):
        check_rules(found, None, own())
