"""How people reach what is on a page: with a mouse, with keys alone, or with a finger on a phone."""

from typing import Any, ClassVar

from playwright.sync_api import Locator

MOST_STOPS = 150
# whether the focus is on the element, or beside it in a group that arrows move in; and whether one sees where it is
PLACE = """
(wanted) => {
  const GROUPS = '[role=tablist], [role=radiogroup], [role=listbox], [role=menu]';
  const now = document.activeElement;
  if (now === wanted) return 'here';
  const group = now.closest(GROUPS);
  return group !== null && group === wanted.closest(GROUPS) ? 'beside' : 'elsewhere';
}
"""
SEEN = """
() => {
  const now = document.activeElement;
  if (now === document.body || now.matches('main, [role=dialog], [role=alertdialog]')) return null; // where it begins
  const style = getComputedStyle(now), box = now.getBoundingClientRect();
  const accent = Object.assign(document.createElement('i'), { style: 'color: var(--accent)' });
  document.body.append(accent);
  const framed = now.matches('textarea') && now.closest('form') !== null &&
    getComputedStyle(now.closest('form')).borderColor === getComputedStyle(accent).color;
  accent.remove();
  const outlined = style.outlineStyle !== 'none' && style.outlineWidth !== '0px';
  const marked = outlined || framed || 'highlighted' in now.dataset;
  const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2;
  const y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
  const top = document.elementFromPoint(x, y);
  const uncovered = top !== null && (now.contains(top) || top.contains(now));
  return marked && uncovered ? null : `${marked ? 'covered' : 'not marked'}: ${now.outerHTML.slice(0, 200)}`;
}
"""


class Mouse:
    """Text is typed: there is no other way to write."""

    context: ClassVar[dict[str, Any]] = {"viewport": {"width": 1280, "height": 800}}

    def press(self, target: Locator) -> None:
        target.click()

    def write(self, target: Locator, text: str) -> None:
        """In place of what is there."""
        self.enter(target)
        keyboard = target.page.keyboard
        keyboard.press("End")
        for _ in target.input_value():
            keyboard.press("Backspace")
        keyboard.type(text)

    def enter(self, target: Locator) -> None:
        self.press(target)


class Finger(Mouse):
    context: ClassVar[dict[str, Any]] = {
        "viewport": {"width": 360, "height": 740},
        "has_touch": True,
        "is_mobile": True,
    }

    def press(self, target: Locator) -> None:
        target.tap()
        assert target.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), target.page.url


class Keys(Mouse):
    """Tab, arrows, Enter. Nothing is focused by a script; at each stop one sees where one is."""

    def press(self, target: Locator) -> None:
        self.enter(target)
        target.page.keyboard.press("Space" if target.get_attribute("role") == "radio" else "Enter")

    def enter(self, target: Locator) -> None:
        target.wait_for(state="attached")
        onward = "ArrowDown" if target.get_attribute("role") in ("option", "menuitem") else "ArrowRight"
        for _ in range(MOST_STOPS):
            place = target.evaluate(PLACE)
            if place == "here":
                return
            target.page.keyboard.press(onward if place == "beside" else "Tab")
            trouble = target.page.evaluate(SEEN)
            assert trouble is None, trouble
        raise AssertionError(f"no key leads to {target}")
