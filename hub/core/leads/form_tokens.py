"""Signing keys of the forms' submission tokens, one per source, derived from one secret."""

import hmac
from dataclasses import replace
from types import MappingProxyType

from adapters.registry import inbound
from hub.core.configuration import Configuration, Source


def has_forms(configuration: Configuration) -> bool:
    """Return whether any source of the configuration is a form."""
    return any(_is_form(source) for source in configuration.sources.values())


def with_form_keys(configuration: Configuration, secret: str) -> Configuration:
    """Return the configuration with a `token_key` added to the settings of each form.

    All processes need the same secret: a token signed with a different key counts as no token.
    """
    sources = {
        slug: _keyed(source, secret.encode()) if _is_form(source) else source
        for slug, source in configuration.sources.items()
    }
    return replace(configuration, sources=MappingProxyType(sources))


def _is_form(source: Source) -> bool:
    return inbound(source.adapter).takes_forms


def _keyed(source: Source, secret: bytes) -> Source:
    key = hmac.digest(secret, f"form:{source.slug}".encode(), "sha256")
    return replace(source, settings=MappingProxyType({**source.settings, "token_key": key}))
