"""A browser loads a page with many assets and speaks with services through virtual hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import report_of_page
from tests.helpers.web import EVENTS
from tests.helpers.web_world import Pair, World, open_pair

if TYPE_CHECKING:
    from tests.helpers.stage import Stage

TALK = """<!doctype html><html><head><title>talk</title></head><body><script>
const sizes = [0, 1, 125, 126, 65535, 65536, 1048576]
const bytes = Uint8Array.from({length: 1048576}, (_, place) => place % 251)
const same = (one, other) =>
  one.length === other.length && one.every((byte, place) => byte === other[place])
const echoes = new Promise((resolve, reject) => {
  const socket = new WebSocket("ws://mirror.example.test/ws")
  socket.binaryType = "arraybuffer"
  let count = 0
  socket.onerror = () => reject("websocket")
  socket.onopen = () => socket.send(bytes.subarray(0, sizes[0]))
  socket.onmessage = message => {
    if (!same(new Uint8Array(message.data), bytes.subarray(0, sizes[count]))) reject("bytes")
    else if (++count < sizes.length) socket.send(bytes.subarray(0, sizes[count]))
    else socket.close()
  }
  socket.onclose = event => resolve(count + (event.wasClean ? "clean" : "broken"))
})
const events = new Promise((resolve, reject) => {
  const source = new EventSource("http://mirror.example.test/events/NAME")
  source.onmessage = async event => {
    await fetch("http://mirror.example.test/tick/NAME")
    if (event.data === "LAST") {
      source.close()
      resolve("LAST")
    }
  }
})
Promise.all([echoes, events]).then(
  words => fetch("/report/" + words.join("-")), error => fetch("/report/" + "failed-" + error))
</script></body></html>
"""


@pytest.fixture(scope="module", params=[True, False], ids=["mux", "direct"])
def pair(request: pytest.FixtureRequest, module_stage: Stage, world: World) -> Pair:
    return open_pair(module_stage, world.proxies(), mux=request.param)


@pytest.mark.parametrize(
    "origin",
    ["http://www.example.test", "http://shop.frps.test", "https://secure.example.test"],
)
def test_a_page_with_many_assets_loads(pair: Pair, world: World, stage: Stage, origin: str) -> None:
    address = f"{origin}/page.html"
    assert report_of_page(stage, world, pair, address) == world.page_report


def test_a_page_speaks_by_websocket_and_hears_events(
    pair: Pair, world: World, stage: Stage
) -> None:
    page = TALK.replace("NAME", stage.folder.name).replace("LAST", str(EVENTS - 1))
    (world.site.folder / "www" / "talk.html").write_text(page)
    address = "http://www.example.test/talk.html"
    assert report_of_page(stage, world, pair, address) == f"7clean-{EVENTS - 1}"
