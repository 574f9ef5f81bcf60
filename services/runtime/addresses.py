"""Where a webhook may point: public addresses over https, others only where an admin allowed the host."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

# Of one host; tried in turn.
ADDRESSES_MAX = 4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Exception):
    """The address is not one to send to, now or later. The text holds no part of the address but its host."""


class AddressUnknown(Exception):
    """The host's name can't be resolved now."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked address: connect to one of `ips`, not to the name, which may resolve elsewhere a moment later."""

    scheme: str
    host: str
    ips: tuple[str, ...]
    port: int
    path: str


def private_hosts_of(setting: str) -> frozenset[str] | None:
    """SPENDSTREAM_ALLOW_PRIVATE_WEBHOOKS read: hosts that may be private addresses or plain http, None for all."""
    if setting.strip() == "1":
        return None
    return frozenset(host.strip().lower() for host in setting.split(",") if host.strip())


def destination(url: str, private_hosts: frozenset[str] | None) -> Destination:
    """Checks and resolves a webhook's address. `private_hosts` None allows all.

    Raises AddressRefused, AddressUnknown.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("the webhook's address is not a URL") from None
    host = (parts.hostname or "").lower()
    allowed = private_hosts is None or host in private_hosts
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise AddressRefused("the webhook's address is not an https URL")
    if parts.scheme == "http" and not allowed:
        raise AddressRefused("the webhook's address must start with https://")
    port = port or (443 if parts.scheme == "https" else 80)
    addresses = _resolve(host, port)
    # One private address among public ones is enough to refuse: which one is taken would be chance.
    if not allowed and not all(_is_public(address) for address in addresses):
        raise AddressRefused(f"{host} is a private address; allow it in SPENDSTREAM_ALLOW_PRIVATE_WEBHOOKS")
    return Destination(parts.scheme, host, tuple(addresses[:ADDRESSES_MAX]), port, _path(parts))


def _resolve(host: str, port: int) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressUnknown(f"{host} can't be resolved") from None
    return [str(entry[4][0]) for entry in found]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address inside an IPv6 one is judged as what it is.
        ip = ip.ipv4_mapped or ip.sixtofour or (_last_four_bytes(ip) if ip in _NAT64 else ip)
    return ip.is_global and not ip.is_multicast


def _last_four_bytes(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(ip.packed[-4:])


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
