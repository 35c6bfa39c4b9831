"""What the sandbox's pages share: the frame around them, their style and script, and how they stay up to date.

A page is rendered on the server, whole, at `GET /_page/`. Its script asks for the same address again with the header
`X-Seen: <version>`; the server waits until there is something newer, and sends the page again, of which the script puts
only the differences into the document. `204` says that there was nothing new within `WAIT` seconds.
"""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Flask, Response, request
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined

PREFIX = "/_page"
# Seconds for which a page waits for something new. Browsers open at most six connections to one server.
WAIT = 20.0

_HERE = Path(__file__).parent
# Nothing of what a page shows can make the browser run or load anything but the page's own files.
_POLICY = (
    "default-src 'none'; base-uri 'none'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "img-src data:; script-src 'self'; style-src 'self'"
)


class PageError(ValueError):
    """Something asked of a page that cannot be done; the text is shown to the person."""


def web_app(name: str, templates: Path) -> Flask:
    """Return a web application whose pages extend `layout.html`.

    Args:
        name: Import name of the module that makes it.
        templates: Folder with its own templates.
    """
    app = Flask(name, static_folder=None)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    app.jinja_loader = ChoiceLoader([FileSystemLoader(templates), FileSystemLoader(_HERE / "templates")])
    app.register_blueprint(_shared())
    return app


def live(version: Callable[[str, float], str], render: Callable[[str], str]) -> Response:
    """Answer the request for a page, as soon as it differs from what the browser has.

    Args:
        version: Returns the version of what there is to be shown. It is given the version that the browser has (empty
            at first), and waits up to so many seconds for another one.
        render: Returns the page; `layout.html` needs the version as `version` and the page's name as `page`.
    """
    seen = request.headers.get("X-Seen", "")
    current = version(seen, WAIT if seen else 0.0)
    if current == seen:
        return Response(status=HTTPStatus.NO_CONTENT)
    return Response(render(current), content_type="text/html; charset=utf-8")


def done() -> Response:
    """Answer a form whose effect is seen on the page."""
    return Response(status=HTTPStatus.NO_CONTENT)


def _shared() -> Blueprint:
    """Return what all pages need: style and script, links to the other pages, safe headers."""
    routes = Blueprint("shared", __name__, static_folder=str(_HERE / "static"), static_url_path=f"{PREFIX}/static")
    links: dict[str, str] = {}

    @routes.app_context_processor
    def _links() -> dict[str, dict[str, str]]:
        return {"links": links}

    @routes.post(f"{PREFIX}/links")
    def set_links() -> Response:
        """Take `{"Slack": "http://127.0.0.1:PORT/_page/", ...}`: what the head of each page links to."""
        links.update({str(title): str(url) for title, url in request.get_json().items()})
        return done()

    @routes.before_app_request
    def refuse_other_sites() -> Response | None:
        """Take no form that a page of another site sends (https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site)."""
        sent_by = request.headers.get("Sec-Fetch-Site", "same-origin")
        if request.path.startswith(PREFIX) and request.method == "POST" and sent_by != "same-origin":
            return Response("Only this page's own forms count.", HTTPStatus.FORBIDDEN, content_type="text/plain")
        return None

    @routes.app_errorhandler(PageError)
    def refused(error: PageError) -> Response:
        return Response(str(error), status=HTTPStatus.BAD_REQUEST, content_type="text/plain; charset=utf-8")

    @routes.after_app_request
    def protected(response: Response) -> Response:
        if request.path.startswith(PREFIX):
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Cache-Control"] = "no-store"
        return response

    return routes
