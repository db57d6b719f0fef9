"""How long swapd waits for a server at each step of a request."""

from __future__ import annotations

from pydantic import Field

from swapd.config.section import Section, Whole


class Timeouts(Section):
    """What the file says under ``timeouts`` of a model, and what swapd reads.  All in seconds."""

    connect: Whole = Field(
        default=30,
        ge=0,
        description="Seconds until a connection must stand; 0 is no limit. Default: 30.",
    )
    keepalive: Whole = Field(
        default=30,
        description="Seconds between TCP keep-alive probes; 0 or less is none. Default: 30.",
    )
    response_header: Whole = Field(
        default=0,
        ge=0,
        description="Seconds from the end of the request until the head of the response must be "
        "there; 0 is no limit. Default: 0.",
    )
    tls_handshake: Whole = Field(
        default=10,
        ge=0,
        description="Seconds that the TLS handshake may take; 0 is no limit. Default: 10.",
    )
    expect_continue: Whole = Field(
        default=1,
        ge=0,
        description="Without effect: swapd itself answers clients that wait for `100 Continue`. "
        "Default: 1.",
    )
    idle_conn: Whole = Field(
        default=90,
        ge=0,
        description="Seconds that an unused connection is kept open; 0 is no limit. Default: 90.",
    )


class PeerTimeouts(Timeouts):
    """What the file says under ``timeouts`` of a peer, and what swapd reads.  All in seconds."""

    response_header: Whole = Field(
        default=60,
        ge=0,
        description="Seconds from the end of the request until the head of the response must be "
        "there; 0 is no limit. Default: 60.",
    )
