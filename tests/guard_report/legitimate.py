"""Legitimate referrals, generated with a fixed seed: what hotlines and providers report when they hide nothing.

Addresses of thirty shapes in eighteen languages, accounts of twenty families, every hash kind. Host names are
reserved ones, except where the shape of a storage service's address hangs on its name.
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from shared.kernel.clock import rfc3339
from shared.vocabulary import referral as codes
from shared.vocabulary.judgement import ASSESSMENT_VALUES, AssessmentScheme, AssessmentStatus
from tests.guard_report.words import LEGACY_CODECS, WORDS

_URLSAFE = string.ascii_letters + string.digits + "-_"
_BASE64 = string.ascii_letters + string.digits + "+/"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE32 = string.ascii_lowercase + "234567"
_HOSTS = ["site.example", "www.site.example", "img3.pictures.example", "cdn-eu.files.example", "forum.board.example"]
_SUFFIXES = ["jpg", "jpeg", "png", "webp", "mp4", "html", "php", "zip", "gif", "m3u8"]


def submissions(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """`count` bodies of `POST /v1/referrals`, the same for the same seed."""
    for index in range(count):
        yield submission(Random(f"{seed}/{index}"))


def submission(r: Random) -> dict[str, Any]:
    items = r.choices([1, 2, 3, 5, 8, 10], [55, 18, 12, 8, 4, 3])[0]
    body: dict[str, Any] = {
        "external_ref": _reference(r),
        "exercise": True,
        "incident_kind": r.choice(list(codes.IncidentKind)).value,
        "incident_flags": [flag.value for flag in r.sample(list(codes.IncidentFlag), r.choice([0, 0, 1, 2]))],
        "observed_at": _instant(r),
        "media_kind": r.choice(list(codes.MediaKind)).value,
        "viewed_by": r.choice(list(codes.ViewedBy)).value,
        "priority": {"level": r.choice(list(codes.PriorityLevel)).value, "basis": []},
        "items": _items(r, items),
        "user_jurisdictions": r.sample(["NL", "US-CA", "DE", "JP", "BR", "GB-EAW", "Europe"], r.choice([0, 0, 1, 2])),
        "victim_jurisdictions": r.sample(["FR", "TH", "PH", "No Country Listed", "AU"], r.choice([0, 0, 1])),
        "correlation": [
            {"system": r.choice(list(codes.CorrelationSystem)).value, "ref": _reference(r)}
            for _ in range(r.choice([0, 1, 1, 2, 3]))
        ],
    }
    if r.random() < 0.4:
        body["subject_accounts"] = [_subject(r) for _ in range(r.choice([1, 1, 1, 2, 4]))]
    return body


def _items(r: Random, count: int) -> list[dict[str, Any]]:
    """Items of one report mostly lie on one site: same shape of address, sometimes the very same prefix."""
    shape = r.choice(URL_SHAPES)
    items = []
    for _ in range(count):
        roll = r.random()
        if roll < 0.80:
            locator = {"kind": "url", "value": (shape if r.random() < 0.8 else r.choice(URL_SHAPES))(r)}
        elif roll < 0.86:
            locator = {"kind": "onion", "value": _onion(r)}
        elif roll < 0.92:
            locator = {"kind": "account", "value": account(r)}
        elif roll < 0.96:
            locator = {"kind": "message", "value": _message(r)}
        else:
            locator = {"kind": "p2p", "value": _peer(r)}
        item: dict[str, Any] = {"locator": locator, "site_type": r.choice(list(codes.SiteType)).value}
        if r.random() < 0.7:
            item["hosting"] = [_hosting(r) for _ in range(r.choice([1, 1, 2]))]
        if r.random() < 0.6:
            item["hashes"] = _hashes(r)
        if r.random() < 0.8:
            item["assessment"] = [_assessment(r) for _ in range(r.choice([1, 1, 2]))]
        items.append(item)
    return items


def _of(r: Random, alphabet: str, size: int) -> str:
    return "".join(r.choices(alphabet, k=size))


def _digits(r: Random, size: int) -> str:
    return r.choice("123456789") + _of(r, string.digits, size - 1)


def _hex(r: Random, size: int) -> str:
    return f"{r.getrandbits(4 * size):0{size}x}"


def _uuid(r: Random) -> str:
    raw = _hex(r, 32)
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


def _instant(r: Random) -> str:
    return rfc3339(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=r.randrange(60_000_000_000)))


def _words(r: Random, low: int, high: int, language: str | None = None) -> list[str]:
    return r.choices(WORDS[language or r.choice(list(WORDS))], k=r.randint(low, high))


def _reference(r: Random) -> str:
    return r.choice([
        lambda: f"NL-2026-{_digits(r, 6)}", lambda: _digits(r, r.randint(5, 10)), lambda: _uuid(r),
        lambda: f"REF/{r.randint(2019, 2026)}/{_digits(r, 5)}", lambda: _of(r, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26),
        lambda: f"case.{_digits(r, 7)}-{r.choice('ABC')}", lambda: _hex(r, 24), lambda: _hex(r, 40),
        lambda: f"ICCAM-{_digits(r, 8)}", lambda: f"{_of(r, _BASE58, 22)}",
    ])()  # fmt: skip


def _hosting(r: Random) -> dict[str, Any]:
    return {
        "jurisdiction": r.choice(["NL", "US", "DE", "RU", "JP", "FR", "US-TX", "Netherlands Antilles", "Europe"]),
        "asn": r.choice([64496, 64511, 65551, r.randint(1, 400_000)]),
        "provider": r.choice(["provider-001.example", "provider-002.example", "hosting-big.example"]),
        "is_cdn": r.random() < 0.3,
        "method": r.choice(list(codes.HostingMethod)).value,
        "observed_at": _instant(r),
    }


def _hashes(r: Random) -> dict[str, str]:
    whole = {
        "md5": _hex(r, 32), "sha1": _hex(r, 40), "sha256": _hex(r, 64), "pdq": _pdq(r),
        "photodna": base64.b64encode(bytes(min(255, int(r.expovariate(1 / 40))) for _ in range(144))).decode(),
        "tmk_pdqf": _hex(r, 64),
    }  # fmt: skip
    return {kind: whole[kind] for kind in r.sample(list(whole), r.choice([1, 2, 3, 4, 5]))}


def _pdq(r: Random) -> str:
    """PDQ of smooth pictures has long runs of equal nibbles."""
    return _hex(r, 64) if r.random() < 0.8 else "".join(r.choice("0f3c") * r.randint(1, 8) for _ in range(64))[:64]


def _assessment(r: Random) -> dict[str, Any]:
    scheme = r.choice(list(AssessmentScheme))
    value = r.choice(sorted(ASSESSMENT_VALUES.get(scheme, {"AGE_0_2", "SEX_ACT_3", "ucs17"})))
    assessor = r.choice(["hotline-nl.example", "hotline-de.example", "provider-001.example"])
    status = r.choice(list(AssessmentStatus)).value
    return {"scheme": scheme.value, "value": value, "assessor": assessor, "at": _instant(r), "status": status}


def _subject(r: Random) -> dict[str, Any]:
    events = [
        {"ip": _ip(r), "port": r.randint(1024, 65535), "at": _instant(r), "kind": r.choice(list(codes.NetworkEvent)).value}
        for _ in range(r.choice([0, 1, 2, 4]))
    ]
    return {"service": "provider-001.example", "account": account(r), "events": events}


def _ip(r: Random) -> str:
    """Public-looking addresses; consumers have whole random interface identifiers in IPv6."""
    if r.random() < 0.5:
        return f"{r.choice([192, 198, 203])}.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}"
    return "2001:db8:" + ":".join(f"{r.randint(1, 0xFFFF):x}" for _ in range(6))


def account(r: Random) -> str:
    """An account identifier of one of twenty families."""
    word = r.choice(WORDS["en"])
    other = r.choice(WORDS["id"])
    return r.choice([
        lambda: f"{word}_{other}{r.randint(1, 9999)}", lambda: f"@{word}.{other}", lambda: _digits(r, r.randint(6, 19)),
        lambda: f"{word}.{other}{r.randint(1, 99)}@mail.example", lambda: f"+{_digits(r, 12)}",
        lambda: f"@{word}{r.randint(1, 999)}:matrix.example", lambda: f"did:plc:{_of(r, _BASE32, 24)}",
        lambda: f"did:key:z6Mk{_of(r, _BASE58, 44)}", lambda: f"npub1{_of(r, 'qpzry9x8gf2tvdw0s3jn54khce6mua7l', 58)}",
        lambda: _hex(r, 76).upper(), lambda: f"05{_hex(r, 64)}", lambda: f"UC{_of(r, _URLSAFE.replace('_', ''), 22)}",
        lambda: f"{word}#{_digits(r, 4)}", lambda: f"xX{word.title()}{other.title()}Xx", lambda: _uuid(r),
        lambda: f"{other}.bsky.example", lambda: f"live:.cid.{_hex(r, 16)}", lambda: f"{word}-{_of(r, _BASE32, 5)}",
        lambda: f"STEAM_0:{r.randint(0, 1)}:{_digits(r, 9)}", lambda: f"https://social.example/@{word}{other}",
        lambda: f"{_hex(r, 24)}", lambda: f"{_of(r, string.ascii_letters + string.digits, 28)}",
        lambda: f"{word}+{_of(r, string.ascii_lowercase + string.digits, 8)}@relay.mail.example",
    ])()  # fmt: skip


def _message(r: Random) -> str:
    return r.choice([
        lambda: f"{_digits(r, 19)}/{_digits(r, 19)}", lambda: f"${_of(r, _URLSAFE, 43)}:matrix.example",
        lambda: f"CA{_of(r, _BASE64, 48).replace('/', '+')}@mail.mail.example",
        lambda: f"-100{_digits(r, 10)}/{_digits(r, 5)}", lambda: _hex(r, 32).upper(), lambda: f"wamid.{_of(r, _BASE64, 40)}==",
        lambda: f"channels/{_digits(r, 18)}/{_digits(r, 18)}/{_digits(r, 19)}", lambda: _uuid(r),
        lambda: f"{_digits(r, 14)}.{_hex(r, 16)}@{r.choice(_HOSTS)}", lambda: f"{_of(r, _URLSAFE, 22)}",
    ])()  # fmt: skip


def _peer(r: Random) -> str:
    name = quote(".".join(_words(r, 2, 6)) + ".mp4", safe="")[:190].rstrip("%0123456789ABCDEF")
    tracker = quote("udp://tracker.peers.example:1337/announce", safe="")
    return r.choice([
        lambda: f"magnet:?xt=urn:btih:{_hex(r, 40)}", lambda: f"magnet:?xt=urn:btih:{_of(r, _BASE32.upper(), 32)}",
        lambda: f"magnet:?xt=urn:btih:{_hex(r, 40).upper()}&dn={name}&tr={tracker}&tr={tracker.replace('1337', '6969')}",
        lambda: f"magnet:?xt=urn:btmh:1220{_hex(r, 64)}&xl={_digits(r, 9)}",
        lambda: f"ed2k://|file|{name}|{_digits(r, 9)}|{_hex(r, 32)}|/",
        lambda: f"ipfs://baf{r.choice(['ybei', 'krei'])}{_of(r, _BASE32, 52)}", lambda: _hex(r, 40), lambda: _hex(r, 64),
    ])()  # fmt: skip


def _onion(r: Random) -> str:
    host = _of(r, _BASE32, 55) + "d.onion"
    return r.choice([
        host, f"http://{host}/", f"http://{host}/board/{_digits(r, 5)}.html#p{_digits(r, 4)}",
        f"http://www.{host}/img/{_hex(r, 32)}.jpg", f"http://{host}/viewtopic.php?f={r.randint(1, 99)}&t={_digits(r, 5)}",
    ])  # fmt: skip


def _slug(r: Random) -> str:
    language = r.choice(list(WORDS))
    joiner = "" if language in {"ja", "zh", "th"} else r.choice("--_")
    text = joiner.join(_words(r, 2, 7, language))
    codec = LEGACY_CODECS.get(language, "utf-8") if r.random() < 0.08 else "utf-8"
    return quote(text.encode(codec, "ignore"), safe="")


def _file(r: Random) -> str:
    stem = r.choice([
        lambda: _hex(r, 32), lambda: _hex(r, 40), lambda: _digits(r, 13), lambda: f"IMG_{_digits(r, 8)}_{_digits(r, 6)}",
        lambda: _uuid(r), lambda: _slug(r), lambda: _of(r, _URLSAFE, 11), lambda: f"DSC{_digits(r, 5)}", lambda: _hex(r, 64),
        lambda: f"{_of(r, string.ascii_lowercase + string.digits, 8)}_o", lambda: f"photo-{r.randint(1, 99)}-1080x1350",
    ])()  # fmt: skip
    return f"{stem}.{r.choice(_SUFFIXES)}"


def _jwt(r: Random) -> str:
    def segment(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")

    claims = {"sub": _digits(r, 8), "iat": 1_700_000_000 + r.randrange(9_999_999), "exp": 1_800_000_000, "scope": "read",
              "aud": "media", "path": f"/v/{_hex(r, 16)}"}  # fmt: skip
    signature = _of(r, _URLSAFE, r.choice([43, 43, 86, 342]))
    return f"{segment({'alg': 'HS256', 'typ': 'JWT'})}.{segment(claims)}.{signature}"


def _aws(r: Random) -> str:
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": "20260111T101112Z", "X-Amz-Expires": "3600",
        "X-Amz-Credential": f"ASIA{_of(r, string.ascii_uppercase + '234567', 16)}/20260111/eu-central-1/s3/aws4_request",
        "X-Amz-SignedHeaders": "host", "X-Amz-Signature": _hex(r, 64),
    }  # fmt: skip
    if r.random() < 0.3:
        query["X-Amz-Security-Token"] = "IQoJb3JpZ2luX2VjEJv//////////wEaCXVzLWVhc3QtMSJ" + _of(r, _BASE64, r.randint(300, 850))
    return f"https://bucket-7.s3.eu-central-1.cloud.example/{_file(r)}?{urlencode(query)}"


def _signed_cdn(r: Random) -> str:
    policy = {"Statement": [{"Resource": "https://cdn.example/v/*", "Condition": {"DateLessThan": {"AWS:EpochTime": 1800000000}}}]}
    encoded = base64.b64encode(json.dumps(policy).encode()).decode().translate(str.maketrans("+=/", "-_~"))
    signature = _of(r, _URLSAFE.replace("_", "~"), 342) + "__"
    return f"https://d1{_of(r, _BASE32, 12)}.cloud.example/{_file(r)}?Policy={encoded}&Signature={signature}&Key-Pair-Id=K{_of(r, _BASE32.upper(), 13)}"


def _meta_cdn(r: Random) -> str:
    return (
        f"https://scontent-ams2-1.xx.cdn.example/v/t39.30808-6/{_digits(r, 9)}_{_digits(r, 18)}_{_digits(r, 19)}_n.jpg"
        f"?stp=dst-jpg_s{r.choice([600, 720])}x{r.choice([600, 720])}&_nc_cat={r.randint(100, 111)}&ccb=1-7&_nc_sid={_hex(r, 6)}"
        f"&_nc_ohc={_of(r, _URLSAFE, 31)}&_nc_ht=scontent-ams2-1.xx&oh=00_{_of(r, _URLSAFE, 48)}&oe={_hex(r, 8).upper()}"
    )


def _short_video(r: Random) -> str:
    return (
        f"https://v16-webapp-prime.video.example/video/tos/useast2a/tos-useast2a-ve-0068c003/{_of(r, string.ascii_letters + string.digits, 32)}/"
        f"?a=1988&bti={_of(r, _BASE64, 20)}%3D%3D&ch=0&cr=3&dr=0&lr=all&cd=0%7C0%7C0%7C&cv=1&br={r.randint(800, 4000)}&bt={r.randint(400, 2000)}"
        f"&ft={_of(r, _URLSAFE, 26)}&mime_type=video_mp4&qs=0&rc={_of(r, _URLSAFE, 80)}%3D%3D&l={_digits(r, 14)}{_hex(r, 18).upper()}&btag=e00088000&expire=1800000000&ply_type=2&policy=2&signature={_hex(r, 32)}&tk=tt_chain_token"
    )


def _video_playback(r: Random) -> str:
    query = {
        "expire": "1800000000", "ei": _of(r, _URLSAFE, 22), "ip": "203.0.113.7", "id": f"o-{_of(r, _URLSAFE, 44)}", "itag": "18",
        "source": "video", "requiressl": "yes", "mh": _of(r, _URLSAFE, 2), "mm": "31,29", "mn": "sn-5hne6nzs,sn-5hnekn7k",
        "ms": "au,rdu", "mv": "m", "mvi": "3", "pl": "24", "initcwndbps": _digits(r, 7), "vprv": "1", "mime": "video/mp4",
        "ns": _of(r, _URLSAFE, 22), "gir": "yes", "clen": _digits(r, 8), "ratebypass": "yes", "dur": "212.091", "lmt": _digits(r, 16),
        "n": _of(r, _URLSAFE, 14), "sparams": "expire,ei,ip,id,itag,source,requiressl,vprv,mime,ns,gir,clen,ratebypass,dur,lmt",
        "sig": "AJfQdSswR" + _of(r, _URLSAFE, 95), "lsparams": "mh,mm,mn,ms,mv,mvi,pl,initcwndbps", "lsig": "AHWaYeo" + _of(r, _URLSAFE, 95),
    }  # fmt: skip
    return f"https://rr3---sn-5hne6nz{r.choice('sdkez')}.video.example/videoplayback?{urlencode(query)}"


def _tracking(r: Random) -> str:
    name, value = r.choice([
        ("fbclid", "IwAR" + _of(r, _URLSAFE, 57)), ("fbclid", "IwZXh0bgNhZW0" + _of(r, _URLSAFE, 120)), ("gclid", _of(r, _URLSAFE, 92)),
        ("igsh", _of(r, _BASE64, 16) + "=="), ("si", _of(r, _URLSAFE, 16)), ("__cft__[0]", "AZ" + _of(r, _URLSAFE, 170)),
        ("share_id", _of(r, _URLSAFE, 21)), ("sca_esv", _hex(r, 16)), ("ved", "2ahUKE" + _of(r, _URLSAFE, 52)),
    ])  # fmt: skip
    return f"https://{r.choice(_HOSTS)}/{_slug(r)}/{_digits(r, 16)}/?utm_source=share&utm_medium=web&{urlencode({name: value})}"


def _forum(r: Random) -> str:
    return r.choice([
        f"https://forum.board.example/viewtopic.php?f={r.randint(1, 99)}&t={_digits(r, 6)}&start={r.randint(0, 50) * 15}#p{_digits(r, 7)}",
        f"https://board.example/b/thread/{_digits(r, 9)}#q{_digits(r, 9)}", f"https://forum.board.example/index.php?/topic/{_digits(r, 5)}-{_slug(r)}/",
        f"https://board.example/showthread.php?s={_hex(r, 32)}&t={_digits(r, 6)}", f"https://i.board.example/b/{_digits(r, 16)}s.jpg",
    ])  # fmt: skip


def _cloud_drive(r: Random) -> str:
    return r.choice([
        f"https://mega.example/file/{_of(r, _URLSAFE, 8)}#{_of(r, _URLSAFE, 43)}", f"https://mega.example/#!{_of(r, _URLSAFE, 8)}!{_of(r, _URLSAFE, 43)}",
        f"https://mega.example/folder/{_of(r, _URLSAFE, 8)}#{_of(r, _URLSAFE, 22)}/file/{_of(r, _URLSAFE, 8)}",
        f"https://drive.example/file/d/1{_of(r, _URLSAFE, 32)}/view?usp=sharing", f"https://drive.example/drive/folders/1{_of(r, _URLSAFE, 32)}",
        f"https://box.example/scl/fi/{_of(r, _BASE32, 21)}/{_file(r)}?rlkey={_of(r, _BASE32, 25)}&st={_of(r, _BASE32, 8)}&dl=0",
        f"https://1drv.ms/u/s!{_of(r, _URLSAFE, 24)}?e={_of(r, _BASE58, 6)}", f"https://disk.example/d/{_of(r, _URLSAFE, 14)}",
        f"https://lh3.googleusercontent.com/pw/AP1Gcz{_of(r, _URLSAFE, 150)}=w1280-h960-s-no", f"https://lh3.googleusercontent.com/a/AF1Qip{_of(r, _URLSAFE, 38)}",
        f"https://uc{_hex(r, 26)}.dl.dropboxusercontent.com/cd/0/inline/{_of(r, _URLSAFE, 195)}/file",
        f"https://download{_digits(r, 4)}.mediafire.com/{_of(r, _URLSAFE, 168)}/{_of(r, _BASE32, 15)}/{_file(r)}",
    ])  # fmt: skip


def _peer_web(r: Random) -> str:
    cid = "bafybei" + _of(r, _BASE32, 52)
    return r.choice([
        f"https://ipfs.example/ipfs/Qm{_of(r, _BASE58, 44)}", f"https://{cid}.ipfs.gateway.example/{_file(r)}", f"https://ipfs.example/ipfs/{cid}?filename={_file(r)}",
        f"https://cdn.skyfeed.example/img/feed_fullsize/plain/did:plc:{_of(r, _BASE32, 24)}/bafkrei{_of(r, _BASE32, 52)}@jpeg",
        f"https://arweave.example/{_of(r, _URLSAFE, 43)}", f"https://swarm.example/bzz/{_hex(r, 64)}/",
    ])  # fmt: skip


def _invite(r: Random) -> str:
    return r.choice([
        f"https://t.me/+{_of(r, _URLSAFE, 16)}", f"https://t.me/joinchat/{_of(r, _URLSAFE, 22)}", f"https://chat.invite.example/{_of(r, _URLSAFE, 22)}",
        f"https://signal.group/#CjQKI{_of(r, _URLSAFE, 67)}", f"https://gg.invite.example/{_of(r, string.ascii_letters + string.digits, 8)}",
        f"https://simplex.chat/contact#/?v=2-7&smp=smp%3A%2F%2F{_of(r, _URLSAFE, 43)}%3D%40smp4.simplex.example%2F{_of(r, _URLSAFE, 32)}%23%2F%3Fv%3D1-3",
        f"https://paste.example/?{_hex(r, 16)}#{_of(r, _BASE58, 44)}", f"https://pad.example/file/#/2/file/view/{_of(r, _URLSAFE, 24)}/",
        f"https://web.chat.example/#/room/!{_of(r, string.ascii_letters, 18)}:matrix.example/${_of(r, _URLSAFE, 43)}?via=matrix.example",
    ])  # fmt: skip


def _discord_like(r: Random) -> str:
    return (
        f"https://cdn.chat.example/attachments/{_digits(r, 19)}/{_digits(r, 19)}/{_file(r)}?ex={_hex(r, 8)}&is={_hex(r, 8)}&hm={_hex(r, 64)}&"
    )


def _shared_access(r: Random) -> str:
    query = {"sv": "2024-11-04", "st": "2026-01-01T10:00:00Z", "se": "2026-02-01T10:00:00Z", "sr": "b", "sp": "r", "sig": _of(r, _BASE64, 43) + "=",
             "skoid": _uuid(r), "sktid": _uuid(r), "ske": "2026-02-01T10:00:00Z", "sks": "b", "skv": "2024-11-04"}  # fmt: skip
    return f"https://account7.blob.cloud.example/container-2/{_file(r)}?{urlencode(query)}"


def _storage_signed(r: Random) -> str:
    query = {"X-Goog-Algorithm": "GOOG4-RSA-SHA256", "X-Goog-Credential": "reader@project-7.iam.cloud.example/20260111/auto/storage/goog4_request",
             "X-Goog-Date": "20260111T101112Z", "X-Goog-Expires": "900", "X-Goog-SignedHeaders": "host", "X-Goog-Signature": _hex(r, 512)}  # fmt: skip
    return f"https://storage.cloud.example/bucket-2/{_file(r)}?{urlencode(query)}"


def _state(r: Random) -> str:
    value = json.dumps({"album": r.randint(1, 999), "title": " ".join(_words(r, 1, 4, "en")), "page": r.randint(1, 9), "sort": "new"})
    return r.choice([
        f"https://{r.choice(_HOSTS)}/app?state={quote(base64.b64encode(value.encode()).decode(), safe='')}", f"https://{r.choice(_HOSTS)}/app?filter={quote(value, safe='')}",
        f"https://{r.choice(_HOSTS)}/watch?token={_jwt(r)}", f"https://redirect.example/l.php?u={quote(plain(r), safe='')}&h={_of(r, _URLSAFE, 60)}",
        f"https://out.example/go?url={base64.urlsafe_b64encode(plain(r).encode()).decode()[:1000]}", f"https://maps.example/@52.{_digits(r, 7)},4.{_digits(r, 7)},15z",
        f"https://archive.example/web/{_digits(r, 14)}/{plain(r)}",
    ])  # fmt: skip


def plain(r: Random) -> str:
    """An address of the plainest kind: host, folders, file."""
    folders = "/".join(r.choice([r.choice(WORDS["en"]), str(r.randint(1, 2026)), _slug(r), _hex(r, 2)]) for _ in range(r.randint(0, 3)))
    return f"http{r.choice(['s', ''])}://{r.choice(_HOSTS)}/{folders}/{_file(r)}"


def _unusual_host(r: Random) -> str:
    host = r.choice([
        "[2001:db8:85a3::8a2e:370:7334]", "203.0.113.9:8080", "xn--80aafgqn1a7d.example", "xn--wgv71a119e.example", "my_bucket.storage.example",
        f"{_of(r, _BASE32, 10)}.pages.example", f"{r.choice(WORDS['en'])}-{r.choice(WORDS['id'])}-{_hex(r, 6)}.app.example", f"{_uuid(r)}.random.example",
    ])  # fmt: skip
    return f"http://{host}/{_file(r)}"


def _query_words(r: Random) -> str:
    language = r.choice(list(WORDS))
    return f"https://search.example/search?q={quote(' '.join(_words(r, 1, 6, language)))}&hl={language}&page={r.randint(1, 30)}"


URL_SHAPES: list[Callable[[Random], str]] = [
    plain, plain, plain, _aws, _signed_cdn, _meta_cdn, _short_video, _video_playback, _tracking, _forum, _forum, _cloud_drive, _peer_web,
    _invite, _discord_like, _shared_access, _storage_signed, _state, _unusual_host, _query_words,
]  # fmt: skip

#: What most reports are about: plain pages and files, boards, forums, file hosts, invitations.
_TYPICAL_SHAPES: list[Callable[[Random], str]] = [plain, plain, plain, _forum, _forum, _cloud_drive, _invite, _unusual_host]


def typical(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Records of one to three items of the common shapes, with digests, hosting, assessment and sometimes an account."""
    for index in range(count):
        r = Random(f"typical/{seed}/{index}")
        body = submission(r)
        body["items"] = body["items"][: r.choice([1, 1, 1, 2, 3])]
        for item in body["items"]:
            item["locator"] = {"kind": "url", "value": r.choice(_TYPICAL_SHAPES)(r)}
        body["subject_accounts"] = body.get("subject_accounts", [])[:1]
        yield body
