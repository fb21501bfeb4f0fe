// Opens every command of the page, numbers its text fields, and from now on notes forms that are sent instead of
// sending them. Answers how many fields there are.
() => {
  window.sent = [];
  const note = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    window.sent.push([event.target, event.submitter]);
  };
  document.addEventListener("submit", note, { capture: true });
  for (const details of document.querySelectorAll("details")) details.open = true;
  const TEXT = ["text", "search", "number", "email", "url", "tel", "password", "date", "time", "datetime-local"];
  // Pages about one's account are outside of the frame.
  const page = document.querySelector("#page") ?? document.body;
  const fields = [...page.querySelectorAll("input")].filter(
    (field) => TEXT.includes(field.type) && !field.disabled && !field.readOnly && field.checkVisibility(),
  );
  fields.forEach((field, index) => (field.dataset.tried = index));
  return fields.length;
}
