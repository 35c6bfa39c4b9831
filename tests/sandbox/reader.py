"""Reads pages: elements with their attributes and text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

EMPTY_ELEMENTS = ("input", "meta", "link", "hr", "br")


@dataclass
class Element:
    """One element of a page."""

    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return " ".join(" ".join(parts).split())

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        inner = [child for child in self.children if isinstance(child, Element)]
        found = [c for c in inner if c.tag == tag and attributes.items() <= c.attributes.items()]
        return found + [deeper for child in inner for deeper in child.all(tag, **attributes)]

    def fields(self) -> dict[str, str]:
        """What a form sends where nobody fills in anything."""
        return {i.attributes["name"]: i.attributes["value"] for i in self.all("input", type="hidden")}


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.path = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.path[-1].children.append(element)
        if tag not in EMPTY_ELEMENTS:
            self.path.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.path[-1].children.append(data)


def read(html: str) -> Element:
    reader = Reader()
    reader.feed(html)
    (page,) = reader.path
    return page
