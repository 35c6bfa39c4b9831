from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.slack.mrkdwn import Names, html

NAMES = Names(
    users={"U0ALICE001": "Alice <A>"}, channels={"C1": "ops"}, groups={"S1": "approvers"}, reader="U0ALICE001"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* _italic_ ~gone~", "<strong>bold</strong> <em>italic</em> <s>gone</s>"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("`*code* &lt;b&gt;`", "<code>*code* &lt;b&gt;</code>"),
        ("```one\n*two*```", "<pre><code>one\n*two*</code></pre>"),
        ("one\ntwo", "one<br>two"),
        ("&gt; said\n&gt; so\nyes", "<blockquote>said<br>so</blockquote>yes"),
        ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
        ("<@U0ALICE001>", '<span class="mention me">@Alice &lt;A&gt;</span>'),
        ("<@U0NOBODY>", '<span class="mention">@U0NOBODY</span>'),
        ("<#C1>", '<span class="mention">#ops</span>'),
        ("<!subteam^S1>", '<span class="mention">@approvers</span>'),
        ("<!here>", '<span class="mention">@here</span>'),
        (
            "<https://example.com/?a=1&amp;b=2|*more*>",
            '<a href="https://example.com/?a=1&amp;b=2" rel="noreferrer" target="_blank">*more*</a>',
        ),
        (
            "<!date^0^{date} {time}|1970-01-01 00:00 UTC>",
            '<time datetime="1970-01-01T00:00:00+00:00" data-format="{date} {time}">1970-01-01 00:00 UTC</time>',
        ),
    ],
)
def test_mrkdwn_is_shown_as_slack_shows_it(text: str, shown: str) -> None:
    assert html(text, NAMES) == shown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<javascript:alert(1)|here>",
        "<data:text/html,x>",
        "`<script>`",
        '<@U1|"><script>>',
        '<https://x/"onmouseover="alert(1)|"><script>>',
        '<!date^0^"><script>|<script>>',
        "&lt;script&gt;",
        "\ue0000\ue001<script>",
        "<https://[broken|x>",
    ],
)
def test_no_text_becomes_an_element_or_an_attribute_of_its_own(text: str) -> None:
    assert elements(html(text, NAMES)) <= ALLOWED


@given(st.text(alphabet=st.sampled_from(list("<>&@#!|^*_~`\n\"'ab0;/:\ue000\ue001")), max_size=40))
def test_nothing_that_can_be_written_leaves_text(text: str) -> None:
    assert elements(html(text, NAMES)) <= ALLOWED


ALLOWED = {
    *((tag, ()) for tag in ("strong", "em", "s", "code", "pre", "br", "blockquote")),
    ("span", ("class",)),
    ("a", ("href", "rel", "target")),
    ("time", ("datetime", "data-format")),
}


def elements(shown: str) -> set[tuple[str, tuple[str, ...]]]:
    found = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.add((tag, tuple(name for name, _ in attrs)))
            for name, value in attrs:
                assert name != "href" or str(value).startswith(("http:", "https:", "mailto:"))

    Reader().feed(shown)
    return found
