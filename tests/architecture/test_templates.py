"""Templates work without JavaScript and under the strict content security policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.architecture.source import relative, templates

TEMPLATE_TAG = re.compile(r"\{[%#].*?[%#]\}", re.DOTALL)
COMMENT_BLOCK = re.compile(r"\{%\s*comment.*?endcomment\s*%\}", re.DOTALL)
REQUESTS = {"hx-get", "hx-post", "hx-put", "hx-patch", "hx-delete"}
Element = tuple[str, dict[str, str | None]]


class Elements(HTMLParser):
    """Collects each start tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(path: Path) -> list[Element]:
    parser = Elements()
    parser.feed(TEMPLATE_TAG.sub("", COMMENT_BLOCK.sub("", path.read_text())))
    return parser.found


def has_inline_code(element: Element) -> bool:
    tag, attributes = element
    inline_script = tag == "script" and "src" not in attributes
    return (
        inline_script
        or tag == "style"
        or any(name == "style" or name.startswith(("on", "hx-on")) for name in attributes)
    )


def needs_javascript(element: Element) -> bool:
    tag, attributes = element
    if not REQUESTS & attributes.keys() or "data-live" in attributes:
        return False
    return not ((tag == "a" and "href" in attributes) or (tag == "form" and "action" in attributes))


@pytest.mark.parametrize("is_wrong", [has_inline_code, needs_javascript])
def test_templates_hold_no_element_that(is_wrong: Callable[[Element], bool]) -> None:
    wrong = [f"{relative(path)}: {e}" for path in templates() for e in elements(path) if is_wrong(e)]
    assert wrong == []


def test_templates_open_with_their_context() -> None:
    silent = [
        relative(path) for path in templates() if not re.match(r"\{# .+ #\}$", path.read_text().partition("\n")[0])
    ]
    assert silent == []
