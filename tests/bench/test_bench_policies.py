"""The document shows what the bench prints."""

from __future__ import annotations

from tests.bench.bench_policies import DOCUMENT, rewritten


def test_the_table_of_the_document_is_that_of_the_bench() -> None:
    """When this fails: python -m tests.bench.bench_policies --write, and read the text below it."""
    document = DOCUMENT.read_text()
    assert rewritten(document) == document
