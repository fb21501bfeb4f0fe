// What is wrong with the page as it stands: asked by tests/browser/looking.py at each width.
(everything) => {
  const wrong = [];
  const seen = (element) =>
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && element.getClientRects().length > 0;
  const named = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 160);

  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) {
    const widest = [...document.querySelectorAll("body *")].find((element) => {
      const box = element.getBoundingClientRect();
      return box.right > innerWidth + 1 && box.width > 0 && !element.closest("[aria-hidden=true]");
    });
    wrong.push(`is ${width} wide on ${innerWidth}: ${widest ? named(widest) : "?"}`);
  }

  for (const [x, y] of [[0.5, 0.5], [0.5, 0.85], [0.9, 0.3]]) {
    const top = document.elementFromPoint(innerWidth * x, innerHeight * y);
    for (let element = top; element && element !== document.body; element = element.parentElement) {
      const box = element.getBoundingClientRect();
      const covers = box.width * box.height > 0.5 * innerWidth * innerHeight;
      if (covers && getComputedStyle(element).position === "fixed") {
        wrong.push(`is covered: ${named(element)}`);
        break;
      }
    }
  }

  const FOCUSABLE = "a[href], button, input, select, textarea, summary, iframe, audio, video, [tabindex]";
  const takesFocus = (element) => element.matches(FOCUSABLE) && element.tabIndex >= 0;
  const inFocus = (element) => {
    // A region that scrolls takes the focus too, and is no control.
    const owner = element.closest("a[href], button, input, select, textarea, summary, label, [role=button]");
    return takesFocus(element) || (owner !== null && (owner.tagName === "LABEL" || takesFocus(owner)));
  };
  const CONTROL = "[role=button], [role=link], [role=tab], [role=menuitem], [onclick], a:not([href]), button, summary";
  for (const element of document.querySelectorAll("body *")) {
    // The menu and the header are the same on every page of a person.
    if (!everything && element.closest("#nav-sidebar, #page header")) continue;
    if (element.disabled || element.inert || !seen(element)) continue;
    const acts =
      element.matches(CONTROL) ||
      [...element.attributes].some(({ name }) => /^(x-on:|@)click(?!\.outside|\.away)/.test(name)) ||
      (getComputedStyle(element).cursor === "pointer" &&
        getComputedStyle(element.parentElement).cursor !== "pointer");
    if (acts && !inFocus(element) && !element.querySelector(FOCUSABLE)) {
      wrong.push(`Tab does not reach ${named(element)}`);
    }
  }
  for (const form of document.forms) {
    const submits = [...form.elements].filter((one) => one.type === "submit" || one.type === "image");
    if (submits.length > 1) wrong.push(`has ${submits.length} submit buttons in one form: ${named(form)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  const twice = new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
  if (twice.size) wrong.push(`ids twice: ${[...twice].join(", ")}`);
  return wrong;
}
