"""A folder that makes `terraform init` install the bridge as hashicorp/aws 6.25.0."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.provider_bridge.errors import BridgeError
from sandbox.provider_bridge.plugin import IDENTITY

REAL_VERSION = "5.100.0"
"""The provider that does the work: the newest that the project's offline test machines have."""
SHOWN_VERSION = "6.25.0"
"""What Terraform sees: the first version with `durable_config`."""

ADDRESS = Path("registry.terraform.io/hashicorp/aws")
REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_DIRECTORY = REPOSITORY / ".sandbox" / "provider-bridge"
SYSTEM_MIRRORS = Path("/opt")
DOWNLOAD_SECONDS = 900

NOTICE = (
    f"provider bridge: hashicorp/aws {SHOWN_VERSION} here is {REAL_VERSION} with an emulated durable_config; "
    "a pass says nothing about provider 6.x or AWS"
)
"""To be shown wherever results of a run with the bridge are shown."""

WRAPPER = """\
#!/bin/sh
exec {python} -c 'import sys; sys.path.insert(0, sys.argv.pop(1))
from sandbox.provider_bridge.plugin import main; main()' {repository} {binary} {directory}
"""
WRAPPER_LIMIT = 10_000
"""Bytes; a provider has hundreds of millions."""
# Other providers, of stacks that use this module, come from where they always do.
CONFIGURATION = f"""\
disable_checkpoint = true
provider_installation {{{{
  filesystem_mirror {{{{
    path    = "{{path}}"
    include = ["{ADDRESS}"]
  }}}}
  direct {{{{
    exclude = ["{ADDRESS}"]
  }}}}
}}}}
"""


def create(directory: Path = DEFAULT_DIRECTORY) -> Path:
    """Makes the mirror, unless it is there already.

    Terraform pins the hash of a provider when it initialises a folder. A mirror is therefore never changed: another
    Python, checkout or real provider makes another one beside it, and what was initialised before goes on working.

    Args:
        directory: where; made when missing. Only its owner gets access, because it holds a private key and, in
            `cache`, provider configurations; all mirrors share the two.

    Returns:
        The path of a Terraform CLI configuration file that installs the AWS provider from the mirror only.

    Raises:
        BridgeError: the real provider cannot be found or installed.
    """
    directory = directory.resolve()
    binary = find_provider()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    if not (directory / IDENTITY).exists():
        _write(directory / IDENTITY, _identity())
    parts = {"python": sys.executable, "repository": REPOSITORY, "binary": binary, "directory": directory}
    wrapper = WRAPPER.format(**{name: shlex.quote(str(part)) for name, part in parts.items()})
    mirror = directory / hashlib.sha256(wrapper.encode()).hexdigest()[:16]
    plugin = mirror / ADDRESS / SHOWN_VERSION / target() / f"terraform-provider-aws_v{SHOWN_VERSION}_x5"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    _write(plugin, wrapper, mode=0o700)
    configuration = mirror / "terraform.rc"
    write_configuration(configuration, mirror)
    return configuration


def environment(directory: Path = DEFAULT_DIRECTORY) -> dict[str, str]:
    """Makes the mirror and returns the variables that make Terraform use it.

    The plugin cache is off: Terraform would put the bridge into it, under the name of the real 6.25.0.
    """
    return {"TF_CLI_CONFIG_FILE": str(create(directory)), "TF_PLUGIN_CACHE_DIR": ""}


def write_configuration(file: Path, providers: Path) -> None:
    """Writes a Terraform CLI configuration that installs the AWS provider from one folder only.

    Args:
        file: the configuration file.
        providers: a folder laid out as Terraform's filesystem mirrors and its `.terraform/providers` are.
    """
    escaped = str(providers).replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${")
    _write(file, CONFIGURATION.format(path=escaped))


def is_bridge(providers: Path) -> bool:
    """Tells whether a folder of providers holds the bridge: the user's Terraform may be set up to use it."""
    files = (providers / ADDRESS).glob("*/*/terraform-provider-aws_v*")
    return any(file.stat().st_size < WRAPPER_LIMIT for file in files)


def target() -> str:
    """Returns this machine as Terraform names it, for example `linux_amd64`.

    Raises:
        BridgeError: Terraform has no provider for it, or the bridge does not run there.
    """
    architectures = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    architecture = architectures.get(platform.machine().lower())
    if sys.platform not in ("linux", "darwin") or architecture is None:
        raise BridgeError(f"the provider bridge runs on Linux and macOS, not on {sys.platform} {platform.machine()}")
    return f"{sys.platform}_{architecture}"


def find_provider() -> Path:
    """Finds the real provider, else lets `terraform init` install it.

    Looked at, in this order: the folder named by TF_PLUGIN_MIRROR, filesystem mirrors below /opt, the plugin cache
    (TF_PLUGIN_CACHE_DIR), and what an earlier call installed. `terraform init` then uses whatever it is configured
    for, its implied mirror folders included.

    Returns:
        The path of the executable.

    Raises:
        BridgeError: it is in none of these places and could not be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "terraform-aws-workflow-gates"
    folders = [os.environ.get("TF_PLUGIN_MIRROR"), *sorted(SYSTEM_MIRRORS.glob("*"))]
    folders += [os.environ.get("TF_PLUGIN_CACHE_DIR"), cache / ".terraform" / "providers"]
    for folder in folders:
        binary = _provider_in(Path(folder)) if folder else None
        if binary:
            return binary
    return _install(cache)


def _provider_in(folder: Path) -> Path | None:
    pattern = f"{ADDRESS}/{REAL_VERSION}/{target()}/terraform-provider-aws_v{REAL_VERSION}*"
    return next((file.resolve() for file in sorted(folder.glob(pattern)) if os.access(file, os.X_OK)), None)


def _install(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    _write(
        directory / "main.tf",
        "terraform {\n  required_providers {\n    aws = {\n"
        f'      source  = "hashicorp/aws"\n      version = "{REAL_VERSION}"\n    }}\n  }}\n}}\n',
    )
    try:
        done = subprocess.run(
            ["terraform", f"-chdir={directory}", "init", "-backend=false", "-input=false", "-no-color"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BridgeError(_not_found(str(error))) from error
    binary = _provider_in(directory / ".terraform" / "providers")
    if done.returncode or binary is None:
        raise BridgeError(_not_found(done.stderr.strip()))
    return binary


def _not_found(reason: str) -> str:
    return (
        f"hashicorp/aws {REAL_VERSION} for {target()} was not found and `terraform init` could not install it. "
        f"Give Terraform access to registry.terraform.io once, or set TF_PLUGIN_MIRROR to a folder that holds "
        f"{ADDRESS}/{REAL_VERSION}/{target()}/terraform-provider-aws_v{REAL_VERSION}_x5. Terraform said:\n{reason}"
    )


def _identity() -> str:
    """Makes the certificate of the plugin's TLS server, and its key, in one text: they must never be mixed up."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (certificate.public_bytes(serialization.Encoding.PEM) + pem).decode()


def _write(file: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file so that another process sees it whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}", delete=False) as part:
        part.write(text)
    Path(part.name).chmod(mode)
    Path(part.name).replace(file)
