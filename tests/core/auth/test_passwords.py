"""Password policy: common passwords are refused, random ones are accepted."""

import random
import string

import pytest

from hub.core.auth.passwords import common_passwords, password_fault

GOOD = [
    "lemon otter trail", "correct horse battery staple", "Zq9#mL2$vX7p", "übermäßig lang und gut",
    "ヒヤシンスは青く咲くでしょう", "seven bikes for jane", "I like 3 roofs in Acme!",
    "🦦🍋🥾🌊🪵🔥🌙⭐🌵🐝🧊🪁",
]  # fmt: skip
BAD = {
    "short": ["", "lemon otter", "x" * 11],
    "long": ["lemon otter trail " * 8],
    "try": [
        "password1234", "P4ssw0rd!!!!", "passwordpassword", "ILOVEYOU2026", "1iloveyou1234",
        "letmein!!!!!!", "Liverpool2026", "m0nkeym0nkey", "!!!!dragon!!!!", "Superman123456",
    ],
    "keyboard": [
        "qwertyuiop12", "1234567890ab", "abcdefghijkl", "1q2w3e4r5t6y", "poiuytrewq12",
        "qazwsxedcrfv", "zyxwvutsrqpo", "qwertyqwerty", "asdfghjkl123",
    ],
    "same": ["aaaaaaaaaaaa", "abababababab", "111111111111"],
    "name": ["janedoe12345", "jane.doe.1980", "acmeroofing!", "AcmeRoofing1", "jane-acme-2026"],
}  # fmt: skip


@pytest.mark.parametrize("password", GOOD)
def test_a_long_password_of_any_characters_is_taken(password):
    assert password_fault(password, least=12, name="jane", site="Acme Roofing") is None


@pytest.mark.parametrize(("why", "password"), [(why, one) for why in BAD for one in BAD[why]])
def test_a_password_that_is_guessed_first_is_refused_with_the_reason(why, password):
    fault = password_fault(password, least=12, name="jane.doe", site="Acme Roofing")
    assert fault
    assert why in fault
    assert password not in fault or not password


def test_the_list_has_more_than_a_thousand_all_lower_case():
    found = common_passwords()
    assert len(found) > 1000
    assert all(word == word.casefold() for word in found)
    assert {"password", "123456", "qwerty", "iloveyou", "dragon"} <= found


def test_passwords_made_by_chance_are_taken():
    chance = random.Random(7)
    letters = string.ascii_letters + string.digits + string.punctuation
    for _ in range(300):
        password = "".join(chance.choices(letters, k=16))
        assert password_fault(password, least=12, name="jane", site="Acme") is None, password
