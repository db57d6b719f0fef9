"""PyYAML's parser, made to accept what YAML allows and PyYAML does not.  Types no scalars."""

from __future__ import annotations

from typing import cast

import yaml

#: The tag of a scalar that is neither a block nor quoted, and has no tag of its own.
PLAIN = "plain"
STR = "tag:yaml.org,2002:str"
COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
#: Deeper is no configuration, and the parser's recursion must not be ours to lose.
MAX_DEPTH = 100

_LINE_ENDS = "\r\n\x85\u2028\u2029"


class Composer(yaml.SafeLoader):
    """Composes nodes, leaves the typing of scalars to us and remembers anchors.

    Tabs may separate words wherever they cannot be taken for indentation.
    """

    def __init__(self, text: str) -> None:
        """Begin at the start of ``text``."""
        super().__init__(text)
        self.anchors_at: list[int] = []
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node; an anchor that is defined twice is the later one from there."""
        event: yaml.NodeEvent = self.peek_event()  # type: ignore[no-untyped-call]
        mark = cast(yaml.Mark, event.start_mark)
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)
        if event.anchor and not isinstance(event, yaml.AliasEvent):
            self.anchors_at.append(mark.index)
            self.anchors.pop(event.anchor, None)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: str, implicit: object) -> str:
        """Return the tag of a node that has none."""
        if kind is yaml.ScalarNode:
            return PLAIN if isinstance(implicit, tuple) and implicit[0] else STR
        return COLLECTIONS[kind is yaml.SequenceNode]

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line ends; a tab is a blank where no block can begin."""
        while True:
            while self.peek() == " " or (self.peek() == "\t" and self._tab_is_blank()):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in "\0" + _LINE_ENDS:
                    self.forward()
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                break
            if not self.flow_level:
                self.allow_simple_key = True
        if self.peek() == "\t":
            problem = "a tab must not indent, use spaces"
            raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())

    def _tab_is_blank(self) -> bool:
        return bool(self.flow_level or not self.allow_simple_key)

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str] | None:
        """Return the blanks within a plain scalar, as they count."""
        length = 0
        while self.peek(length) in " \t":
            length += 1
        blanks = self.prefix(length)
        self.forward(length)
        if self.peek() in _LINE_ENDS:
            found = super().scan_plain_spaces(indent, start_mark)
            return cast("list[str] | None", found)
        return [blanks] if blanks else []
