"""Second factor by one-time codes (TOTP, RFC 6238): encrypted secrets, verification, QR code."""

import base64
from datetime import datetime

import pyotp
import segno
from cryptography.fernet import Fernet, InvalidToken

from hub.gateways.crypto import key_for

STEP_S = 30
# Time steps that the telephone's clock may be behind or ahead.
DRIFT = 1


class SecretBox:
    """Encryption of TOTP secrets with a key derived from `SECRET_KEY`."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(key_for(secret_key, "totp")))

    def encrypt(self, secret: str, owner: str) -> str:
        """Return the encrypted secret, bound to `owner`; safe to store or to send to a browser."""
        return self._fernet.encrypt(f"{owner} {secret}".encode()).decode()

    def decrypt(self, locked: str, owner: str, *, within_s: int | None = None) -> str | None:
        """Return the decrypted secret.

        None if it belongs to another owner, is older than `within_s`, or `SECRET_KEY` has changed.
        """
        try:
            text = self._fernet.decrypt(locked.encode("utf-8", "surrogatepass"), within_s).decode()
        except InvalidToken:
            return None
        whose, _, secret = text.partition(" ")
        return secret if whose == owner else None


def new_secret() -> str:
    """Return a new random secret, in base 32."""
    return pyotp.random_base32()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step of a code; None if it is not valid at about `now`."""
    digits = "".join(code.split())
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    codes = pyotp.TOTP(secret, interval=STEP_S)
    current = int(now.timestamp()) // STEP_S
    steps = range(current - DRIFT, current + DRIFT + 1)
    return next((step for step in steps if codes.verify(digits, for_time=step * STEP_S)), None)


def otpauth_url(secret: str, *, name: str, issuer: str) -> str:
    """Return the `otpauth:` URI that authenticator apps read."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(
        name=name, issuer_name=issuer or "Hub"
    )


def qr_code(text: str) -> str:
    """Return a QR code as a `data:` URI of an SVG: dark on white, even on a dark page."""
    code = segno.make(text, error="m")
    return code.svg_data_uri(scale=5, border=3, dark="#000", light="#fff", omitsize=True)
