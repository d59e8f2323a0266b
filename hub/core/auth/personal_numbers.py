"""Numbers that may be a person's: telephone numbers of any country, cards, days of birth.

A number without a plus is an international one if it begins with the code of a country whose
numbering plan has the rest (ITU-T E.164; the plans are those of `phonenumbers`).
"""

import re
from functools import lru_cache

# Numbers without a country's code: North American ones, and those with a prefix to dial first
# (0, 00 and 011; 8 in Russia, for mobile ones). Numbers that programs fill up have more zeros.
_NATIONAL = re.compile(
    r"1?[2-9][0-9]{2}[2-9][0-9]{6}|447[0-9]{9}|89[0-9]{9}|0(?!00)[0-9]{6,17}", re.ASCII
)
# Digits of a number with its country's code, and of one without.
_INTERNATIONAL, _LOCAL = range(8, 16), range(7, 12)
_LONGEST_CODE = 3
_YEAR, _MONTH, _DAY = (
    r"(?:19[0-9]{2}|200[0-4])",
    r"(?:0[1-9]|1[0-2])",
    r"(?:0[1-9]|[12][0-9]|3[01])",
)
_BIRTHDAY = re.compile(rf"{_YEAR}{_MONTH}{_DAY}|{_DAY}{_MONTH}{_YEAR}", re.ASCII)
_CARD = range(12, 20)


@lru_cache(maxsize=16384)
def is_personal(digits: str) -> bool:
    """Return whether digits may be a telephone number, a payment card's, or a day of birth."""
    if _NATIONAL.fullmatch(digits) or _BIRTHDAY.fullmatch(digits):
        return True
    return _is_international(digits) or _is_card(digits)


def may_be_national(digits: str) -> bool:
    """Return whether digits are as many as those of a telephone number without its country."""
    return len(digits) in _LOCAL


def _is_international(digits: str) -> bool:
    if len(digits) not in _INTERNATIONAL:
        return False
    for length in range(1, _LONGEST_CODE + 1):
        plan, rest = _plan(int(digits[:length])), digits[length:]
        if plan is not None:
            # Some keep the zero that is dialled within the country: 44 020 7946 0123.
            return bool(plan.fullmatch(rest) or plan.fullmatch(rest.removeprefix("0")))
    return False


@lru_cache(maxsize=1024)
def _plan(code: int) -> re.Pattern[str] | None:
    """Return the pattern of people's numbers behind a country's code; None if it is none."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata  # slow to import

    plans = [
        kind.national_number_pattern
        for region in COUNTRY_CODE_TO_REGION_CODE.get(code, ())
        if (told := PhoneMetadata.metadata_for_region_or_calling_code(code, region))
        for kind in (told.fixed_line, told.mobile, told.voip, told.personal_number)
        if kind is not None and kind.national_number_pattern
    ]
    return re.compile("|".join(plans), re.ASCII) if plans else None


def _is_card(digits: str) -> bool:
    """Return whether digits are a payment card's (ISO/IEC 7812-1, Luhn)."""
    if len(digits) not in _CARD or digits[0] not in "23456":
        return False
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0
