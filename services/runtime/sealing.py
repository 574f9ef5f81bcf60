"""Secrets at rest: sealed with a key that the database doesn't hold. Fernet: AES-128-CBC with HMAC-SHA-256."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_PREFIX = "sealed:v1:"


class CannotOpen(Exception):
    """There is no key, or it isn't the one this was sealed with."""


def make_sealing_key() -> str:
    """A new key: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode()


class Sealer:
    """Seals with the first of the keys in `keys` (separated by commas), opens with any of them: so keys are changed.

    Raises ValueError where one isn't a key. Without a key it opens only what was never sealed.
    """

    def __init__(self, keys: str) -> None:
        parts = [key.strip() for key in keys.split(",") if key.strip()]
        self._fernet = MultiFernet([Fernet(key) for key in parts]) if parts else None

    def __repr__(self) -> str:
        return "Sealer(…)"

    @property
    def has_key(self) -> bool:
        return self._fernet is not None

    def seal(self, text: str) -> str:
        """What may be stored; raises CannotOpen without a key."""
        if self._fernet is None:
            raise CannotOpen("there is no key")
        return _PREFIX + self._fernet.encrypt(text.encode()).decode()

    def open(self, stored: str) -> str:
        """What was sealed; as it is, where it never was. Raises CannotOpen."""
        if not is_sealed(stored):
            return stored
        if self._fernet is None:
            raise CannotOpen("there is no key")
        try:
            return self._fernet.decrypt(stored.removeprefix(_PREFIX).encode()).decode()
        except InvalidToken:
            raise CannotOpen("sealed with another key") from None


def is_sealed(stored: str) -> bool:
    return stored.startswith(_PREFIX)
