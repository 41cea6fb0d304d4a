"""The live network in a notebook: a kernel of its own hands its weights over, and they adapt."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager
from playwright.sync_api import Browser, Page

from mamlbook.widgets import weights
from tools import environment
from tools.browser import view
from tools.execute import ThisPython

torch = pytest.importorskip("torch")

from mamlbook.fewshot.data import images  # noqa: E402
from mamlbook.fewshot.data.decode import DataError  # noqa: E402
from mamlbook.fewshot.models import pretrained  # noqa: E402

CELL = """
from mamlbook.fewshot.data import images
from mamlbook.fewshot.models import pretrained
from mamlbook.widgets.live import LiveNetwork, dealt
network = pretrained("omniglot", "large", "maml")
LiveNetwork({"MAML": network}, dealt(network, images.load("omniglot-binary"), count=1, seed=1))
"""
# anywidget's model, as far as the widget uses it: messages go to the kernel, answers come back.
RENDER = """
async (state) => {
  const listeners = [];
  const model = {
    get: (name) => state[name], set: () => {}, save_changes: () => {},
    on: (event, hear) => listeners.push([event, hear]),
    off: (event, hear) => listeners.splice(listeners.findIndex(([e, h]) => e === event && h === hear), 1),
    send: async (content) => {
      const answer = await ask(content);
      const buffers = (answer?.buffers ?? []).map((text) =>
        new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
      if (answer) listeners.filter(([event]) => event === "msg:custom").forEach(([, hear]) => hear(answer.content, buffers));
    },
  };
  const script = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
  const { default: widget } = await import(script);
  widget.render({ model, el: document.body });
}
"""  # noqa: E501


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    try:
        images.load("omniglot-binary")
    except DataError as error:
        pytest.skip(str(error))
    manager = KernelManager(kernel_spec_manager=ThisPython())
    manager.start_kernel(env=environment())
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def widget(kernel: BlockingKernelClient) -> tuple[str, dict[str, Any]]:
    """The id of the widget's comm, and its state as it comes from the kernel."""
    opened = {}

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "comm_open":
            opened[message["content"]["comm_id"]] = message["content"]["data"]["state"]

    reply = kernel.execute_interactive(CELL, timeout=120, output_hook=hear)
    assert reply["content"]["status"] == "ok"
    [(own, state)] = [each for each in opened.items() if "networks" in each[1]]
    return own, state


def answers(kernel: BlockingKernelClient, own: str, content: dict[str, Any]) -> list[dict]:
    """What the widget in the kernel sends back to a message."""
    data = {"method": "custom", "content": content}
    asked = kernel.session.msg("comm_msg", {"comm_id": own, "data": data})
    kernel.shell_channel.send(asked)
    found = []
    while True:
        message = kernel.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked["header"]["msg_id"]:
            continue
        if message["msg_type"] == "comm_msg":
            buffers = [base64.b64encode(each).decode() for each in message["buffers"]]
            found.append({"content": message["content"]["data"]["content"], "buffers": buffers})
        if message["content"].get("execution_state") == "idle":
            return found


def notebook(browser: Browser) -> Page:
    """A page that is none of the book's: the widget asks its kernel."""
    page = view(browser).new_page()
    page.route(
        "**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
    )
    page.goto("http://notebook.invalid/")
    return page


def test_the_kernel_hands_over_what_is_asked_for_and_nothing_else(kernel, widget):
    own, state = widget
    network = pretrained("omniglot", "large", "maml")
    name = state["networks"]["MAML"]["weights"]
    assert name == network.card["name"]
    [answer] = answers(kernel, own, {"weights": name})
    assert answer["content"] == {"weights": name}
    [data] = answer["buffers"]
    assert base64.b64decode(data) == weights.packed(name, state["networks"]["MAML"]["seed"])
    assert answers(kernel, own, {"weights": "another"}) == answers(kernel, own, {}) == []


def test_the_network_of_the_kernel_adapts_in_a_notebook(kernel, widget, browser: Browser):
    own, state = widget
    page = notebook(browser)
    asked = []

    def ask(content: dict[str, Any]) -> dict | None:
        asked.append(content)
        return next(iter(answers(kernel, own, content)), None)

    page.expose_function("ask", ask)
    page.evaluate(RENDER, state)
    done = "[...document.querySelectorAll('figure')].every((one) => one.dataset.after)"
    page.wait_for_function(done, timeout=60_000)
    sentence = page.locator(".mb-sentence").inner_text()
    shares = {
        name: [float(share) for share in after.split()]
        for name, after in page.locator("figure").evaluate_all(
            "all => all.map((one) => [one.dataset.network, one.dataset.after])"
        )
    }
    page.context.close()
    assert asked == [{"weights": state["networks"]["MAML"]["weights"]}]
    assert sentence.startswith("After 1 step MAML says") and set(shares) == {"MAML", "untrained"}
    assert all(sum(each) == pytest.approx(1) for each in shares.values())
    assert max(shares["MAML"]) > 0.5 > max(shares["untrained"])


def test_it_says_so_where_no_kernel_answers(widget, browser: Browser):
    page = notebook(browser)
    page.clock.install()
    page.expose_function("ask", lambda content: None)
    page.evaluate(RENDER, widget[1])
    sentence = page.locator(".mb-sentence")
    page.clock.fast_forward(11_000)
    page.wait_for_function(
        "document.querySelector('.mb-sentence').textContent.startsWith('The networks could not')"
    )
    assert "to try again" in sentence.inner_text()
    page.context.close()
