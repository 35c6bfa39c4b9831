"""The error root of the provider bridge."""


class BridgeError(Exception):
    """Something that stops the bridge; its text says what to do about it."""
