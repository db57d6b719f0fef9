"""Builds the tiny embedding model: a BERT encoder of random weights that reads characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, PoolingType, TokenType
from numpy.typing import NDArray

SEED = 1
LAYERS = 2
HEADS = 4
WIDTH = 64
FEED_FORWARD = 128
CONTEXT_TOKENS = 512

SPACE = "\u2581"  # marks a character that begins a word
CHARACTERS = [chr(code) for code in range(33, 127)]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENS = [*SPECIALS, *(SPACE + character for character in CHARACTERS), *CHARACTERS]
#: What the file format calls each special token; the misspelling is the format's.
TOKEN_KEYS = {
    "padding": "[PAD]",
    "unknown": "[UNK]",
    "bos": "[CLS]",
    "cls": "[CLS]",
    "seperator": "[SEP]",
    "eos": "[SEP]",
    "mask": "[MASK]",
}


def write(path: Path, name: str) -> None:
    """Write the model."""
    writer = GGUFWriter(path, "bert")
    writer.add_name(name)
    _add_shape(writer)
    _add_tokenizer(writer)
    rng = np.random.default_rng(SEED)
    _add_embeddings(writer, rng)
    for layer in range(LAYERS):
        _add_layer(writer, f"blk.{layer}.", rng)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: GGUFWriter) -> None:
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.MEAN)


def _add_tokenizer(writer: GGUFWriter) -> None:
    plain = len(TOKENS) - len(SPECIALS)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(TOKENS)
    writer.add_token_types([TokenType.CONTROL] * len(SPECIALS) + [TokenType.NORMAL] * plain)
    writer.add_token_type_count(2)
    for key, token in TOKEN_KEYS.items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", TOKENS.index(token))


def _add_embeddings(writer: GGUFWriter, rng: np.random.Generator) -> None:
    """Add what a token means; a character means the same at a word's begin and inside it."""
    characters = _random(rng, len(CHARACTERS), WIDTH, scale=1.0)
    specials = _random(rng, len(SPECIALS), WIDTH, scale=1.0)
    writer.add_tensor("token_embd.weight", np.concatenate([specials, characters, characters]))
    writer.add_tensor("token_types.weight", _random(rng, 2, WIDTH, scale=0.02))
    writer.add_tensor("position_embd.weight", _random(rng, CONTEXT_TOKENS, WIDTH, scale=0.05))
    _add_norm(writer, "token_embd_norm")


def _add_layer(writer: GGUFWriter, prefix: str, rng: np.random.Generator) -> None:
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        _add_dense(writer, prefix + part, _random(rng, WIDTH, WIDTH, scale=0.08))
    _add_norm(writer, prefix + "attn_output_norm")
    _add_dense(writer, prefix + "ffn_up", _random(rng, FEED_FORWARD, WIDTH, scale=0.08))
    _add_dense(writer, prefix + "ffn_down", _random(rng, WIDTH, FEED_FORWARD, scale=0.08))
    _add_norm(writer, prefix + "layer_output_norm")


def _add_dense(writer: GGUFWriter, name: str, weights: NDArray[np.float32]) -> None:
    writer.add_tensor(f"{name}.weight", weights)
    writer.add_tensor(f"{name}.bias", np.zeros(len(weights), np.float32))


def _add_norm(writer: GGUFWriter, name: str) -> None:
    writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor(f"{name}.bias", np.zeros(WIDTH, np.float32))


def _random(
    rng: np.random.Generator, rows: int, columns: int, *, scale: float
) -> NDArray[np.float32]:
    return (rng.standard_normal((rows, columns)) * scale).astype(np.float32)
