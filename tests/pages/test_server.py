"""Server: static files and host check, over HTTP and in a browser."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from test_browser import DIGITS, DIGITS_SHOWN, ROOT, Shown, card_image, points, serving, stock

from aecore.runs import store
from pages.app import server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store")
    stock(folder)
    with serving(folder) as found:
        yield found


def answer(address: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, lower-case headers and content of the response to an exact request."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.putrequest("GET", path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    found = connection.getresponse()
    return found.status, {k.lower(): v for k, v in found.getheaders()}, found.read()


SHEET = f"/{server.sheet_address('digits', DIGITS.fingerprint, 'test')}"
SCRIPT = f"/{server.scripts_address()}/mount.js"


# --- Whom it answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/latent_map", "/_stcore/health", SCRIPT, SHEET, "/no/such"])
def test_no_other_site_may_frame_it(address: str, path: str) -> None:
    _, headers, _ = answer(address, path)
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["content-security-policy"] == "frame-ancestors 'self'"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/_stcore/health", SCRIPT, SHEET])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "a b", "[::1", "*"])
def test_it_does_not_answer_under_a_stranger_s_name(address: str, path: str, host: str) -> None:
    status, headers, content = answer(address, path, Host=host)
    assert status == 400
    assert b"--server.allowedHosts=NAME" in content or b"Invalid HTTP request" in content
    assert headers.get("x-frame-options", "SAMEORIGIN") == "SAMEORIGIN"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:1", "localhost."])
def test_it_answers_under_the_names_of_this_machine(address: str, host: str) -> None:
    assert answer(address, "/", Host=host)[0] == 200


def test_a_connection_of_a_page_is_refused_to_strangers(address: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    own = urlsplit(address).netloc
    ask = "/_stcore/stream"
    assert answer(address, ask, Host="evil.example", **upgrade)[0] == 403
    assert answer(address, ask, Host=own, Origin="http://evil.example", **upgrade)[0] == 403


def test_no_answer_may_be_read_by_another_site(address: str) -> None:
    for path in ("/", SCRIPT, SHEET, "/_stcore/health"):
        headers = answer(address, path, Origin="http://evil.example")[1]
        assert "access-control-allow-origin" not in headers


# --- What it hands out --------------------------------------------------------------------------


@pytest.mark.parametrize("name", server.scripts())
def test_scripts_are_handed_out_for_good(address: str, name: str) -> None:
    status, headers, content = answer(address, f"/{server.scripts_address()}/{name}")
    assert status == 200 and content == server.scripts()[name].read_bytes()
    assert headers["content-type"].startswith("text/javascript")
    assert "immutable" in headers["cache-control"]


def test_sheets_are_handed_out_for_good(address: str) -> None:
    for split in ("test", "train"):
        path = server.sheet_address("digits", DIGITS.fingerprint, split)
        status, headers, content = answer(address, f"/{path}")
        x = getattr(DIGITS, split).x
        assert status == 200 and gzip.decompress(content) == np.rint(x * 255).astype("u1").tobytes()
        assert headers["content-type"] == "application/gzip"
        assert "immutable" in headers["cache-control"]


def test_thumbnails_of_runs_are_drawn_and_handed_out_for_good(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AECORE_STORE", str(ROOT / "models_store"))
    path = server.thumbnail_address(store.load("digits-ae"))
    status, headers, content = answer(address, f"/{path}")
    assert status == 200 and content.startswith(b"\x89PNG")
    assert headers["content-type"] == "image/png" and "immutable" in headers["cache-control"]
    # Of a run of that name that was replaced since.
    assert answer(address, f"/{path.replace('.png', '0.png')}")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/{server.THUMBNAILS}/no-such-run/1764000000000000.png",
        f"/{server.THUMBNAILS}/..%2F_maps/1764000000000000.png",
        f"/{server.SCRIPTS}/0123456789ab/mount.js",
        f"/{server.scripts_address()}/style.css",
        f"/{server.scripts_address()}/..%2Fserver.py",
        f"/{server.scripts_address()}/%2Fetc%2Fpasswd",
        f"/{server.sheet_address('digits', 'f' * 12, 'test')}",
        f"/{server.sheet_address('digits', '..%2F..%2F....', 'test')}",
        f"/{server.sheet_address('..', DIGITS.fingerprint, 'test')}",
        f"/{server.sheet_address('digits', DIGITS.fingerprint, '..')}",
        f"/{server.sheet_address('digits', DIGITS.fingerprint[:11] + '*', 'test')}",
        f"/{server.SHEETS}/digits/{DIGITS.fingerprint[:13]}/test.gz",
    ],
)
def test_nothing_else_is_handed_out(address: str, path: str) -> None:
    status, _, content = answer(address, path)
    assert status in (400, 404) or b"<title>" in content  # the page itself, at an unknown address
    assert b"root:" not in content and b"def " not in content


# --- Messages that the scripts never send -------------------------------------------------------


def test_forged_messages_leave_a_slider_that_works(page: Page, address: str) -> None:
    forged: list[tuple[str, str]] = []

    def rewritten(content: bytes) -> bytes:
        message = BackMsg.FromString(content)
        widgets = message.rerun_script.widget_states.widgets
        for widget in filter(lambda each: each.HasField("json_trigger_value"), list(widgets)):
            if not forged:
                break
            way, text = forged.pop()
            if way == "event":
                widget.json_trigger_value = text
            else:
                widgets.remove(widget)
                component = widget.id[widget.id.index("$$ID") : -len("__events")]
                widgets.add(id=component, json_value=text)
        return message.SerializeToString()

    def intercept(route: WebSocketRoute) -> None:
        server_side = route.connect_to_server()
        route.on_message(lambda content: server_side.send(rewritten(content)))

    page.route_web_socket("**/_stcore/stream", intercept)
    page.goto(f"{address}/denoise?run=digits-ae&filters=")
    page.wait_for_function("document.querySelector('.live-picture')?.naturalWidth")
    slider = page.locator(".live input")

    def press() -> None:
        page.wait_for_timeout(3_200)  # until the script gives up an answer that did not come
        slider.press("ArrowRight")

    def works() -> None:
        press()
        page.wait_for_function(
            "() => Number(new URL(location).searchParams.get('level_gaussian')) === "
            "Number(document.querySelector('.live input').value)"
        )

    for forgery in [
        ("event", '[{"event":"moved","value":{"value":"abc","settled":true}}]'),
        ("event", '[{"event":"moved","value":{"value":[NaN],"settled":[]}}]'),
        ("event", "nonsense"),
        ("state", '{"moved":{"value":0.1,"settled":false}}'),
        ("state", '{"moved":"x"}'),
        ("state", "[]"),
    ]:
        forged.append(forgery)
        press()
        while forged:
            page.wait_for_timeout(100)
        works()
        assert page.get_by_test_id("stAlert").count() == 0


# --- An installation that nobody can write to ---------------------------------------------------


def test_maps_are_shown_where_the_installation_is_read_only(page: Page, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root, home = Path(folder, "installed"), Path(folder, "home")
        ours = shutil.ignore_patterns(".venv", ".git", "test-results", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, root, ignore=ours)
        home.mkdir()
        home.chmod(0o777)
        for path in (root, *root.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        # Root may write anywhere, so the server is somebody else.
        start = ()
        if os.geteuid() == 0:
            start = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        store = str(root / "models_store")
        with serving(
            tmp_path, root / "app.py", start, AECORE_STORE=store, **environment
        ) as address:
            page.goto(f"{address}/latent_map?run=digits-ae")
            assert points(page) == [360] * 4
            shown = Shown(page, DIGITS_SHOWN, DIGITS)
            page.mouse.move(*shown.place(0, *DIGITS_SHOWN.plane[38]))
            page.wait_for_function("document.querySelector('.loupe').loupe.sheets.pixels(0)")
            number = int(page.locator(".loupe-card").get_attribute("data-sample"))
            expected = np.rint(DIGITS.test.x[number] * 255)
            np.testing.assert_array_equal(card_image(shown, 0), expected)
        for path in (root, *root.rglob("*")):
            path.chmod(0o755)


# --- Names --------------------------------------------------------------------------------------

WRITTEN = r"""
www.evil.example
see WWW.evil.example/a now
(www.evil.example)
w.www.evil.example
https://evil.example/a?b=1&c=2
hTTp://evil.example
<https://evil.example>
https&#58;//evil.example
www&#46;evil.example
a@b.cd
mailto:a@b.cd
user.b+c@d-e.example
[x](https://evil.example)
[x]: https://evil.example
![x](https://evil.example/a.png)
:material/home:
:material_home:
:streamlit:
:smile:
:red[x]
:red-badge[x]
:help[x]
:small[y]
:color[@]
:shimmer[a]
::color[x]:
:::note
[^1]
$x^2$
$$x$$
\(x\)
<b>bold</b>
<script>alert(1)</script>
<!-- a -->
&lt;b&gt; &amp; &copy;
*a* _b_ __c__ **d**
~~x~~
`code`
a\
a\*b
# head
1. list
12) list
1)
- list
+ list
-
> quote
---
===
| a | b |
[ ] todo
- [x] done
a -> b
a <- b
a <-> b
a -- b
a --- b
->
--
<->
x >= y
x <= y
x ~= y
@->
12:30
a:b:c
'single' "double"
50 %
a_b_c
"""
NAMES = [
    *WRITTEN.strip().splitlines(),
    *("a\nb", "a\n\nb", "a\r\n- b", "```\ncode", "\tcode", "tab\tin", "\x00", "\u202eevil"),
    *("x\u200bwww.evil.example", "a\u00a0b", "a\u2028b", "\ufeffa", "\U000e0041"),
    "\u6f22\u5b57 \u00fc \U0001f600",
]
PIECES = [*"*_`~$:<>[](){}!#+-=.@&|\\/1 a^", "www.", "http://", ":material/home:", "\n", "a@b.cd"]
CHANCE = random.Random(0)
MIXED = ["".join(CHANCE.choices(PIECES, k=CHANCE.randint(1, 9))) + "." for _ in range(300)]

SCRIPT_OF_NAMES = """
import json, sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, {root!r})
from pages.app.text import plain

