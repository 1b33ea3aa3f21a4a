"""Addresses as hotlines report them: thirty shapes, in nineteen languages.

Host names are reserved ones, except where the shape of a storage service's address depends on its name.
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from tests.guard_report.word_lists import LEGACY_CODECS, WORDS

URLSAFE = string.ascii_letters + string.digits + "-_"
BASE64 = string.ascii_letters + string.digits + "+/"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE32 = string.ascii_lowercase + "234567"
#: Storage services whose addresses have a shape that depends on the name.
STORAGE_SERVICES = {0: "googleusercontent.com", 3: "dropboxusercontent.com", 9: "mediafire.com"}
HOSTS = ["site.example", "www.site.example", "img3.pictures.example", "cdn-eu.files.example", "forum.board.example"]
_SUFFIXES = ["jpg", "jpeg", "png", "webp", "mp4", "html", "php", "zip", "gif", "m3u8"]
_MIXED = string.ascii_letters + string.digits


def one_of(r: Random, *makers: Callable[[], str]) -> str:
    return r.choice(makers)()


def of(r: Random, alphabet: str, size: int) -> str:
    return "".join(r.choices(alphabet, k=size))


def digits(r: Random, size: int) -> str:
    return r.choice("123456789") + of(r, string.digits, size - 1)


def hexadecimal(r: Random, size: int) -> str:
    return f"{r.getrandbits(4 * size):0{size}x}"


def uuid(r: Random) -> str:
    raw = hexadecimal(r, 32)
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


def words(r: Random, low: int, high: int, *, language: str | None = None) -> list[str]:
    return r.choices(WORDS[language or r.choice(list(WORDS))], k=r.randint(low, high))


def onion(r: Random) -> str:
    host = of(r, BASE32, 55) + "d.onion"
    return r.choice(
        [
            host,
            f"http://{host}/",
            f"http://{host}/board/{digits(r, 5)}.html#p{digits(r, 4)}",
            f"http://www.{host}/img/{hexadecimal(r, 32)}.jpg",
            f"http://{host}/viewtopic.php?f={r.randint(1, 99)}&t={digits(r, 5)}",
        ]
    )


def _slug(r: Random) -> str:
    language = r.choice(list(WORDS))
    joiner = "" if language in {"ja", "zh", "th"} else r.choice("--_")
    text = joiner.join(words(r, 2, 7, language=language))
    codec = LEGACY_CODECS.get(language, "utf-8") if r.random() < 0.08 else "utf-8"
    return quote(text.encode(codec, "ignore"), safe="")


def _file(r: Random) -> str:
    stem = one_of(
        r,
        lambda: hexadecimal(r, 32),
        lambda: hexadecimal(r, 40),
        lambda: digits(r, 13),
        lambda: f"IMG_{digits(r, 8)}_{digits(r, 6)}",
        lambda: uuid(r),
        lambda: _slug(r),
        lambda: of(r, URLSAFE, 11),
        lambda: f"DSC{digits(r, 5)}",
        lambda: hexadecimal(r, 64),
        lambda: f"{of(r, string.ascii_lowercase + string.digits, 8)}_o",
        lambda: f"photo-{r.randint(1, 99)}-1080x1350",
    )
    return f"{stem}.{r.choice(_SUFFIXES)}"


def _jwt(r: Random) -> str:
    def segment(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")

    claims = {"sub": digits(r, 8), "iat": 1_700_000_000 + r.randrange(9_999_999), "exp": 1_800_000_000}
    claims |= {"scope": "read", "aud": "media", "path": f"/v/{hexadecimal(r, 16)}"}
    signature = of(r, URLSAFE, r.choice([43, 43, 86, 342]))
    return f"{segment({'alg': 'HS256', 'typ': 'JWT'})}.{segment(claims)}.{signature}"


def _aws(r: Random) -> str:
    url = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260111T101112Z&X-Amz-Expires=3600"
        f"&X-Amz-Credential=ASIA{of(r, BASE32.upper(), 16)}%2F20260111%2Feu-central-1%2Fs3%2Faws4_request"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={hexadecimal(r, 64)}"
    )
    if r.random() < 0.3:
        token = "IQoJb3JpZ2luX2VjEJv//////////wEaCXVzLWVhc3QtMSJ" + of(r, BASE64, r.randint(300, 850))
        url += f"&{urlencode({'X-Amz-Security-Token': token})}"
    return f"https://bucket-7.s3.eu-central-1.amazonaws.com/{_file(r)}?{url}"


def _signed_cdn(r: Random) -> str:
    condition = {"DateLessThan": {"AWS:EpochTime": 1800000000}}
    policy = {"Statement": [{"Resource": "https://cdn.example/v/*", "Condition": condition}]}
    encoded = base64.b64encode(json.dumps(policy).encode()).decode().translate(str.maketrans("+=/", "-_~"))
    signature = of(r, URLSAFE.replace("_", "~"), 342) + "__"
    query = f"Policy={encoded}&Signature={signature}&Key-Pair-Id=K{of(r, BASE32.upper(), 13)}"
    return f"https://d1{of(r, BASE32, 12)}.cloudfront.net/{_file(r)}?{query}"


def _meta_cdn(r: Random) -> str:
    return (
        f"https://scontent-ams2-1.xx.fbcdn.net/v/t39.30808-6/{digits(r, 9)}_{digits(r, 18)}_{digits(r, 19)}_n.jpg"
        f"?stp=dst-jpg_s{r.choice([600, 720])}x{r.choice([600, 720])}&_nc_cat={r.randint(100, 111)}&ccb=1-7"
        f"&_nc_sid={hexadecimal(r, 6)}"
        f"&_nc_ohc={of(r, URLSAFE, 31)}&_nc_ht=scontent-ams2-1.xx&oh=00_{of(r, URLSAFE, 48)}"
        f"&oe={hexadecimal(r, 8).upper()}"
    )


def _short_video(r: Random) -> str:
    return (
        f"https://v16-webapp-prime.tiktokcdn.com/video/tos/useast2a/tos-useast2a-ve-0068c003/{of(r, _MIXED, 32)}/"
        f"?a=1988&bti={of(r, BASE64, 20)}%3D%3D&ch=0&cr=3&dr=0&lr=all&cd=0%7C0%7C0%7C&cv=1"
        f"&br={r.randint(800, 4000)}&bt={r.randint(400, 2000)}"
        f"&ft={of(r, URLSAFE, 26)}&mime_type=video_mp4&qs=0&rc={of(r, URLSAFE, 80)}%3D%3D"
        f"&l={digits(r, 14)}{hexadecimal(r, 18).upper()}&btag=e00088000&expire=1800000000&ply_type=2&policy=2"
        f"&signature={hexadecimal(r, 32)}&tk=tt_chain_token"
    )


def _video_playback(r: Random) -> str:
    query = (
        f"expire=1800000000&ei={of(r, URLSAFE, 22)}&ip=203.0.113.7&id=o-{of(r, URLSAFE, 44)}&itag=18&source=video"
        f"&requiressl=yes&mh={of(r, URLSAFE, 2)}&mm=31%2C29&mn=sn-5hne6nzs%2Csn-5hnekn7k&ms=au%2Crdu&mv=m&mvi=3&pl=24"
        f"&initcwndbps={digits(r, 7)}&vprv=1&mime=video%2Fmp4&ns={of(r, URLSAFE, 22)}&gir=yes&clen={digits(r, 8)}"
        f"&ratebypass=yes&dur=212.091&lmt={digits(r, 16)}&n={of(r, URLSAFE, 14)}&sparams=expire%2Cei%2Cip%2Cid%2Citag"
        "%2Csource%2Crequiressl%2Cvprv%2Cmime%2Cns%2Cgir%2Cclen%2Cratebypass%2Cdur%2Clmt"
        f"&sig=AJfQdSswR{of(r, URLSAFE, 95)}&lsparams=mh%2Cmm%2Cmn%2Cms%2Cmv%2Cmvi%2Cpl%2Cinitcwndbps"
        f"&lsig=AHWaYeo{of(r, URLSAFE, 95)}"
    )
    return f"https://rr3---sn-5hne6nz{r.choice('sdkez')}.googlevideo.com/videoplayback?{query}"


def _tracking(r: Random) -> str:
    name, value = r.choice(
        [
            ("fbclid", "IwAR" + of(r, URLSAFE, 57)),
            ("fbclid", "IwZXh0bgNhZW0" + of(r, URLSAFE, 120)),
            ("gclid", of(r, URLSAFE, 92)),
            ("igsh", of(r, BASE64, 16) + "=="),
            ("si", of(r, URLSAFE, 16)),
            ("__cft__[0]", "AZ" + of(r, URLSAFE, 170)),
            ("share_id", of(r, URLSAFE, 21)),
            ("sca_esv", hexadecimal(r, 16)),
            ("ved", "2ahUKE" + of(r, URLSAFE, 52)),
        ]
    )
    query = f"utm_source=share&utm_medium=web&{urlencode({name: value})}"
    return f"https://{r.choice(HOSTS)}/{_slug(r)}/{digits(r, 16)}/?{query}"


def _forum(r: Random) -> str:
    return r.choice(
        [
            f"https://forum.board.example/viewtopic.php?f={r.randint(1, 99)}&t={digits(r, 6)}&start=15#p{digits(r, 7)}",
            f"https://board.example/b/thread/{digits(r, 9)}#q{digits(r, 9)}",
            f"https://forum.board.example/index.php?/topic/{digits(r, 5)}-{_slug(r)}/",
            f"https://board.example/showthread.php?s={hexadecimal(r, 32)}&t={digits(r, 6)}",
            f"https://i.board.example/b/{digits(r, 16)}s.jpg",
        ]
    )


def _cloud_drive(r: Random) -> str:
    return r.choice(
        [
            f"https://mega.example/file/{of(r, URLSAFE, 8)}#{of(r, URLSAFE, 43)}",
            f"https://mega.example/#!{of(r, URLSAFE, 8)}!{of(r, URLSAFE, 43)}",
            f"https://mega.example/folder/{of(r, URLSAFE, 8)}#{of(r, URLSAFE, 22)}/file/{of(r, URLSAFE, 8)}",
            f"https://drive.example/file/d/1{of(r, URLSAFE, 32)}/view?usp=sharing",
            f"https://drive.example/drive/folders/1{of(r, URLSAFE, 32)}",
            f"https://box.example/scl/fi/{of(r, BASE32, 21)}/{_file(r)}?rlkey={of(r, BASE32, 25)}&st=k2v5x7ab&dl=0",
            f"https://drive2.example/u/s!{of(r, URLSAFE, 24)}?e={of(r, BASE58, 6)}",
            f"https://disk.example/d/{of(r, URLSAFE, 14)}",
            f"https://lh3.{STORAGE_SERVICES[0]}/pw/AP1Gcz{of(r, URLSAFE, 150)}=w1280-h960-s-no",
            f"https://lh3.{STORAGE_SERVICES[0]}/a/AF1Qip{of(r, URLSAFE, 38)}",
            f"https://uc{hexadecimal(r, 26)}.dl.{STORAGE_SERVICES[3]}/cd/0/inline/{of(r, URLSAFE, 195)}/file",
            f"https://dl{digits(r, 4)}.{STORAGE_SERVICES[9]}/{of(r, URLSAFE, 168)}/{of(r, BASE32, 15)}/{_file(r)}",
        ]
    )


def _peer_web(r: Random) -> str:
    cid = "bafybei" + of(r, BASE32, 52)
    return r.choice(
        [
            f"https://ipfs.example/ipfs/Qm{of(r, BASE58, 44)}",
            f"https://{cid}.ipfs.gateway.example/{_file(r)}",
            f"https://ipfs.example/ipfs/{cid}?filename={_file(r)}",
            f"https://cdn.skyfeed.example/img/full/plain/did:plc:{of(r, BASE32, 24)}/bafkrei{of(r, BASE32, 52)}@jpeg",
            f"https://arweave.example/{of(r, URLSAFE, 43)}",
            f"https://swarm.example/bzz/{hexadecimal(r, 64)}/",
        ]
    )


def _invite(r: Random) -> str:
    return r.choice(
        [
            f"https://chat-t.example/+{of(r, URLSAFE, 16)}",
            f"https://chat-t.example/joinchat/{of(r, URLSAFE, 22)}",
            f"https://chat.invite.example/{of(r, URLSAFE, 22)}",
            f"https://signal.example/#CjQKI{of(r, URLSAFE, 67)}",
            f"https://gg.invite.example/{of(r, _MIXED, 8)}",
            _simplex(r),
            f"https://paste.example/?{hexadecimal(r, 16)}#{of(r, BASE58, 44)}",
            f"https://pad.example/file/#/2/file/view/{of(r, URLSAFE, 24)}/",
            f"https://web.chat.example/#/room/!{of(r, string.ascii_letters, 18)}:matrix.example/${of(r, URLSAFE, 43)}",
        ]
    )


def _simplex(r: Random) -> str:
    server = f"smp%3A%2F%2F{of(r, URLSAFE, 43)}%3D%40smp4.simplex.example%2F{of(r, URLSAFE, 32)}"
    return f"https://simplex.example/contact#/?v=2-7&smp={server}%23%2F%3Fv%3D1-3"


def _discord_like(r: Random) -> str:
    query = f"ex={hexadecimal(r, 8)}&is={hexadecimal(r, 8)}&hm={hexadecimal(r, 64)}&"
    return f"https://cdn.discordapp.com/attachments/{digits(r, 19)}/{digits(r, 19)}/{_file(r)}?{query}"


def _shared_access(r: Random) -> str:
    query = (
        "sv=2024-11-04&st=2026-01-01T10%3A00%3A00Z&se=2026-02-01T10%3A00%3A00Z&sr=b&sp=r"
        f"&sig={quote(of(r, BASE64, 43), safe='')}%3D&skoid={uuid(r)}&sktid={uuid(r)}"
        "&ske=2026-02-01T10%3A00%3A00Z&sks=b&skv=2024-11-04"
    )
    return f"https://account7.blob.core.windows.net/container-2/{_file(r)}?{query}"


def _storage_signed(r: Random) -> str:
    query = (
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=reader%40project-7.iam.cloud.example"
        "%2F20260111%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20260111T101112Z&X-Goog-Expires=900"
        f"&X-Goog-SignedHeaders=host&X-Goog-Signature={hexadecimal(r, 512)}"
    )
    return f"https://storage.googleapis.com/bucket-2/{_file(r)}?{query}"


def _state(r: Random) -> str:
    album, title = r.randint(1, 999), " ".join(words(r, 1, 4, language="en"))
    value = json.dumps({"album": album, "title": title, "page": r.randint(1, 9), "sort": "new"})
    return r.choice(
        [
            f"https://{r.choice(HOSTS)}/app?state={quote(base64.b64encode(value.encode()).decode(), safe='')}",
            f"https://{r.choice(HOSTS)}/app?filter={quote(value, safe='')}",
            f"https://{r.choice(HOSTS)}/watch?token={_jwt(r)}",
            f"https://redirect.example/l.php?u={quote(plain(r), safe='')}&h={of(r, URLSAFE, 60)}",
            f"https://out.example/go?url={base64.urlsafe_b64encode(plain(r).encode()).decode()[:1000]}",
            f"https://maps.example/@52.{digits(r, 7)},4.{digits(r, 7)},15z",
            f"https://archive.example/web/{digits(r, 14)}/{plain(r)}",
        ]
    )


def plain(r: Random) -> str:
    """Return an address of the simplest kind: host, folders, file."""
    folders = "/".join(
        r.choice([r.choice(WORDS["en"]), str(r.randint(1, 2026)), _slug(r), hexadecimal(r, 2)])
        for _ in range(r.randint(0, 3))
    )
    return f"http{r.choice(['s', ''])}://{r.choice(HOSTS)}/{folders}/{_file(r)}"


def _unusual_host(r: Random) -> str:
    host = r.choice(
        [
            "[2001:db8:85a3::8a2e:370:7334]",
            "203.0.113.9:8080",
            "xn--80aafgqn1a7d.example",
            "xn--wgv71a119e.example",
            "my_bucket.storage.example",
            f"{of(r, BASE32, 10)}.pages.example",
            f"{r.choice(WORDS['en'])}-{r.choice(WORDS['id'])}-{hexadecimal(r, 6)}.app.example",
            f"{uuid(r)}.random.example",
        ]
    )
    return f"http://{host}/{_file(r)}"


def _query_words(r: Random) -> str:
    language = r.choice(list(WORDS))
    asked = quote(" ".join(words(r, 1, 6, language=language)))
    return f"https://search.example/search?q={asked}&hl={language}&page={r.randint(1, 30)}"


URL_SHAPES: list[Callable[[Random], str]] = [plain] * 3 + [_aws, _signed_cdn, _meta_cdn, _short_video, _video_playback]
URL_SHAPES += [_tracking, _forum, _forum, _cloud_drive, _peer_web, _invite, _discord_like, _shared_access]
URL_SHAPES += [_storage_signed, _state, _unusual_host, _query_words]
#: The shapes of most reports: plain pages and files, boards, forums, file hosts, invitations.
TYPICAL_SHAPES: list[Callable[[Random], str]] = [plain] * 3 + [_forum] * 2 + [_cloud_drive, _invite, _unusual_host]
