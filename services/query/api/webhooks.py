"""Whether a webhook's address may be set. What is sent is checked again: a name may lead elsewhere by then."""

from __future__ import annotations

import asyncio

from services.runtime.addresses import AddressRefused, AddressUnknown, destination, private_hosts_of

_RESOLVE_SECONDS = 2.0


async def reason_to_refuse(url: str, allow_private: str) -> str | None:
    """None for an address that may be taken, also where its name can't be resolved just now. The reason holds no part
    of the address but its host. `allow_private` is the setting.
    """
    try:
        await asyncio.wait_for(
            asyncio.to_thread(destination, url, private_hosts_of(allow_private)), timeout=_RESOLVE_SECONDS
        )
    except AddressRefused as refused:
        return str(refused)
    except (AddressUnknown, TimeoutError):
        return None
    return None
