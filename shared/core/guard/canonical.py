"""The address reader: it reads addresses as people write and paste them, and returns their canonical form.

The form follows RFC 3986 §6.2.2 and §6.2.3. Any other form of the same address could carry a bit. Host names of other
scripts become A-labels by the package `idna` (UTS 46). Reading is idempotent. It has one of two results: a canonical
text in the alphabet of `charge`, or `Refused` with the rule that the text breaks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from itertools import product
from string import hexdigits
from typing import Final, NamedTuple, NoReturn
from urllib.parse import quote, unquote

import idna

from shared.core.errors import Refused

#: Letters in any case. Without `ASCII`, some letters of other scripts would equal `i`, `k` and `s`.
_ASCII: Final = re.ASCII | re.IGNORECASE

ADDRESS_CHARACTERS_MAX: Final = 2_048
HOST_CHARACTERS_MAX, LABEL_CHARACTERS_MAX = 253, 63

_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_LONE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPES: Final = re.compile(r"%[0-9A-Fa-f]{2}")
#: The canonical form of each escape.
_SPELT: Final = {
    f"%{digits}": chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
    for digits in map("".join, product(hexdigits, repeat=2))
    for byte in (int(digits, 16),)
}
_PLAIN_ESCAPES: Final = re.compile(r"[^%]*+(?:%(?:2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-D]|[89A-F][0-9A-F])[^%]*+)*+")
#: Most addresses are in canonical form: a short host without a port, and escapes that the two patterns below check.
_CANONICAL: Final = re.compile(
    r"https?://(?=[^/]{1,63}/)(?:[a-z0-9]++[.-])*+[a-z0-9]++/[A-Za-z0-9._~/?#\[\]@!$&'()*+,;=:%-]*+"
)
#: Characters that need no escape in a user name, in a parameter of a peer's file, and after a host (RFC 3986 §3).
_IN_USER, _IN_PEER, _IN_REST = "!$&'()*+,;=:%", ":/@!$'()*+,;%", ":/?#[]@!$&'()*+,;=%"

#: Control characters, and characters that change text direction or are invisible (Unicode 16, Cc and Cf).
_HIDDEN: Final = re.compile(
    "[\0-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
#: Such characters with escapes, in UTF-8.
_HIDDEN_ESCAPE: Final = (
    r"%(?:[01][0-9A-F]|7F|C2%[89][0-9A-F]|E2%80%(?:8[EF]|A[A-E])|E2%81%A[6-9]|EF%BB%BF|F3%A0%8[01]%[89AB][0-9A-F])"
)
_HIDDEN_INSIDE: Final = re.compile(_HIDDEN_ESCAPE)
#: One of them at the end of a text, at most this long.
_HIDDEN_AT_END: Final = re.compile(rf"{_HIDDEN_ESCAPE}\Z", _ASCII)
_HIDDEN_CHARACTERS_MAX: Final = 12
_QUOTES: Final = {"<": ">", '"': '"', "'": "'", "(": ")", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_PREFIX: Final = re.compile(r"\A(?:url:|view-source:)\s*", _ASCII)
_TWO: Final = re.compile(r"\s(?:(?:https?|hxxps?|ftp|rtsp)://|magnet:\?)", _ASCII)

#: Defanged spellings, which keep programs from making a link: `hxxps`, `h**p`, `[.]`, `(dot)`, `[:]`, `[://]`.
_DEFANGED: Final = re.compile(r"\[(\.|:|://|@)\]|\((\.)\)|\{(\.)\}|[\[({]dot[\])}]", _ASCII)
_HEAD: Final = re.compile(r"[^/?#]*(?://[^/?#]*)?")
_WEB: Final = re.compile(r"(?:h{0,2}t{1,2}|hxx|h\*\*|h__)p(s?)")
_FILES: Final = re.compile(r"f[tx*]p(s?)")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.*_-]*):([/\\]*+)")
_AGAIN: Final = re.compile(r"(?:https?:/{1,2})+(?=https?://)", _ASCII)
_PORT_FOLLOWS: Final = re.compile(r"[0-9]{1,5}(?:[/?#]|\Z)")
_AUTHORITY: Final = re.compile(r"([^/?#]*)(.*)", re.DOTALL)
#: The schemes of locations, with their default ports.
_SCHEMES: Final[Mapping[str, str]] = {
    "http": "80", "https": "443", "ftp": "21", "ftps": "990", "sftp": "22", "rtsp": "554", "rtsps": "322",
    "rtmp": "1935", "rtmps": "443", "mms": "1755", "ws": "80", "wss": "443",
}  # fmt: skip
_PEERS: Final = frozenset({"magnet", "ed2k", "ipfs", "ipns", "urn"})
#: Also labels that no registry assigns but servers answer to: `_` anywhere, and `-` at either end.
_LABELS: Final = re.compile(r"[a-z0-9_-]{1,63}+(?:\.[a-z0-9_-]{1,63}+)*+\.?")
#: A host without a scheme: a name below a domain of letters, or an IP address.
_BARE_HOST: Final = re.compile(r"\[.*|(?:[^.]++\.)++(?:xn--[a-z0-9-]+|[a-z]{2,})\.?|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_ONION: Final = re.compile(r"(?:[a-z0-9-]{1,63}\.){0,3}[a-z2-7]{56}\.onion")

_PARAMETER: Final = re.compile(r"([a-z]{1,2}(?:\.[a-z0-9]{1,4})?)=(.*)", _ASCII | re.DOTALL)
_TOPIC: Final = re.compile(r"(urn:[a-z0-9]{2,8}:(?:tiger:)?)([a-z0-9]{32,68})", _ASCII)
_IPFS: Final = re.compile(
    r"(?:dweb:)?/{0,2}(ip[fn]s)(?::/{0,2}(?:ip[fn]s/)?|/)([a-z0-9]{46,64})((?:[/?#].*)?)", _ASCII | re.DOTALL
)
_CID: Final = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}|baf[a-z2-7]{56,61}")
_INFO_HASH: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}|[A-Za-z2-7]{32}")


class _Address(NamedTuple):
    """The parts of an address. `scheme` is empty if none is written. `rest` is the text after host and port."""

    scheme: str
    user: str
    host: str
    port: str
    rest: str


def canonical(text: str, kind: str) -> str:
    """Return the canonical form of a web address, an onion address or a peer's file; other kinds unchanged.

    Raises `Refused` with a code `guard_rules_…`, never another error.
    """
    if (read := _READERS.get(kind)) is None or (kind == "url" and _is_canonical(text)):
        return text
    if len(text) <= ADDRESS_CHARACTERS_MAX:
        text = read(_trimmed(text))
    if len(text) > ADDRESS_CHARACTERS_MAX:
        _refuse("too_long", f"at most {ADDRESS_CHARACTERS_MAX} characters, with escapes")
    if "%" in text and _HIDDEN_INSIDE.search(text):
        _refuse("control_character", "no control or direction characters inside an address")
    return text


def _refuse(rule: str, detail: str) -> NoReturn:
    raise Refused(f"guard_rules_{rule}", detail)


def _is_canonical(text: str) -> bool:
    if len(text) > ADDRESS_CHARACTERS_MAX or not _CANONICAL.fullmatch(text):
        return False
    return "%" not in text or (_PLAIN_ESCAPES.fullmatch(text) is not None and not _HIDDEN_INSIDE.search(text))


def _trimmed(text: str) -> str:
    """Return the text without invisible characters, quotation marks or a label around it, and defanged spellings."""
    if _TWO.search(text := _PREFIX.sub("", text.strip())):
        _refuse("two_addresses", "one address in each field or line")
    text = _HIDDEN.sub("", text).strip()
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    while found := _HIDDEN_AT_END.search(text, max(len(text) - _HIDDEN_CHARACTERS_MAX, 0)):
        text = text[: found.start()]
    head = _HEAD.match(text)
    if head is not None and _DEFANGED.search(head[0]):
        text = _DEFANGED.sub(lambda found: found[1] or ".", text)
    return text


def _web(text: str) -> str:
    """Read a web address, or another address with a host. Without a scheme it is `https`, as in browsers."""
    address = _address(text)
    rest = address.rest if address.rest.startswith("/") else f"/{address.rest}"
    return _written(address._replace(scheme=address.scheme or "https", rest=rest))


def _onion(text: str) -> str:
    """Read the address of a version 3 onion service, with or without a scheme (Tor rend-spec-v3, section 6)."""
    address = _address(text)
    if address.scheme not in ("", "http", "https") or address.user or not _ONION.fullmatch(address.host):
        _refuse("onion", "a version 3 onion name has 56 letters and digits before .onion")
    return _written(address)


def _written(address: _Address) -> str:
    scheme, user, host, port, rest = address
    user = f"{_escaped(user, _IN_USER)}@" if user else ""
    port = f":{port}" if port and port != _SCHEMES.get(scheme) else ""
    return f"{scheme}{'://' if scheme else ''}{user}{host}{port}{_escaped(rest, _IN_REST)}"


def _address(text: str) -> _Address:
    scheme, text = _scheme(_one_scheme(text))
    found = _AUTHORITY.fullmatch(text)
    assert found is not None  # it matches each text
    user, _, host = found[1].rpartition("@")
    host, port = _literal(host) if host.startswith("[") else _named(host)
    user = user.strip().rstrip(":")
    if not scheme and (user or not _BARE_HOST.fullmatch(host)):
        _refuse("no_host", "an address has a scheme and a host name")
    return _Address(scheme, user, host, port, found[2])


def _one_scheme(text: str) -> str:
    """Return the text without a scheme before another one, and with `/` for each `\\` before the query."""
    again = _AGAIN.match(text)
    text = text[again.end() :] if again else text
    end = len(re.split("[?#]", text, maxsplit=1)[0])
    return text[:end].replace("\\", "/") + text[end:]


def _scheme(text: str) -> tuple[str, str]:
    """Return the scheme and the text after it. The scheme is empty if the text begins with a host."""
    found = _SCHEME.match(text)
    if found is None:
        return "", text.removeprefix("//")
    name = found[1].lower()
    if web := _WEB.fullmatch(name) or _FILES.fullmatch(name):
        name = ("http" if web.re is _WEB else "ftp") + web[1]
    if name in _SCHEMES:
        return name, text[found.end() :]
    if not found[2] and _PORT_FOLLOWS.match(text, found.end()):
        return "", text
    if name in _PEERS:
        _refuse("other_kind", "a file in a peer-to-peer network has the kind p2p")
    _refuse("scheme", "a scheme of a location: http, https, ftp, rtsp and the like")


def _literal(text: str) -> tuple[str, str]:
    """Return the IPv6 address in brackets, and the port after it."""
    literal, bracket, port = text[1:].lower().partition("]")
    if not (bracket and _is_ipv6(literal) and port[:1] in ("", ":")):
        _refuse("host_literal", "an IPv6 address in brackets")
    return f"[{literal}]", _port(port[1:])


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _named(text: str) -> tuple[str, str]:
    """Return the host name in ASCII, and the port after it."""
    host, _, port = text.partition(":")
    host = _HIDDEN.sub("", unquote(host) if "%" in host else host).strip().lower()
    if not host or " " in host:
        _refuse("no_host", "an address has a host name")
    if len(host) <= HOST_CHARACTERS_MAX and not host.isascii():
        host = _a_labels(host)
    if not host.isascii() or len(host) > HOST_CHARACTERS_MAX:
        _refuse("host", f"a host name that can be registered, at most {HOST_CHARACTERS_MAX} characters")
    if not _LABELS.fullmatch(host):
        _refuse("host_label", "labels of 1 to 63 letters, digits, - and _, with one dot between them")
    return host, _port(port)


def _a_labels(host: str) -> str:
    """Return a host name of another script in ASCII (UTS 46, RFC 3492), or unchanged if there is no such name.

    As in browsers: symbols that IDNA 2008 excludes are mapped too, because servers answer to such names.
    """
    try:
        mapped = idna.uts46_remap(host, std3_rules=False)
        if max(map(len, mapped.split("."))) > LABEL_CHARACTERS_MAX:
            return host  # its encoding would take long, and be longer still
        return ".".join(
            [each if each.isascii() else f"xn--{each.encode('punycode').decode()}" for each in mapped.split(".")]
        )
    except UnicodeError:
        return host


def _port(text: str) -> str:
    text = text.strip()
    if text and not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65_535):
        _refuse("host_port", "a port between 1 and 65535")
    return str(int(text)) if text else ""


def _escaped(text: str, safe: str) -> str:
    """Return a part of an address with capital escapes, only where they are required. A lone `%` is escaped itself."""
    text = quote(_LONE.sub("%25", text), safe=safe, errors="replace")
    if "%" in text and not _PLAIN_ESCAPES.fullmatch(text):
        text = _ESCAPES.sub(lambda escape: _SPELT[escape[0]], text)
    return text


def _peer(text: str) -> str:
    """Read a magnet or ed2k link, an IPFS address or an info-hash (BEP 9, BEP 52)."""
    start, _, rest = text.partition(":")
    if (scheme := start.lower()) in ("magnet", "urn"):
        return _magnet(rest if scheme == "magnet" else f"xt={text}")
    if scheme == "ed2k":
        return _ed2k(rest)
    if found := _IPFS.fullmatch(text):
        return f"{found[1].lower()}://{found[2]}{_escaped(found[3], _IN_REST)}"
    if _CID.fullmatch(text):
        return f"ipfs://{text}"
    if _INFO_HASH.fullmatch(text):
        return _hash(text)
    _refuse("peer", "a magnet, ed2k or IPFS link, or an info-hash")


def _hash(text: str) -> str:
    return text.lower() if re.fullmatch("[0-9A-Fa-f]+", text) else text.upper()


def _magnet(text: str) -> str:
    """Read the parameters of a magnet link. Its topics come first, the others stay in their order."""
    pairs: list[tuple[str, str]] = []
    for piece in text.lstrip("/").removeprefix("?").replace("&amp;", "&").split("&"):
        if found := _PARAMETER.fullmatch(piece):
            pairs.append((found[1].lower(), found[2]))
        elif piece and pairs:  # a name with `&`
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]}%26{piece}")
    topics, others = [], []
    for name, value in pairs:
        if name.partition(".")[0] != "xt":
            others += [f"{name}={value}"] if value else []
        elif topic := _TOPIC.fullmatch(unquote(value)):
            prefix = topic[1].lower()  # the hash of IPFS depends on case
            topics.append(f"{name}={prefix}{topic[2] if prefix == 'urn:ipfs:' else _hash(topic[2])}")
    if not topics:
        _refuse("peer", "a magnet link has the hash of the file in xt=urn:")
    return f"magnet:?{_escaped('&'.join(topics + others), f'{_IN_PEER}&=')}"


def _ed2k(text: str) -> str:
    """Read an ed2k link: the name, size and hash of a file, and its AICH hash. Sources are omitted."""
    text = text if "|" in text else re.sub("%7c", "|", text, flags=_ASCII)
    label, name, size, digest, *more = [*text.strip("/").strip("|").split("|"), "", "", ""]
    is_size = size.isascii() and size.isdigit() and len(size) <= 15
    if label.lower() != "file" or not name or not is_size or not re.fullmatch("[0-9A-Fa-f]{32}", digest):
        _refuse("peer", "an ed2k link has the name, size and hash of a file")
    aich = next((f"h={each[2:].upper()}|" for each in more if re.fullmatch("h=[A-Z2-7]{32}", each, _ASCII)), "")
    return f"ed2k://|file|{_escaped(name, _IN_PEER)}|{int(size)}|{digest.lower()}|{aich}/"


_READERS: Final[Mapping[str, Callable[[str], str]]] = {"url": _web, "onion": _onion, "peer": _peer}
#: The canonical forms by the number in an edition. A form never changes.
FORMS: Final[Mapping[int, Callable[[str, str], str]]] = {1: canonical}