for number, name in enumerate(json.loads(Path("names.json").read_text())):
    with st.container(key=f"alone-{{number}}"):
        st.markdown(plain(name))
    with st.container(key=f"within-{{number}}"):
        st.warning(f"- There is no '{{plain(name)}}' here.")
    with st.container(key=f"label-{{number}}"):
        st.button(plain(name), key=f"button-{{number}}")
"""
READ = """
numbers => numbers.flatMap(number => ["alone", "within", "label"].map(where => {
  const found = document.querySelector(
    `.st-key-${where}-${number} :is([data-testid=stMarkdownContainer])`);
  const made = [...found.querySelectorAll("*")].filter(e =>
    !["P", "SPAN"].includes(e.tagName) && !(where === "within" && ["UL", "LI"].includes(e.tagName))
    || e.getAttribute("role") || e.getAttribute("style") || e.className);
  return [where, found.textContent.trim(), made.map(e => e.outerHTML)];
}))
"""


def test_a_name_is_shown_as_it_is_written(page: Page, tmp_path: Path) -> None:
    names = [*NAMES, *MIXED]
    (tmp_path / "names.json").write_text(json.dumps(names))
    script = tmp_path / "names.py"
    script.write_text(SCRIPT_OF_NAMES.format(root=str(ROOT)))
    quiet = {"STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"}
    with serving(tmp_path, script, STREAMLIT_SERVER_ADDRESS="127.0.0.1", **quiet) as address:
        page.goto(address)
        page.wait_for_selector(f".st-key-label-{len(names) - 1} button")
        page.wait_for_timeout(2_000)  # icons and formulas come later
        found = iter(page.evaluate(READ, list(range(len(names)))))
    for name in names:
        # What nobody sees is shown as Python writes it; a browser shows several blanks as one.
        seen = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)
        for _ in range(3):
            where, text, made = next(found)
            expected = f"There is no '{seen}' here." if where == "within" else seen
            assert (text.split(), made) == (expected.split(), []), (where, name)


@pytest.mark.parametrize("path", ["latent_map?run=", "recipes?recipe=", "generate?run="])
def test_a_stranger_in_the_address_is_no_link(page: Page, address: str, path: str) -> None:
    for name in (
        "www.evil.example",
        "https://evil.example",
        "a@b.cd",
        "a\n\n# b",
        ":material/home:",
    ):
        page.goto(f"{address}/{path}{quote(name)}")
        box = page.get_by_test_id("stAlert").first
        expect(box).to_contain_text(f"called '{name}'".replace("\n", "\\n"))
        assert box.locator("a, h1, em, img, [role=img]:not([data-testid])").count() == 0
