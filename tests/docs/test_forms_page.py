"""`docs/forms.md`: its settings load, and it names every type and every key."""

import re
from pathlib import Path

from adapters.form.lead import UTM
from adapters.form.settings import KINDS, FieldSchema, FormSettings
from hub.config import load_config

PAGE = (Path(__file__).parents[2] / "docs" / "forms.md").read_text("utf-8")


def test_the_settings_of_the_page_load_and_have_every_type(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "hub.yaml"
    path.write_text(text)
    settings = load_config(path, {}, published_secrets_allowed=True).sources["contact"].settings
    assert {field["type"] for field in settings["fields"].values()} == set(KINDS)
    known = {field.data_key or name for name, field in FormSettings().load_fields.items()}
    assert all(f"    {key}:" in text for key in known)


def test_every_type_key_and_hidden_input_stands_on_the_page() -> None:
    names = {*KINDS, *FieldSchema().load_fields, *(f"utm_{key}" for key in UTM)}
    names |= {"_next", "_page", "_referrer", "_token", "_gotcha"}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []
