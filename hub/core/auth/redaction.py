"""Redaction for users who may not see personal data: shows what is known to be none, by a list.

Shown are ids, types, states, amounts, currencies, times and countries: a value is shown if the
name of its field says that it is one, and if it looks like one (`plain_values`). Every other text
and number is masked, whatever its field is called; structure, booleans and nulls are kept. Names of
fields are shown if they consist of ordinary words.
"""

import re
from collections.abc import Iterator, Mapping, Set
from itertools import groupby
from typing import Any

from adapters import EVENT_TYPES
from hub.core.auth import plain_values as plain
from hub.core.auth.opaque_ids import is_strong_id
from hub.core.auth.ordinary_words import FAMILY_NAMES, MOST_DIGITS, is_worded
from hub.core.auth.plain_values import Kind

MASK = "•••"

_MARKS = "-.,;:?!()[]`“”\"'…"
# Words of the hub's own sentences, beside those of codes.
_SENTENCE_WORDS = frozenset(
    "a about above acknowledge alike all among an another anybody apart are ask asked assign "
    "attempt attribute back backfilled backup been began begin begins behind below between bits "
    "bodies both brings but by bytes call calls came can cdn choose come comes compared "
    "compiled could counted counts damaged database day days decided deliveries dictionary "
    "differ discard discarded disk due each earlier either else enable error errors every "
    "everybody expression factor fails far fast figure filled find finite for free from front "
    "full gave gib give given gives goes h had half happen happened have held here hops hour "
    "hours how hub if in ins instead into it its itself just keeps kept kib know known knows "
    "lack later least leave left let letters like limits lines load longer look looked looking "
    "looks loop looped lost made mail mails make many mapping may mend mended mib minor minute "
    "minutes more much must nearly need newer newest nginx nobody nothing numbers odd of often "
    "older oldest on once opening operational or other others otherwise our over own past "
    "people per percent perhaps port press proxies proxy reach readable recursive refuses "
    "repeat repeated replay replayed replays right rights route routes same say says second "
    "seconds see seen set settle showed shown shows sign since skipped so some somebody "
    "something still stored such sweep take taken takes telephone tells texts that the their "
    "them then there these they this those through to told too took tried turn twice units "
    "until up users uses visitor visitors wait waits was week well were what when where whether "
    "which while who whoever whole whom whose will with within without worker would write "
    "written wrongly yaml yet you your yours yourself".split()
)
_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{7,19}(?![0-9A-Za-z])", re.ASCII)
_TRUTH = frozenset({"", "true", "false"})


