// What Unfold's frame lacks for keyboards: menus of rows that open, move and close by keys, and dialogs that take the
// focus and give it back. Names of rows stand in no expression here, so any id will do.
"use strict";
document.addEventListener("alpine:init", () => {
  let opener = null; // the button whose menu was used last; a dialog gives the focus back to it
  window.Alpine.data("rowMenu", () => ({
    open: false,
    links() {
      return [...this.$refs.items.querySelectorAll("a")];
    },
    toggle() {
      this.open = !this.open;
      opener = this.$refs.opener;
      if (this.open) this.$nextTick(() => this.links()[0]?.focus());
    },
    close() {
      if (!this.open) return;
      this.open = false;
      this.$refs.opener.focus();
    },
    move(event) {
      if (event.key === "Escape" || event.key === "Tab") return this.close();
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const links = this.links();
      const next = links.indexOf(document.activeElement) + step;
      links[(next + links.length) % links.length].focus();
    },
  }));

  window.Alpine.data("modalFocus", () => ({
    init() {
      // The page takes no focus until it is let go, which is when all that follows from the change has happened.
      this.$watch("openModal", (open) => open || setTimeout(() => opener?.focus()));
    },
    enter() {
      const field = ":is(input, select, textarea, button[type=submit]):not([type=hidden])";
      const asked = document.querySelector(`#modal-content ${field}[aria-invalid=true]`);
      (asked ?? document.querySelector(`#modal-content form ${field}`))?.focus();
    },
  }));
});

// Django's box for choosing many gives its hints names, and no role that may carry one.
window.addEventListener("load", () =>
  setTimeout(() => {
    for (const hint of document.querySelectorAll(".help-tooltip[aria-label]")) hint.setAttribute("role", "img");
  }),
);
