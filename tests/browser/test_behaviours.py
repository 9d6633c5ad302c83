"""What the scripts of static/js promise, on the style page, which has one of everything."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import SignIn
from tests.browser.watch import axe_violations


def quick_style_page(page: Page) -> Page:
    """Open the style page with its live region polling five times a second."""

    def quicken(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("every 5s", "every 200ms"))

    page.route("**/style/", quicken)
    page.route("**/style/_clock/", quicken)
    page.goto("/style/")
    return page


def polls(page: Page) -> list[str]:
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if "/_clock/" in request.url else None)
    return seen


def test_theme_changes_at_once_and_stays(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.goto("/help/")
    page.get_by_role("button", name="your menu").click()
    with page.expect_response("**/preferences/theme/"):
        page.get_by_role("button", name="Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_zone_of_this_computer_can_be_chosen(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.goto("/help/")
    page.get_by_role("button", name="change the time zone").click()
    page.get_by_role("button", name="Europe/Berlin").click()
    expect(page.get_by_role("button", name="change the time zone")).to_contain_text("CE")


def test_live_region_refreshes_until_it_is_paused(sign_in: SignIn) -> None:
    page = quick_style_page(sign_in("viewer"))
    page.wait_for_event("response", lambda response: "/_clock/" in response.url)
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(300)  # a poll that was under way may still end
    seen = polls(page)
    page.wait_for_timeout(700)
    assert seen == []
    page.keyboard.press("p")
    page.wait_for_event("response", lambda response: "/_clock/" in response.url)


def test_live_region_holds_still_while_a_dialog_is_open(sign_in: SignIn) -> None:
    page = quick_style_page(sign_in("viewer"))
    page.get_by_role("link", name="Roll back…").click()
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.wait_for_timeout(300)
    seen = polls(page)
    page.wait_for_timeout(700)
    assert seen == []


def test_live_region_says_that_it_is_stale_and_keeps_what_was_known(sign_in: SignIn) -> None:
    page = quick_style_page(sign_in("viewer"))
    page.unroute("**/style/_clock/")
    page.route("**/style/_clock/", lambda route: route.abort())
    region = page.locator("#style-clock")
    expect(region.get_by_text("the portal does not answer")).to_be_visible()
    expect(region).to_contain_text("clock says")
    expect(page.get_by_role("button", name="Stale")).to_be_visible()
    page.unroute("**/style/_clock/")
    region.get_by_role("button", name="Try again").click()
    expect(region.get_by_text("the portal does not answer")).to_have_count(0)


def test_palette_finds_and_opens_a_page_by_keyboard(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.goto("/help/")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search runs, workflows and pages")
    expect(box).to_be_focused()
    box.press_sequentially("zzz-nothing")
    expect(page.get_by_text("Nothing is called")).to_be_visible()
    expect(page.locator("#palette-status")).to_have_text("0 results")
    assert axe_violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_danger_dialog_starts_on_cancel_and_needs_a_reason(sign_in: SignIn) -> None:
    page = sign_in("operator")
    page.goto("/style/")
    opener = page.get_by_role("link", name="Roll back…")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("alertdialog", name="Roll back run 4812 to “charge”?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    assert axe_violations(page) == []
    dialog.get_by_role("button", name="Roll back 1 step").click()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()


def test_danger_dialog_shows_what_the_server_refused(sign_in: SignIn) -> None:
    page = sign_in("operator")
    page.goto("/style/")
    page.get_by_role("link", name="Roll back…").click()
    reason = page.get_by_label("Reason")
    reason.evaluate("field => { field.removeAttribute('minlength'); field.value = 'short' }")
    page.get_by_role("button", name="Roll back 1 step").click()
    expect(page.get_by_role("alertdialog").get_by_text("at least 10 characters (it has 5)")).to_be_visible()
    expect(page.get_by_label("Reason")).to_be_focused()


def test_danger_dialog_is_sent_once(sign_in: SignIn) -> None:
    page = sign_in("operator")
    page.goto("/style/")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.get_by_role("link", name="Roll back…").click()
    page.get_by_role("button", name="Customer asked for it").click()
    page.get_by_role("button", name="Roll back 1 step").dblclick()
    expect(page.get_by_text("Rolled back, because “Customer asked for it”.")).to_be_visible()
    assert len(sent) == 1


def test_single_keys_do_nothing_while_typing_or_when_switched_off(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.goto("/style/")
    page.keyboard.press("/")
    expect(page.get_by_label("Customer")).to_be_focused()
    page.keyboard.type("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.evaluate("document.documentElement.removeAttribute('data-shortcuts')")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_times_tell_zone_and_utc_on_focus(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.goto("/style/")
    page.locator("main time[data-tip]").first.focus()
    expect(page.get_by_role("tooltip")).to_contain_text("UTC")
    page.keyboard.press("Escape")
    expect(page.get_by_role("tooltip")).to_have_count(0)


def test_copy_says_that_it_copied(sign_in: SignIn) -> None:
    page = sign_in("viewer")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/style/")
    page.get_by_role("button", name="Copy operation key").click()
    assert page.evaluate("navigator.clipboard.readText()") == "0199-71aa:charge:0"
    expect(page.locator("#announcer")).to_have_text("Copied")
