"""Secret-strength checks: with a guessed secret, an attacker can post events as the provider."""

MIN_LENGTH = 16
PLACEHOLDERS = frozenset(
    ["changeme", "change-me", "secret", "password", "test", "example", "placeholder"]
)
# Secrets printed in `hub.example.yaml`, which let the example run unchanged, and what to do before
# the hub is public. They are acceptable only on a hub without a public URL.
PUBLISHED_SECRETS = {
    "whsec_published_in_hub_example_yaml_for_trying_only": "set STRIPE_WEBHOOK_SECRET",
    "published_in_hub_example_yaml_for_trying_only": "set TWILIO_AUTH_TOKEN",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMkjrpjPgi2dtGSbKi5C/cmXgdu"
    "55C0nz49+1BDLgcO7eWj7ZkmFYp555V0e/ULSXGjEikTeTfJRZglTFuU4Iaw==": "set SENDGRID_WEBHOOK_KEY",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghNRZOD7X9q5tLOfG"
    "Oq3pUo/rQgSsGRTdhAd/lK14mkShRANCAAQySOumM+CLZ20ZJsqLkL9yZeB27nkL"
    "SfPj37UEMuBw7t5aPtmSYVinnnlXR79QtJcaMSKRN5N8lFmCVMW5Tghr": "take the line out",
}

_PREFIX = "whsec_"


def weakness(secret: str) -> str | None:
    """Return the weakness of a secret, None if it has none. Never contains a part of the secret.

    The length includes a provider's prefix; a placeholder is recognised behind such a prefix.
    """
    bare = secret.strip().removeprefix(_PREFIX)
    if not bare:
        return "the secret is blank"
    if "${" in secret:
        return "the secret still says ${…}; the variable was never filled in"
    if bare.lower() in PLACEHOLDERS:
        return "the secret is a placeholder; take the one that the provider shows"
    if len(set(bare)) == 1:
        return "the secret is one repeated character; take the one that the provider shows"
    if len(secret.strip()) < MIN_LENGTH:
        return f"the secret is shorter than {MIN_LENGTH} characters"
    return None


def publication(secret: str) -> str | None:
    """Return why a published secret must not guard a public hub; None if it is not published."""
    instead = PUBLISHED_SECRETS.get(secret.strip())
    if instead is None:
        return None
    return (
        f"this secret is printed in hub.example.yaml; {instead} before the hub "
        "is reachable (HUB_PUBLIC_URL is set)"
    )
