"""Keeps this machine's AWS settings out of the server's process. Must run before moto is imported, which reads some."""

import os


def isolate() -> dict[str, str]:
    """Remove AWS and proxy settings from the process's environment: its clients talk to this process only.

    Returns:
        The environment as it was, for pip.
    """
    original = dict(os.environ)
    for name in original:
        if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    # Policies that AWS manages can then be attached to roles.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    return original
