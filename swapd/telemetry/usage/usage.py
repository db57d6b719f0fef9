"""What a server said of the tokens of one answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and speeds of one answer; None is unknown.

    Attributes:
      prompt: Tokens of the prompt, as the server counts them: OpenAI's ``usage`` counts in what
        was cached, llama.cpp's ``timings`` and Anthropic's ``usage`` leave it out.
      cached: Tokens of the prompt that the server had still in its cache.
      generated: Tokens of the answer.
      drafted: Tokens that a draft model proposed.
      accepted: Tokens of those that were taken.
      prompt_per_second: Speed of reading the prompt.
      generated_per_second: Speed of generating.
      served_ms: Milliseconds that the server says it took for both, if it says so.
    """

    prompt: int | None = None
    cached: int | None = None
    generated: int | None = None
    drafted: int | None = None
    accepted: int | None = None
    prompt_per_second: float | None = None
    generated_per_second: float | None = None
    served_ms: float | None = None


#: Nothing is known.
UNKNOWN = Usage()
