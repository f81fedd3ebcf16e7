"""The Prefect UI in a headless Chromium, as a person uses it. SCREENSHOTS=folder keeps what it saw."""

import os
from datetime import datetime

import pytest
from playwright.sync_api import expect

from conftest import log_in, wait


@pytest.fixture(scope="module")
def person(browser, stack):
    """A browser in which somebody has logged in once."""
    context = browser.new_context(viewport={"width": 1200, "height": 1200}, base_url=f"http://localhost:{stack.port}")
    context.set_default_timeout(60_000)
    page = context.new_page()
    log_in(page, stack.login)
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(person):
    page = person.new_page()
    expect.set_options(timeout=60_000)
    yield page
    page.close()


def shot(page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(1500)  # let charts and lists settle
        page.screenshot(path=f"{folder}/prefect-{name}.png")


def fill(page, deployment: str, window: str) -> None:
    page.goto(f"/deployments/deployment/{deployment}/run")
    page.get_by_role("button", name="str", exact=True).first.click()
    page.locator("textarea").first.fill(window)


def submit(page) -> bool:
    """False where SQLite is busy, as it is now and then on this crowded schedule: the UI says so, and a person begins again."""
    with page.expect_response(lambda answer: "create_flow_run" in answer.url) as answer:
        page.get_by_role("button", name="Submit").click()
    return answer.value.ok


def test_the_run_list_shows_the_windows(stack, page):
    wait(lambda: len(stack.runs("COMPLETED")) >= 4, 300)
    newest = stack.runs("COMPLETED")[0]["name"]
    page.goto("/runs")
    expect(page.get_by_text(newest).first).to_be_visible()
    shot(page, "runs")


def test_the_artifact_shows_the_rows_of_every_kind(stack, page):
    page.goto("/artifacts")
    expect(page.get_by_text("recent-windows").first).to_be_visible()
    page.goto("/artifacts/key/drained-window")
    expect(page.get_by_text("Drained for").first).to_be_visible()
    newest = stack.api("/artifacts/filter", {"artifacts": {"key": {"any_": ["drained-window"]}}, "sort": "CREATED_DESC", "limit": 1})
    page.goto(f"/artifacts/artifact/{newest[0]['id']}")
    expect(page.get_by_text("reposts", exact=True).first).to_be_visible()
    shot(page, "artifact")


def test_a_person_runs_a_past_window(stack, page):
    start = datetime.strptime(stack.windows()[-3][:16], "%Y%m%dT%H%M%SZ")
    past = f"{start:%Y-%m-%dT%H:%M:%SZ}"
    name = past.replace(":00Z", "Z")
    deployment = stack.api("/deployments/name/drain-window/drain-window")["id"]
    fill(page, deployment, "yesterday")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("yesterday").first).to_be_visible()  # refused: the form is still there
    for _ in range(20):
        fill(page, deployment, past)
        shot(page, "custom-run")
        if submit(page):
            break
    def again() -> set[str]:
        return {run["id"] for run in stack.runs("COMPLETED", name=name) if run["parameters"].get("window")}
    wait(again, 300, lambda: f"a run named {name} completes")
    page.goto(f"/runs/flow-run/{again().pop()}")
    expect(page.get_by_text(name).first).to_be_visible()
    expect(page.get_by_text("Completed").first).to_be_visible()
    shot(page, "run")


def test_cancel_and_retry_by_hand(stack, page):
    stack.goes_on()
    stack.slow(60)
    wait(lambda: stack.processes("sleep 60") and stack.runs("RUNNING"), 90)
    run = stack.runs("RUNNING")[0]["id"]
    page.goto(f"/runs/flow-run/{run}")
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    wait(lambda: not stack.processes("sleep 60"), 40, lambda: "the binary is stopped")
    stack.fast()
    assert stack.finished(run)["type"] == "CANCELLED"
    page.reload()
    page.get_by_role("button", name="Retry").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").last.click()
    wait(lambda: stack.state_of(run)["type"] != "CANCELLED", 60)
    assert stack.finished(run)["type"] == "COMPLETED"
    stack.goes_on()
    stack.whole()
    stack.no_zombies()
