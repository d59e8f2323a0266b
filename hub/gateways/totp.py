"""Codes of a telephone (TOTP, RFC 6238): their secrets, kept encrypted, and the QR code."""

import base64
from datetime import datetime

import pyotp
import segno
from cryptography.fernet import Fernet, InvalidToken

from hub.gateways.crypto import key_for

STEP_S = 30
# Steps that a telephone's clock may be behind or ahead.
DRIFT = 1


class SecretBox:
    """Encrypts the secrets of telephones with a key made from `SECRET_KEY`."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(key_for(secret_key, "totp")))

    def encrypt(self, secret: str, owner: str) -> str:
        """Return a secret as it may be kept, or be given to its owner's browser."""
        return self._fernet.encrypt(f"{owner} {secret}".encode()).decode()

    def decrypt(self, locked: str, owner: str, *, within_s: int | None = None) -> str | None:
        """Return a secret; None if it is another's, too old, or `SECRET_KEY` has changed."""
        try:
            text = self._fernet.decrypt(locked.encode("utf-8", "surrogatepass"), within_s).decode()
        except InvalidToken:
            return None
        whose, _, secret = text.partition(" ")
        return secret if whose == owner else None


def new_secret() -> str:
    """Return a new secret, in base 32."""
    return pyotp.random_base32()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step whose code this is; None when it is no code of about now."""
    digits = "".join(code.split())
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    codes = pyotp.TOTP(secret, interval=STEP_S)
    current = int(now.timestamp()) // STEP_S
    steps = range(current - DRIFT, current + DRIFT + 1)
    return next((step for step in steps if codes.verify(digits, for_time=step * STEP_S)), None)


def otpauth_url(secret: str, *, name: str, issuer: str) -> str:
    """Return the `otpauth:` address that telephones read."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(
        name=name, issuer_name=issuer or "Hub"
    )


def qr_code(text: str) -> str:
    """Return a QR code as the `data:` address of an SVG; dark on white, however dark the page."""
    code = segno.make(text, error="m")
    return code.svg_data_uri(scale=5, border=3, dark="#000", light="#fff", omitsize=True)
