"""The widget of a captcha on the form that the hub shows, and what its page may load for it.

https://developers.cloudflare.com/turnstile/reference/content-security-policy/ ·
https://docs.hcaptcha.com/#content-security-policy-settings ·
https://developers.google.com/recaptcha/docs/faq
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Widget:
    """What a provider's widget needs: its script, the class it looks for, and its origins."""

    script: str
    marked: str
    sources: Mapping[str, Sequence[str]]
    """By the directive of the page's policy."""


_TURNSTILE = ("https://challenges.cloudflare.com",)
_HCAPTCHA = ("https://hcaptcha.com", "https://*.hcaptcha.com")
_RECAPTCHA = ("https://www.google.com/recaptcha/", "https://www.gstatic.com/recaptcha/")

WIDGETS: Mapping[str, Widget] = {
    "turnstile": Widget(
        "https://challenges.cloudflare.com/turnstile/v0/api.js",
        "cf-turnstile",
        {"script-src": _TURNSTILE, "frame-src": _TURNSTILE},
    ),
    "hcaptcha": Widget(
        "https://js.hcaptcha.com/1/api.js",
        "h-captcha",
        dict.fromkeys(("script-src", "frame-src", "style-src", "connect-src"), _HCAPTCHA),
    ),
    "recaptcha": Widget(
        "https://www.google.com/recaptcha/api.js",
        "g-recaptcha",
        {"script-src": _RECAPTCHA, "frame-src": _RECAPTCHA},
    ),
}


def policy(widget: Widget | None, *, form_action: Sequence[str]) -> str:
    """Return the Content-Security-Policy of a page with a form.

    `form_action`: where it may post; browsers hold redirects to that too.
    """
    loads = widget.sources if widget else {}
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": [],
        "form-action": ["'self'", *form_action],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    allowed = {name: [*own, *loads.get(name, ())] for name, own in directives.items()}
    return "; ".join(" ".join((name, *sources)) for name, sources in allowed.items() if sources)
