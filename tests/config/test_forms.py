"""Faults of a declared form, each reported with its line."""

from pathlib import Path

import pytest

from hub.config import load_config
from hub.core.errors import ConfigError

HEAD = "sources:\n  contact:\n    adapter: form\n"


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "hub.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(ConfigError) as refused:
        load_config(path, {}, published_secrets_allowed=True)
    return [fault.removeprefix(f"{path}:") for fault in refused.value.faults]


@pytest.mark.parametrize(("text", "fault"), [
    ("    fields:\n      zip:\n        pattern: '(?=a)b'\n",
     "6: sources.contact.fields.zip.pattern: looks around or back: only plain repetitions and"
     " alternatives are taken"),
    ("    fields:\n      zip:\n        pattern: 'a++'\n",
     "6: sources.contact.fields.zip.pattern: not a regular expression that RE2 takes: bad"
     " repetition operator: ++"),
    ("    fields:\n      zip:\n        pattern: '[0-9]{5}'\n        example: A sample\n",
     "7: sources.contact.fields.zip.example: does not match `pattern`"),
    ("    fields:\n      zip:\n        type: text\n        pattern: '('\n",
     "7: sources.contact.fields.zip.pattern: not a regular expression: missing ), unterminated"
     " subpattern at position 0"),
    ("    fields:\n      ok:\n        type: consent\n",
     "6: sources.contact.fields.ok.type: a field of type consent needs `text`, what is consented"
     " to"),
    ("    fields:\n      cv:\n        type: file\n        max: many\n",
     "7: sources.contact.fields.cv.max: expected 1 to 10"),
    ("    fields:\n      on:\n        type: date\n        min: soon\n",
     "7: sources.contact.fields.on.min: expected a date like 2026-11-20"),
    ("    honeypot: zip\n    fields:\n      zip: {}\n",
     "4: sources.contact.honeypot: people are asked for that field; name another"),
    ("    redirects:\n      - https://acme.example/a\n      - /b\n    fields: {a: {}}\n",
     "6: sources.contact.redirects.1: expected an address like https://example.org/path"),
    ("    fields:\n      a:\n        patern: x\n",
     "6: sources.contact.fields.a.patern: unknown key; there are type, required, label, help, max,"
     " min, pattern, example, placeholder, choices, text, value, accept and max_bytes"),
])  # fmt: skip
def test_a_fault_of_a_form_has_its_line(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(tmp_path, text) == [fault]


def test_a_form_with_files_takes_what_its_files_may_come_to(tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    fields = "    fields:\n      cv: {type: file, max: 2, max_bytes: 3MiB}\n"
    sizes = []
    for extra in ("", "    max_bytes: 1MiB\n", "    max_bytes: 60MiB\n"):
        path.write_text(HEAD + extra + fields)
        found = load_config(path, {}, published_secrets_allowed=True)
        sizes.append(found.sources["contact"].max_bytes)
    taken, small, large = sizes
    assert 64 * 1024 < taken - 6 * 1024**2 < 80 * 1024
    assert (small, large) == (1024**2, 60 * 1024**2)


def test_the_max_bytes_of_other_sources_is_their_own(tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    for extra, expected in (("", 1024**2), (", max_bytes: 3MiB", 3 * 1024**2)):
        path.write_text(
            f"sources:\n  s: {{adapter: stripe, secrets: [whsec_{'a1' * 12}]{extra}}}\n"
        )
        found = load_config(path, {}, published_secrets_allowed=True)
        assert found.sources["s"].max_bytes == expected


def test_a_date_and_a_number_may_be_written_without_quotes(tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    fields = "{on: {type: date, min: 2026-01-01}, rooms: {type: number, max: 2.5}}"
    path.write_text(f"{HEAD}    fields: {fields}\n")
    settings = load_config(path, {}, published_secrets_allowed=True).sources["contact"].settings
    assert str(settings["fields"]["on"]["min"]) == "2026-01-01"
    assert settings["fields"]["rooms"]["max"] == 2.5