class Redactor:
    """Redaction of trees and texts. `own` are words that this hub's settings made ordinary.

    They are in lower case: the words of a form's declared fields and of the slugs in hub.yaml.
    """

    __slots__ = ("_in_sentences", "_own")

    def __init__(self, own: Set[str] = frozenset()) -> None:
        self._own = own
        self._in_sentences = _SENTENCE_WORDS | own

    def tree(self, value: Any, name: str = "") -> Any:
        """Return a tree with personal data masked; `name` is that of the field which holds it."""
        return self._shown(value, plain.kind_of(name) if name else Kind.OTHER)

    def typed(self, value: Any) -> Any:
        """Return a tree with every text and number masked, for what a visitor typed."""
        return self._shown(value, Kind.TYPED)

    def text(self, text: str) -> str:
        """Return a mask for a text that is not empty: a sentence may name anybody."""
        return MASK if text else text

    def id(self, text: str) -> str:
        """Return an id, or a mask for what has not the shape of one.

        In an id of several parts those numbers alone are masked that may be a telephone's.
        """
        if plain.is_id(text, self._own):
            return text
        cut = _LONG_NUMBER.sub(lambda found: MASK if _tells(found[0]) else found[0], text)
        rest = cut.replace(MASK, "0")
        return cut if rest.strip("0") and plain.is_id(rest, self._own) else self.text(text)

    def code(self, text: str) -> str:
        """Return a code or the number of an outcome, or a mask for all else."""
        is_one = plain.is_code(text, self._own) or plain.is_status_code(text)
        return text if is_one else self.text(text)

    def event_type(self, text: str) -> str:
        """Return an event's type; of one that is no code, the provider alone: `crm.•••`."""
        if text in EVENT_TYPES or plain.is_code(text, self._own):
            return text
        provider, dot, _ = text.partition(".")
        return f"{self.code(provider)}.{MASK}" if dot else MASK

    def name(self, text: str) -> str:
        """Return the name of a field, or a mask for what is no ordinary identifier."""
        return text if plain.is_name(text, self._own) else self.text(text)

    def sentence(self, text: str) -> str:
        """Return a sentence of the hub or of an adapter, without what it quotes from outside.

        Words that are not ordinary are masked, and numbers that together may be a telephone's. Not
        for what people and providers wrote: they may tell of somebody in ordinary words.
        """
        words = text.split()
        most = MOST_DIGITS - sum(len(word) for word in words if word.strip(_MARKS).isdigit())
        shown = (
            word if self._is_own_word(word, most) and not (at and _is_name(word)) else MASK
            for at, word in enumerate(words)
        )
        return " ".join(word for word, _ in groupby(shown))

    def _is_own_word(self, word: str, most: int) -> bool:
        bare = word.strip(_MARKS).removesuffix("'s")
        if bare.isdigit():
            return most >= 0
        is_other = not bare or is_strong_id(bare) or plain.is_time(bare)
        return is_other or is_worded(bare, self._in_sentences)

    def _shown(self, value: Any, kind: Kind) -> Any:
        if isinstance(value, str):
            # Parameters of a media type name files.
            head, semicolon, _ = value.partition(";") if kind is Kind.CODE else (value, "", "")
            if not self._is_plain(head, kind) or (semicolon and not head):
                return MASK
            return f"{head}; {MASK}" if semicolon else value
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, Mapping):
            return dict(self._entries(value, is_typed=kind is Kind.TYPED))
        if isinstance(value, list | tuple):
            return [self._shown(item, kind) for item in value]
        if isinstance(value, int | float):
            return value if _is_plain_number(value, kind) else MASK
        return MASK

    def _entries(self, value: Mapping[Any, Any], *, is_typed: bool) -> Iterator[tuple[str, Any]]:
        masked = 0
        for key, item in value.items():
            shown = str(key)
            if not plain.is_name(shown, self._own):
                # Several names are masked alike: keep all their entries.
                masked += 1
                shown = MASK if masked == 1 else f"{MASK} {masked}"
            kind = Kind.TYPED if is_typed else plain.kind_of(str(key))
            yield shown, self._shown(item, kind)

    def _is_plain(self, text: str, kind: Kind) -> bool:
        if text == "":
            return True
        match kind:
            case Kind.TYPED:
                return False
            case Kind.ID | Kind.PERSONS_ID:
                return plain.is_id(text, self._own, persons=kind is Kind.PERSONS_ID)
            case Kind.CODE:
                is_region = len(text) == 2 and text.isupper() and text != "OK"
                is_one = plain.is_code(text, self._own) or plain.is_status_code(text)
                return is_one and not is_region
            case Kind.CURRENCY:
                return plain.is_currency(text)
            case Kind.COUNTRY:
                return plain.is_country(text)
            case Kind.TIME:
                return plain.is_time(text) or text in _TRUTH
            case Kind.AMOUNT:
                return plain.is_amount(text) or text in _TRUTH
        return text in _TRUTH or is_strong_id(text)


def _is_name(word: str) -> bool:
    """Return whether a word within a sentence is a family name: it begins with a capital."""
    bare = word.strip(_MARKS).removesuffix("'s")
    return bare[:1].isupper() and bare.lower() in FAMILY_NAMES


def _tells(digits: str) -> bool:
    return not plain.is_number_id(digits)


def _is_plain_number(number: float, kind: Kind) -> bool:
    digits = str(abs(number))
    match kind:
        case Kind.ID | Kind.PERSONS_ID:
            is_persons = kind is Kind.PERSONS_ID
            return isinstance(number, int) and plain.is_number_id(digits, persons=is_persons)
        case Kind.CODE:
            return plain.is_status_code(digits) or len(digits) <= 2
        case Kind.TIME:
            return plain.is_time(digits)
        case Kind.AMOUNT:
            return len(digits) <= 15 and (len(digits) < 10 or plain.is_number_id(digits))
    return False
