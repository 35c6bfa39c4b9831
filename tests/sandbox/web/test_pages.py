from pathlib import Path

import pytest
from flask import Response, render_template
from flask.testing import FlaskClient

from sandbox.web.pages import PREFIX, WAIT, PageError, done, live, web_app

PAGE = f"{PREFIX}/"


class Shown:
    """What a page is about."""

    version = "1"
    text = "one"

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def version_after(self, seen: str, wait: float) -> str:
        self.asked.append((seen, wait))
        return self.version


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def client(tmp_path: Path, shown: Shown) -> FlaskClient:
    (tmp_path / "page.html").write_text(
        '{% extends "layout.html" %}{% block title %}Orders{% endblock %}{% block main %}{{ text }}{% endblock %}'
    )
    app = web_app(__name__, tmp_path)

    def render(version: str) -> str:
        return render_template("page.html", version=version, page="Orders", text=shown.text)

    @app.get(PAGE)
    def page() -> Response:
        return live(shown.version_after, render)

    @app.post(f"{PREFIX}/do/<what>")
    def do(what: str) -> Response:
        if what == "impossible":
            raise PageError(f"<{what}> cannot be done")
        return done()

    return app.test_client()


def test_a_page_is_sent_at_once_and_then_only_when_there_is_something_new(client: FlaskClient, shown: Shown) -> None:
    first = client.get(PAGE)
    assert 'data-version="1"' in first.text
    assert "one" in first.text
    assert client.get(PAGE, headers={"X-Seen": "1"}).status_code == 204
    shown.version, shown.text = "2", "two"
    assert "two" in client.get(PAGE, headers={"X-Seen": "1"}).text
    assert shown.asked == [("", 0.0), ("1", WAIT), ("1", WAIT)]


def test_what_a_page_shows_is_text_and_can_load_nothing(client: FlaskClient, shown: Shown) -> None:
    shown.text = "<script src=//evil.example></script>"
    answer = client.get(PAGE)
    assert "&lt;script" in answer.text
    assert "evil.example></script>" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy


def test_a_form_is_answered_with_nothing_or_with_what_is_wrong(client: FlaskClient) -> None:
    assert client.post(f"{PREFIX}/do/it").status_code == 204
    refused = client.post(f"{PREFIX}/do/impossible")
    assert (refused.status_code, refused.mimetype) == (400, "text/plain")
    assert refused.text == "<impossible> cannot be done"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_of_another_sites_page_does_nothing(client: FlaskClient, site: str) -> None:
    links = f"{PREFIX}/links"
    assert client.post(links, json={"Evil": "x"}, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert "Evil" not in client.get(PAGE, headers={"Sec-Fetch-Site": site}).text
    assert client.post(links, json={"Good": "x"}, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204
    assert "Good" in client.get(PAGE).text


def test_the_head_links_to_the_pages_that_it_was_told(client: FlaskClient) -> None:
    client.post(f"{PREFIX}/links", json={"Orders": "http://127.0.0.1:1/", "Other": "http://127.0.0.1:2/"})
    text = client.get(PAGE).text
    assert '<a href="http://127.0.0.1:1/" aria-current="page">Orders</a>' in text
    assert '<a href="http://127.0.0.1:2/">Other</a>' in text


@pytest.mark.parametrize(("name", "kind"), [("page.css", "text/css"), ("live.js", "text/javascript")])
def test_style_and_script_are_served_with_their_types(client: FlaskClient, name: str, kind: str) -> None:
    with client.get(f"{PREFIX}/static/{name}") as answer:
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
