"""Builds the tiny chat model: a genuine llama network whose output matrix says one sentence.

The embeddings are one-hot and the attention and feed-forward weights so small that the last
token's embedding comes through nearly unchanged; the output matrix then is a table of which token
follows which.  So the answer proves which model gave it, at any temperature.  The other entries
of the table keep a grammar (required tools, JSON schemas) short: strings are "ok", objects close.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType
from numpy.typing import NDArray

SEED = 1
LAYERS = 2
HEADS = 4
HEAD_WIDTH = 16
FEED_FORWARD = 128
CONTEXT_TOKENS = 4096

SPACE = "\u2581"  # how SentencePiece writes a space
END_OF_TURN = "<|im_end|>"
TOOL_CALL = "<tool_call>\n"
FIM_KEYS = {"pre": "<|fim_prefix|>", "suf": "<|fim_suffix|>", "mid": "<|fim_middle|>"}
SPECIALS = ["<unk>", "<s>", "</s>", "<|im_start|>", END_OF_TURN, *FIM_KEYS.values()]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
EXTRAS = [SPACE, TOOL_CALL, "ok"]

#: ChatML with tools in the manner of Hermes, so that llama-server knows how calls look.
CHAT_TEMPLATE = """\
{% if tools %}<|im_start|>system
Tools: {{ tools | tojson }}
Call one as <tool_call>
{"name": <name>, "arguments": <object>}
</tool_call><|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or "" }}{% for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def split_sentence(sentence: str) -> list[str]:
    """Split into tokens that all differ: a repeated word takes in its successor.

    Raises:
      ValueError: There is no word, or the last one cannot be told from an earlier token.
    """
    pieces: list[str] = []
    held = ""
    for word in sentence.split():
        held += SPACE + word
        if held not in pieces and held not in EXTRAS:
            pieces.append(held)
            held = ""
    if not pieces:
        raise ValueError("the sentence has no words")
    pieces[-1] += held  # a repeated last word has no successor to take in
    pieces[0] = pieces[0].removeprefix(SPACE)
    if len({*pieces, *EXTRAS, *SPECIALS}) < len(pieces) + len(EXTRAS) + len(SPECIALS):
        raise ValueError("the sentence does not split into pieces that all differ")
    return pieces


def write(path: Path, pieces: Sequence[str], name: str) -> None:
    """Write the model that says ``pieces`` one after the other."""
    tokens = [*SPECIALS, *BYTES, *EXTRAS, *pieces]
    width = -(-len(tokens) // 64) * 64  # one-hot embeddings need a place for each token
    writer = GGUFWriter(path, "llama")
    writer.add_name(name)
    _add_shape(writer, width)
    _add_tokenizer(writer, tokens, len(pieces))
    writer.add_tensor("token_embd.weight", np.eye(len(tokens), width, dtype=np.float32))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    writer.add_tensor("output.weight", _output_matrix(tokens, len(pieces), width))
    rng = np.random.default_rng(SEED)
    for layer in range(LAYERS):
        _add_layer(writer, f"blk.{layer}.", width, rng)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: GGUFWriter, width: int) -> None:
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(width)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    for add in (writer.add_key_length, writer.add_value_length, writer.add_rope_dimension_count):
        add(HEAD_WIDTH)
    writer.add_layer_norm_rms_eps(1e-6)


def _add_tokenizer(writer: GGUFWriter, tokens: Sequence[str], said: int) -> None:
    """Add a SentencePiece vocabulary with byte fallback, whose last tokens are the sentence."""
    controls = [TokenType.UNKNOWN, *[TokenType.CONTROL] * (len(SPECIALS) - 1)]
    types = [*controls, *[TokenType.BYTE] * len(BYTES)]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    # Below the others' score, so that a prompt is read as bytes and not as the sentence.
    writer.add_token_scores([0.0] * (len(tokens) - said) + [-1.0] * said)
    writer.add_token_types([*types, *[TokenType.NORMAL] * (len(tokens) - len(types))])
    writer.add_unk_token_id(tokens.index("<unk>"))
    writer.add_bos_token_id(tokens.index("<s>"))
    writer.add_eos_token_id(tokens.index(END_OF_TURN))
    for key, token in FIM_KEYS.items():
        writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", tokens.index(token))
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _output_matrix(tokens: Sequence[str], said: int, width: int) -> NDArray[np.float32]:
    """Return the table of successors, as the logits that the last norm will scale up."""
    table = np.zeros((len(tokens), len(tokens)), np.float32)  # [next, current]
    _prefer_the_sentence(table, tokens, said)
    _prefer_short_json(table, tokens, said)
    matrix = np.zeros((len(tokens), width), np.float32)
    matrix[:, : len(tokens)] = table / np.sqrt(width)
    return matrix


def _prefer_the_sentence(table: NDArray[np.float32], tokens: Sequence[str], said: int) -> None:
    """After anything comes the sentence's begin, after each piece the next, at last the end."""
    first, last = len(tokens) - said, len(tokens) - 1
    table[first, :] = 30
    table[first, first:last] = 0
    for piece in range(first, last):
        table[piece + 1, piece] = 30
    table[tokens.index(END_OF_TURN), last] = 40


def _prefer_short_json(table: NDArray[np.float32], tokens: Sequence[str], said: int) -> None:
    """Say what to do where a grammar forbids the sentence: call the tool, say "ok", and close."""
    first, last = len(tokens) - said, len(tokens) - 1
    quote, ok = _byte('"'), tokens.index("ok")
    table[tokens.index(TOOL_CALL), last] = 35
    table[ok, quote] = table[quote, ok] = 40
    table[_byte("}"), :first] += 12
    for space in (_byte("\t"), _byte("\n"), _byte(" "), tokens.index(SPACE)):
        table[space, :first] -= 12
    table[_byte("<"), _byte("}")] = 20
    table[tokens.index(END_OF_TURN), _byte(">")] = 40


def _byte(character: str) -> int:
    return len(SPECIALS) + ord(character)


def _add_layer(writer: GGUFWriter, prefix: str, width: int, rng: np.random.Generator) -> None:
    for norm in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"{prefix}{norm}.weight", np.ones(width, np.float32))
    for part, rows, columns, scale in (
        ("attn_q", HEADS * HEAD_WIDTH, width, 0.02),
        ("attn_k", HEAD_WIDTH, width, 0.02),
        ("attn_v", HEAD_WIDTH, width, 0.02),
        ("attn_output", width, HEADS * HEAD_WIDTH, 0.002),
        ("ffn_gate", FEED_FORWARD, width, 0.02),
        ("ffn_up", FEED_FORWARD, width, 0.02),
        ("ffn_down", width, FEED_FORWARD, 0.002),
    ):
        weights = rng.standard_normal((rows, columns)) * scale
        writer.add_tensor(f"{prefix}{part}.weight", weights.astype(np.float32))
