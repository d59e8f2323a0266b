"""Telephone numbers that strangers typed: which of them a text may cost money for."""

import re
from collections.abc import Collection

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_LAST_DIGITS = 4


def odd(number: str, countries: Collection[str]) -> str | None:
    """Return why no text goes to a number, None if one may. Never the number itself.

    Premium-rate, toll-free, satellite, personal and unassigned ranges are odd wherever they are;
    a calling code that countries share does not make them one.
    """
    import phonenumbers  # slow to import, and many files never use it
    from phonenumbers import PhoneNumberType as Kind

    if not _E164.fullmatch(number):
        return "it is no telephone number like +12025550123"
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "it is a number of no country"
    ordinary = (Kind.FIXED_LINE, Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE, Kind.VOIP)
    if phonenumbers.number_type(parsed) not in ordinary:
        return "it is a number of a premium, personal or other odd range"
    if phonenumbers.region_code_for_number(parsed) not in countries:
        return f"it is a number of another country than {', '.join(sorted(countries))}"
    return None


def prefix_of(number: str) -> str:
    """Return the first digits of a number: what its neighbours begin with too."""
    return number[:-_LAST_DIGITS]
