"""URL checks at load time: scheme, host, credentials, and private IP addresses written as such.

The SSRF guard resolves, checks and pins host names at the time of a call; this check only reports
obvious errors earlier.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

SWITCH = "HUB_ALLOW_PRIVATE_DESTINATIONS"


def address_fault(url: str, *, allow_private: bool) -> str | None:
    """Return the error of a URL, None if it has none. Never contains the URL itself."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not an address that can be read"
    if parts.scheme not in ("http", "https") or not host or any(map(str.isspace, url)):
        return "expected an address like https://example.org/hook"
    if parts.username is not None or parts.password is not None:
        return "no user and password in an address; they would be shown with it"
    private = _is_private(host)
    if private and not allow_private:
        return f"a private address; {SWITCH} is off"
    if parts.scheme == "http" and not allow_private:
        return f"plain http:// is only for private addresses, and {SWITCH} is off; use https://"
    if parts.scheme == "http" and private is False:
        return "plain http:// to a public address; use https://"
    return None


def _is_private(host: str) -> bool | None:
    """Return whether a host is private; None if its name would have to be resolved to know."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return None
