"""How a host and a port are written."""


def authority(host: str, port: int | None = None) -> str:
    """`host:port` as it stands in a URL: an IPv6 address in brackets, the `%` of its zone escaped (RFC 6874)."""
    name = f"[{host.replace('%', '%25')}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
