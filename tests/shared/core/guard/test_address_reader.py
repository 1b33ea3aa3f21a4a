"""The address reader: addresses as people paste them, their canonical form, and the rule that a refusal names."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.codes import ERRORS
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import InvalidFields, Refused
from shared.core.guard import as_kept, inspect, respelled, stored_form
from shared.core.guard.canonical import canonical
from shared.platform.console.rendering import defanged
from tests.guard_report.channels import charge_of
from tests.shared.core.guard.records import located, record

module = import_module("shared.core.guard.canonical")
SITE, HASH, ONION, CID = "https://site.example", "0a7f" * 10, f"{'a7' * 28}.onion", f"Qm{'a7' * 22}"
BTIH, FILE = f"urn:btih:{HASH}", "0a7f" * 8

#: Kinds of pasted addresses, each with its stored form. `None`: the form is the text itself.
PASTED: list[tuple[str, str | None, str]] = [
    (f"{SITE}/photo/1", None, "url"),
    ("http://site.example/", None, "url"),
    ("HTTPS://Site.Example/Photo", f"{SITE}/Photo", "url"),
    ("Http://site.example", "http://site.example/", "url"),
    ("www.site.example/a", "https://www.site.example/a", "url"),
    ("site.example", f"{SITE}/", "url"),
    ("site.example:8080/a?b=c", f"{SITE}:8080/a?b=c", "url"),
    ("//cdn.site.example/a.jpg", "https://cdn.site.example/a.jpg", "url"),
    ("https:/site.example/a", f"{SITE}/a", "url"),
    ("https:site.example/a", f"{SITE}/a", "url"),
    (r"http:\\site.example\a\b.jpg", "http://site.example/a/b.jpg", "url"),
    ("http://https://site.example/a", f"{SITE}/a", "url"),
    ("view-source:https://site.example/a", f"{SITE}/a", "url"),
    ("URL: https://site.example/a", f"{SITE}/a", "url"),
    ("ttps://site.example/a", f"{SITE}/a", "url"),
    ("hxxps://site.example/a", f"{SITE}/a", "url"),
    ("hXXp://site[.]example/a", "http://site.example/a", "url"),
    ("h**p://site.example/a", "http://site.example/a", "url"),
    ("hxxps[://]cdn[.]site[.]example/a", "https://cdn.site.example/a", "url"),
    ("hxxps[:]//site[.]example/a[.]jpg", f"{SITE}/a.jpg", "url"),
    ("site(.)example/a", f"{SITE}/a", "url"),
    ("www[dot]site{dot}example", "https://www.site.example/", "url"),
    ("fxp://files.example/a", "ftp://files.example/a", "url"),
    ("rtsp://cam.example:554/h264/1", "rtsp://cam.example/h264/1", "url"),
    ("rtsp://admin:12345@192.0.2.7:8554/live", None, "url"),
    ("rtmp://live.example/app/stream", None, "url"),
    ("ftp://files.example/pub/a.zip", None, "url"),
    ("ftp://anna:pass@files.example/a", None, "url"),
    ("sftp://files.example:22/a", "sftp://files.example/a", "url"),
    ("wss://chat.example:443/socket", "wss://chat.example/socket", "url"),
    ("https://user:pass@cam.example/view", None, "url"),
    ("https://user:@cam.example/view", "https://user@cam.example/view", "url"),
    ("https://anna@mail.example@site.example/a", "https://anna%40mail.example@site.example/a", "url"),
    ("https://пример.example/", "https://xn--e1afmkfd.example/", "url"),
    ("https://München.example/straße", "https://xn--mnchen-3ya.example/stra%C3%9Fe", "url"),
    ("https://straße.example/", "https://xn--strae-oqa.example/", "url"),
    ("https://例え。example/写真", "https://xn--r8jz45g.example/%E5%86%99%E7%9C%9F", "url"),
    ("https://مثال.example/", "https://xn--mgbh0fb.example/", "url"),
    ("https://❤.example/", "https://xn--qei.example/", "url"),
    ("https://s%C3%AFte.example/", "https://xn--ste-zma.example/", "url"),
    (f"{SITE}/фото?q=письмо#часть", f"{SITE}/%D1%84%D0%BE%D1%82%D0%BE?q=%D0%BF%D0%B8%D1%81%D1%8C%D0%BC%D0%BE#%D1%87%D0%B0%D1%81%D1%82%D1%8C", "url"),  # noqa: E501
    (f"{SITE}/a|b", f"{SITE}/a%7Cb", "url"),
    (f"{SITE}/my holiday.jpg", f"{SITE}/my%20holiday.jpg", "url"),
    (f'{SITE}/{{a}}/^b`?q="c"<d>', f"{SITE}/%7Ba%7D/%5Eb%60?q=%22c%22%3Cd%3E", "url"),
    (f"{SITE}/a[1].jpg?b[]=2", None, "url"),
    (f"{SITE}/100%", f"{SITE}/100%25", "url"),
    (f"{SITE}/%7ea%2fb", f"{SITE}/~a%2Fb", "url"),
    (f"  {SITE}/a\r\n", f"{SITE}/a", "url"),
    (f"{SITE}/a\t\n  b", f"{SITE}/a%20%20b", "url"),
    (f"{SITE}/a%0D", f"{SITE}/a", "url"),
    (f"{SITE}/a%0d%0a", f"{SITE}/a", "url"),
    (f"{SITE}/a%00", f"{SITE}/a", "url"),
    (f"{SITE}/a\u200f", f"{SITE}/a", "url"),
    (f"\ufeff{SITE}/a\u200b", f"{SITE}/a", "url"),
    (f"{SITE}/a%E2%80%8E", f"{SITE}/a", "url"),
    (f"<{SITE}/a>", f"{SITE}/a", "url"),
    (f'"{SITE}/a"', f"{SITE}/a", "url"),
    (f"\u201c{SITE}/a\u201d", f"{SITE}/a", "url"),
    (f"{SITE}:443/a", f"{SITE}/a", "url"),
    (f"{SITE}:/a", f"{SITE}/a", "url"),
    (f"{SITE}:08080/a", f"{SITE}:8080/a", "url"),
    (f"{SITE}./a", None, "url"),
    (f"{SITE}#top", f"{SITE}/#top", "url"),
    ("192.0.2.7:81/view", "https://192.0.2.7:81/view", "url"),
    ("http://[2001:DB8::7]:80/a", "http://[2001:db8::7]/a", "url"),
    (f"{SITE}/a?u=https://cdn.example/b", None, "url"),
    (f"magnet:?xt={BTIH}&dn=a&tr=udp://t.example:80", None, "peer"),
    (f"magnet:?xt=urn:ipfs:{CID}", None, "peer"),
    (f"magnet:?dn=Holiday [2026] a&xt={BTIH}", f"magnet:?xt={BTIH}&dn=Holiday%20%5B2026%5D%20a", "peer"),
    (f"MAGNET:?XT=urn:BTIH:{HASH.upper()}&amp;xl=7", f"magnet:?xt={BTIH}&xl=7", "peer"),
    (f"magnet:?xt=urn%3Abtih%3A{HASH}&tr=http%3A%2F%2Ft.example%2Fa", f"magnet:?xt={BTIH}&tr=http%3A%2F%2Ft.example%2Fa", "peer"),  # noqa: E501
    (f"magnet:?xt={BTIH}&dn=Tom & Anna", f"magnet:?xt={BTIH}&dn=Tom%20%26%20Anna", "peer"),
    (BTIH.upper(), f"magnet:?xt={BTIH}", "peer"),
    (HASH.upper(), HASH, "peer"),
    (f"ed2k://|file|Ein Film|7|{FILE.upper()}|/", f"ed2k://|file|Ein%20Film|7|{FILE}|/", "peer"),
    (f"ed2k://%7Cfile%7Ca%7C7%7C{FILE}%7C/", f"ed2k://|file|a|7|{FILE}|/", "peer"),
    (CID, f"ipfs://{CID}", "peer"),
    (f"/ipfs/{CID}/a b.jpg", f"ipfs://{CID}/a%20b.jpg", "peer"),
    (f"HTTP://{ONION.upper()}/A", f"http://{ONION}/A", "onion"),
    (f"{ONION}/фото", f"{ONION}/%D1%84%D0%BE%D1%82%D0%BE", "onion"),
]  # fmt: skip

#: Texts that are no address, each with the rule that the refusal names.
REFUSED = [
    ("javascript:alert(1)", "scheme", "url"),
    ("data:image/png;base64,AAAA", "scheme", "url"),
    ("file:///C:/a.jpg", "scheme", "url"),
    ("mailto:anna@site.example", "scheme", "url"),
    ("anna@site.example", "no_host", "url"),
    ("a photo of a house", "no_host", "url"),
    ("/photo/1", "no_host", "url"),
    ("https://", "no_host", "url"),
    ("localhost", "no_host", "url"),
    ("https://site_example..com/", "host_label", "url"),
    ("https://\ufffe.example/", "host", "url"),
    ("https://[2001:db8::zz]/", "host_literal", "url"),
    ("https://[fe80::1%25eth0]/", "host_literal", "url"),
    ("https://[2001:db8::1/", "host_literal", "url"),
    ("https://site.example:http/", "host_port", "url"),
    (f"{SITE}/a%00/b", "control_character", "url"),
    (f"{SITE}/1 {SITE}/2", "two_addresses", "url"),
    (f"{SITE}/{'я' * 400}", "too_long", "url"),
    (f"magnet:?xt={BTIH}", "other_kind", "url"),
    ("magnet:?dn=name", "peer", "peer"),
    (f"urn:\u0130a:{HASH}", "peer", "peer"),  # equals "i" in any case, but not in ASCII
    (f"{SITE}/a.torrent", "peer", "peer"),
    ("ed2k://|file|a|b|c|/", "peer", "peer"),
    ("abcdefghij234567.onion", "onion", "onion"),
    (f"ftp://{ONION}/", "onion", "onion"),
]


@pytest.mark.parametrize(
    ("text", "form", "kind"), PASTED, ids=[text.encode("unicode_escape").decode() for text, *_ in PASTED]
)
def test_an_address_is_read_as_people_paste_it(text: str, form: str | None, kind: str) -> None:
    assert canonical(text, kind) == (form or text)
    assert canonical(form or text, kind) == (form or text)
    locator = "p2p" if kind == "peer" else kind
    assert stored_form(text, locator) == (form or text)
    inspect(as_kept(located(text, kind=locator)))


def test_the_kinds_are_many() -> None:
    assert len({text for text, *_ in PASTED}) >= 78


@pytest.mark.parametrize(("text", "rule", "kind"), REFUSED)
def test_a_text_that_is_no_address_is_refused_with_the_rule_and_an_accepted_form(
    text: str, rule: str, kind: str
) -> None:
    with pytest.raises(Refused) as caught:
        canonical(text, kind)
    assert caught.value.code == f"guard_rules_{rule}"
    assert caught.value.__context__ is None
    entry = ERRORS[caught.value.code]
    assert not re.search(r"[\[\]{}^\\][AZaz^]", f"{entry.cause} {entry.remedy} {caught.value.detail}")


def test_each_unreadable_address_is_named_and_none_is_repeated() -> None:
    with pytest.raises(InvalidFields) as caught:
        as_kept(located(f"{SITE}/1", "data:,qx7vw", "qx7vw", SITE))
    error = caught.value
    assert [(each["field"], each["rule"]) for each in error.errors] == [
        ("/items/1/locator/value", "guard_rules_scheme"),
        ("/items/2/locator/value", "guard_rules_no_host"),
    ]
    assert (error.code, error.field) == ("guard_rules_scheme", "/items/1/locator/value")
    assert "qx7vw" not in repr((error.errors, error.detail, error.__context__))


def test_a_changed_spelling_is_named_by_its_item() -> None:
    items = [{"locator": {"kind": "url", "value": value}} for value in (f"{SITE}/", SITE, f"{SITE}/a?utm_source=b")]
    submission: ReferralSubmission = record(items=[*items, {"locator": {"kind": "p2p", "value": HASH.upper()}}])
    assert respelled(each.locator for each in submission.items) == (2, 4)


def test_an_address_copied_from_the_console_is_read_again() -> None:
    for _, form, kind in PASTED:
        if form and not {"[", "%"} & set(form):
            assert canonical(defanged(form), kind) == form


#: Texts that take the reader longest.
DEAR = {
    "escapes": f"{SITE}/{'%e3a' * 500}",
    "lone percent signs": f"{SITE}/{'%' * 2_000}",
    "another script": f"{SITE}/{'я' * 2_000}",
    "a host of another script": f"https://{'ü.' * 120}example/",
    "parts of a magnet link": f"magnet:?xt={BTIH}{'&tr=a' * 380}",
    "names with an ampersand": f"magnet:?xt={BTIH}&dn=x{'&a' * 950}",
    "schemes": "http://" * 290,
    "a host that grows": f"http://{chr(0xFDFA) * 240}.example/",
    "invisible escapes": f"{SITE}/{'%00' * 650}x",
    "tokens": f"{SITE}{'/eyJa.b.c' * 220}",
}


@pytest.mark.timing
@pytest.mark.parametrize("name", DEAR)
def test_ten_addresses_are_read_and_judged_within_ten_milliseconds(name: str) -> None:
    spent = []
    for _ in range(5):
        begun = time.process_time()
        with suppress(Refused):
            inspect(as_kept(located(*[DEAR[name]] * 10, kind="p2p" if DEAR[name].startswith("magnet") else "url")))
        spent.append(time.process_time() - begun)
    assert min(spent) <= 0.010


_PARTS = st.sampled_from([
    *("http", "https", "hxxp", "rtsp", "www", "url", "view-source", "magnet", "ed2k", "ipfs", "urn", "xt", "dn="),
    *(":", "://", "//", "/", "\\", "[.]", "[", "]", "(", ")", ".", "@", "?", "#", "&", "&amp;", "=", "|", "%7C", "*"),
    *("%", "%0D", "%0d", "%C2", "%85", "%E2%80%8E", "%25", "%41", "%zz", "\u200f", "\n", " ", "\u00a0", '"', "<", ">"),
    *("a", "example", "site", "ü", "❤", "。", "xn--", "-", "_", "İ", "ſ", "\u212a", "ﬁ", "℀", "١", "\U0001f4a9", "h="),
    *(":80", ":443", ":0", "00", "::1", HASH, ONION, CID, "file", "12", FILE, "?xt=urn:btih:", "\ud800", "\u0345"),
])  # fmt: skip
_TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(_PARTS, max_size=12).map("".join),
    st.lists(_PARTS, max_size=9).map(lambda parts: "https://site.example" + "".join(parts)),
    st.lists(_PARTS, max_size=9).map(lambda parts: f"magnet:?xt=urn:btih:{HASH}" + "".join(parts)),
    st.lists(_PARTS, max_size=6).map(lambda parts: "https://" + "".join(parts) + ".example/"),
)


@given(_TEXTS, st.sampled_from(["url", "onion", "peer"]))
@settings(max_examples=1_500, deadline=None)
def test_reading_is_total_and_idempotent_and_its_forms_have_a_cost(text: str, kind: str) -> None:
    try:
        form = canonical(text, kind)
    except Refused as refused:
        assert refused.code in ERRORS
        assert refused.code.startswith("guard_rules_")
        return
    assert form.isascii()
    assert canonical(form, kind) == form
    assert charge_of(form, kind) > 0
    stored = stored_form(form, "p2p" if kind == "peer" else kind)
    assert stored_form(stored, "p2p" if kind == "peer" else kind) == stored


@given(st.lists(_PARTS, max_size=8).map(lambda parts: "https://site.example/" + "".join(parts)))
@settings(max_examples=500, deadline=None)
def test_the_quick_look_at_a_form_agrees_with_reading_it(text: str) -> None:
    if module._is_canonical(text):
        assert module._web(module._trimmed(text)) == text
