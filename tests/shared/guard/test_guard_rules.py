"""L2: what a value of each kind must look like, one accepted and one refused example per rule."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.guard import inspect
from shared.guard.parts import Host, _host_bytes
from shared.guard.rules import _LABEL, LABEL_CHARACTERS_MAX, LABELS_MAX, _check_host, _is_plain_host
from shared.guard.shapes import (
    _DIGITS,
    _LONG_NUMBER,
    _NUMBER,
    _RUN,
    LONG_NUMBERS_MAX,
    NUMBERS_MAX,
    _check_numbers,
)
from shared.kernel.errors import Refused
from tests.shared.guard.records import located, record, refusal

AT = "2026-01-11T10:11:12.000Z"


@pytest.mark.parametrize(
    "url",
    [
        "https://site.example/",
        "http://203.0.113.9:8080/a.jpg",
        "https://[2001:db8:85a3::8a2e:370:7334]:8443/x",
        "https://r3---sn-5hne6nz.video.example/videoplayback?id=1",
        "https://xn--80aafgqn1a7d.example/%D1%84%D0%BE%D1%82%D0%BE",
        "https://my_bucket.files.example/a_b/c-d.png#top",
        "https://site.example/%83%56%83%83%81%5B.html",
        "https://site.example/search?q=100%25+cotton&hl=en",
        "https://out.example/l?u=https%3A%2F%2Fsite.example%2F%25D1%2584",
    ],
)
def test_an_ordinary_address_is_accepted(url: str) -> None:
    inspect(located(url))


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://anna@site.example/", "host_user"),
        ("https://anna:secret@site.example/", "host_user"),
        ("https://site.example:99999/", "host_port"),
        ("https://site.example:0/", "host_port"),
        ("https://-site.example/", "host_label"),
        ("https://a..example/", "host_label"),
        (f"https://{'a' * 64}.example/", "host_label"),
        (f"https://{'a.' * 12}example/", "host_labels"),
        ("https://s%C3%AF.example/", "host"),
        ("https://[2001:db8::zz]/", "host_literal"),
        ("https://[2001:db8::1]x/", "host_literal"),
        ("https://site.example/" + "a/" * 41, "path_segments"),
        ("https://site.example/" + "a" * 256, "path_segment"),
        ("https://site.example/" + "./" * 6 + "a", "path_without_names"),
        ("https://site.example/?" + "&".join(f"a{n}=1" for n in range(41)), "query_parameters"),
        ("https://site.example/?a=" + "b" * 1_101, "query_parameter"),
        ("https://site.example/#" + "a" * 201, "fragment"),
        ("https://site.example/100%", "percent_encoding"),
        ("https://site.example/%zz", "percent_encoding"),
        ("https://site.example/" + "%61" * 25, "percent_encoding_needless"),
        ("https://site.example/?q=" + "%E3%81%82" * 161, "percent_encoding_length"),
        ("https://site.example/" + "%FF" * 73, "percent_encoding_not_utf8"),
        ("https://site.example/%2525252541", "percent_encoding_nested"),
        ("https://site.example/%00", "control_character"),
        ("https://site.example/%C2%89", "control_character"),
        ("https://site.example/%E2%80%AE", "control_character"),
        ("https://site.example/%3Ca%3E%3Cb%3E", "markup"),
        ("https://site.example/?q=" + "a%20" * 41, "spaces"),
        ("https://site.example/" + "7" * 41, "digits"),
        ("https://site.example/a?n=" + ",".join(str(70_000 + n) for n in range(9)), "numbers"),
        ("https://site.example/a?n=" + ",".join(str(170 + n) for n in range(13)), "numbers"),
        ("https://site.example/" + "0a" * 39, "hexadecimal"),
        ("https://site.example/" + "lorem" * 12, "letters"),
        ("https://site.example/" + "z1" * 41, "one_case"),
        ("https://site.example/" + "%E4%B8%82" * 20, "rare_characters"),
        ("https://site.example/?q=" + ".-" * 30, "punctuation"),
    ],
)
def test_an_address_that_breaks_a_rule_is_refused_with_the_rule_and_the_pointer(url: str, rule: str) -> None:
    assert refusal(located("https://site.example/", url)) == (f"guard_rules_{rule}", "/items/1/locator/value")


def subject(ip: str) -> dict[str, object]:
    return {"service": "provider-001.example", "account": "anna_1", "events": [{"ip": ip, "at": AT}]}


@pytest.mark.parametrize("ip", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "fd00::1", "fe80::1", "127.0.0.1"])
def test_an_address_that_a_host_can_have_is_accepted(ip: str) -> None:
    inspect(record(subject_accounts=[subject(ip)]))


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


def test_an_instant_is_bounded_by_the_clock_where_the_clock_is_given() -> None:
    submission = record(observed_at="2026-01-11T10:17:13.000Z")
    inspect(submission)
    inspect(submission, now=datetime(2026, 1, 11, 10, 13, tzinfo=UTC))
    with pytest.raises(Refused, match="guard_rules_instant_in_future at /observed_at"):
        inspect(submission, now=datetime(2026, 1, 11, 10, 12, tzinfo=UTC))


_pieces = st.sampled_from(
    ["7" * 5, "12", "a1", "7" * 41, "x" + "7" * 41, "-", "/", ".", "\u0663", "é", "\udcff", "word", " "]
)


@given(st.lists(_pieces, max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_numbers_are_counted_in_ascii_as_in_any_text(text: str) -> None:
    """The expressions say what a number is; in ASCII the runs of letters and digits tell the same."""
    long = len(_LONG_NUMBER.findall(text)) > LONG_NUMBERS_MAX
    expected = (
        "digits" if _DIGITS.search(text) else "numbers" if long or len(_NUMBER.findall(text)) > NUMBERS_MAX else ""
    )
    try:
        _check_numbers(text, _RUN.findall(text), None)
    except Refused as refused:
        assert refused.code == f"guard_rules_{expected}"
    else:
        assert not expected


_labels = st.lists(st.text("aZ09-_.", max_size=20), max_size=5).map(".".join)


@given(st.one_of(_labels, st.sampled_from(["a" * 63, "a" * 64, "a." * 11 + "a", "a." * 12 + "a", "a:80", "a\n"])))
@settings(max_examples=300, deadline=None)
def test_a_host_that_is_known_at_a_glance_breaks_no_rule(authority: str) -> None:
    if _is_plain_host(authority):
        labels = authority.split(".")
        assert len(labels) <= LABELS_MAX
        assert all(len(label) <= LABEL_CHARACTERS_MAX and _LABEL.fullmatch(label) for label in labels)


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
def test_an_address_is_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        assert _host_bytes(text) is None
        return
    assert _host_bytes(text) == address.packed
    if address.version == 4:
        is_assigned = 0 < int(address) < int(ipaddress.IPv4Address("224.0.0.0"))
    else:
        is_assigned = address in ipaddress.ip_network("2000::/3") or (
            (address.is_private or address.is_link_local or address.ipv4_mapped is not None)
            and not address.is_unspecified
        )
    try:
        _check_host(Host(text, _host_bytes(text), None))
    except Refused as refused:
        rule = "not_a_host" if str(address) == text else "not_canonical"
        assert refused.code == f"guard_rules_ip_{rule}"
        assert not (is_assigned and rule == "not_a_host")
    else:
        assert is_assigned
        assert str(address) == text
