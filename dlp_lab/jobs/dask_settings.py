"""Which Dask cluster runs the jobs, and how it is reached."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dlp_lab.errors import ExecutorUnusable

if TYPE_CHECKING:
    from distributed import Security

_PACKAGES = ("distributed", "cryptography")


@dataclass(frozen=True)
class DaskSettings:
    """A cluster, checked.

    Attributes:
        scheduler: Address of its scheduler, such as "tls://node1:8786", or "gateway://proxy:8000/name" behind a
            dask-gateway; "" for a cluster of this process's own.
        ca_file, cert_file, key_file: PEM files: who may vouch for the cluster, and the certificate and key by which it
            knows us. All three or none.

    Raises:
        ExecutorUnusable: The packages are not installed; the address is none; it is of another machine and not
            encrypted; a file is missing.
    """

    scheduler: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
            raise ExecutorUnusable(
                f"jobs cannot run on Dask: {' and '.join(missing)} not installed; pip install 'dlp-lab[dask]'"
            )
        files = {"CA": self.ca_file, "certificate": self.cert_file, "key": self.key_file}
        if any(files.values()) and not all(files.values()):
            given = " and ".join(name for name, file in files.items() if file)
            raise ExecutorUnusable(f"of CA, certificate and key only {given} given; TLS needs all three")
        for name, file in files.items():
            if file and not os.access(file, os.R_OK):
                raise ExecutorUnusable(f"the {name} file {file} cannot be read; name an existing PEM file")
        self._refuse_address()

    def _refuse_address(self) -> None:
        if not self.scheduler:
            return
        protocol, host = self._protocol_and_host()
        if protocol != "tcp" and not self.ca_file:
            raise ExecutorUnusable(f"{self.scheduler} is reached by TLS; give the files of CA, certificate and key")
        if protocol == "tcp" and self.ca_file:
            raise ExecutorUnusable(f"{self.scheduler} is not encrypted, though certificates are given; say tls://")
        if protocol == "gateway" and importlib.util.find_spec("dask_gateway") is None:
            raise ExecutorUnusable(f"{self.scheduler} needs the package dask-gateway; pip install dask-gateway")
        if protocol == "tcp" and not _is_loopback(host):
            raise ExecutorUnusable(
                f"{self.scheduler} is another machine, not encrypted: whoever reaches it could run programs as you. "
                "Start the cluster with TLS, and give tls:// and the files of CA, certificate and key"
            )

    def _protocol_and_host(self) -> tuple[str, str]:
        try:
            parts = urlsplit(self.scheduler if "://" in self.scheduler else f"tcp://{self.scheduler}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or not port or parts.scheme not in ("tcp", "tls", "gateway"):
            raise ExecutorUnusable(
                f"{self.scheduler!r} is no address of a Dask scheduler; give one such as 'tls://node1:8786'"
            )
        return parts.scheme, host

    def security(self) -> Security:
        """What Dask calls it. For a cluster of our own: made for this once, and kept in memory."""
        from distributed import Security

        if self.scheduler.startswith("gateway:"):
            import dask_gateway  # noqa: F401 teaches Dask these addresses
        if not self.scheduler:
            own: Security = Security.temporary()
            return own
        if not self.ca_file:
            return Security()
        return Security(
            tls_ca_file=str(Path(self.ca_file).resolve()),
            tls_client_cert=str(Path(self.cert_file).resolve()),
            tls_client_key=str(Path(self.key_file).resolve()),
            require_encryption=True,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def import_distributed() -> None:
    """Load Dask without what it does to the logs: it would silence Tornado's, which are the Jupyter server's."""
    import dask

    if not dask.config.get("logging", None):
        dask.config.set({"logging": {"version": 1, "incremental": True}})
    import distributed  # noqa: F401
