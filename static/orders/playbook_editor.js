// The editor of a playbook: a form drawn from the document, in step with its JSON in both directions.
// The text is what is sent; the form only writes it, so nothing is lost when a script fails or a save is refused.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const builder = document.getElementById("playbook-builder");
  const text = document.getElementById("playbook-document");
  if (!builder || !text) return;
  const known = JSON.parse(document.getElementById("playbook-data").textContent);
  const jsonProblem = document.getElementById("playbook-json-problem");
  const facts = document.getElementById("playbook-known");
  const catalogue = new Map(known.catalogue.map((entry) => [entry.name, entry]));
  const TYPES = {
    activity: "Do something", conditional: "If … then …", parallel: "Several ways at once", loop: "Repeat",
    wait: "Wait", ask: "Ask a person", sub_playbook: "Run another playbook",
  };
  const ON_FAILURE = { stop: "Stop; what was done stays", continue: "Go on without it", undo: "Undo what was done", park: "Wait for a person" };
  let playbook = null;
  let problems = new Map(); // object of the document -> [{field, message}]
  let wanted = null; // what gets the focus after the next drawing: {object, field}
  let count = 0;
  let saved = text.value;

  // --- The document -------------------------------------------------------------------------------------------------

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  function tell() {
    text.value = JSON.stringify(playbook, null, 2);
    jsonProblem.textContent = "";
    tellFacts();
  }

  function read() {
    try {
      const found = JSON.parse(text.value);
      if (!isObject(found)) throw new Error("it is no object");
      playbook = found;
      playbook.inputs = Array.isArray(playbook.inputs) ? playbook.inputs : [];
      playbook.steps = Array.isArray(playbook.steps) ? playbook.steps : [];
      jsonProblem.textContent = "";
      return true;
    } catch (error) {
      jsonProblem.textContent = `The form waits until this is JSON again: ${error.message}`;
      return false;
    }
  }

  // A problem stays with its step when the step is moved, so it is kept by the object and not by the path.
  function place(list) {
    problems = new Map();
    for (const { path, message } of list) {
      const parts = path.split(".");
      let object = playbook;
      let holder = playbook;
      let used = 0;
      for (let index = 0; index < parts.length && object !== null && typeof object === "object"; index += 1) {
        const isPart = object === playbook || (isObject(object) && "id" in object && "type" in object) || (parts[0] === "inputs" && index === 2);
        if (isPart) [holder, used] = [object, index];
        object = object[parts[index]];
      }
      if (isObject(object) && "id" in object && "type" in object) [holder, used] = [object, parts.length];
      problems.set(holder, [...(problems.get(holder) || []), { field: parts.slice(used).join("."), message }]);
    }
  }

  function blocks(step) {
    if (step.type === "parallel") return (step.branches || []).map((inner, number) => [`Way ${number + 1}`, inner]);
    if (step.type === "conditional") return [["If so", (step.then ||= [])], ["Otherwise", (step.otherwise ||= [])]];
    if (step.type === "loop") return [["Each time", (step.body ||= [])]];
    return [];
  }

  function* walk(steps) {
    for (const step of steps) {
      if (!isObject(step)) continue;
      yield step;
      for (const [, inner] of blocks(step)) yield* walk(inner);
    }
  }

  function freeName(base) {
    const taken = new Set([...walk(playbook.steps)].map((step) => step.id));
    let number = 1;
    while (taken.has(`${base}_${number}`)) number += 1;
    return `${base}_${number}`;
  }

  function fresh(type) {
    const step = { type, id: freeName(type === "sub_playbook" ? "sub" : type === "activity" ? "step" : type), title: "" };
    const first = known.playbooks[0];
    const more = {
      activity: { activity: "add_note", parameters: {}, timeout_seconds: 60, attempts: 3, on_failure: "park", undo: null },
      conditional: { condition: "", then: [], otherwise: [] },
      parallel: { branches: [[], []] },
      loop: { condition: "true", most: 3, body: [] },
      wait: { seconds: 3600, until: null, every_seconds: 60 },
      ask: { question: "", options: ["yes", "no"], default: "no", deadline_seconds: 86400 },
      sub_playbook: { playbook: first ? first.slug : "", version: first ? first.version : 1, inputs: {} },
    };
    return Object.assign(step, more[type]);
  }

  // --- Parts of the form --------------------------------------------------------------------------------------------

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  function button(label, icon, act, more = {}) {
    const sign = make("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, icon);
    const words = more.quiet ? make("span", { class: "bo-sr" }, label) : label;
    return make("button", { type: "button", class: "bo-button bo-small", title: more.quiet ? label : null, onclick: act }, sign, words);
  }

  // A labelled control with the problems that belong to it; `field` is its path inside of `object`.
  function labelled(object, field, label, control, more = {}) {
    count += 1;
    control.id = `playbook-field-${count}`;
    const mine = (problems.get(object) || []).filter((one) => one.field === field);
    const hint = mine.length || more.hint ? `${control.id}-says` : null;
    if (hint) control.setAttribute("aria-describedby", hint);
    if (mine.length) control.setAttribute("aria-invalid", "true");
    for (const one of mine) one.shown = true;
    if (wanted && wanted.object === object && wanted.field === field) wanted.control = control;
    const says = hint && make("p", { id: hint, class: mine.length ? "bo-problem" : "bo-dim" }, mine.map((one) => one.message).join(" ") || more.hint);
    return make("div", { class: more.long ? "bo-field bo-long" : "bo-field" }, make("label", { for: control.id }, label), control, says);
  }

  function textField(object, key, label, more = {}) {
    const kept = more.optional ? null : "";
    const change = (event) => {
      object[key] = event.target.value === "" ? kept : event.target.value;
      tell();
    };
    const control = make(more.large ? "textarea" : "input", { autocomplete: "off", spellcheck: more.large ? null : "false", rows: more.large ? 2 : null, oninput: change });
    control.value = object[key] ?? "";
    return labelled(object, more.field || key, label, control, more);
  }

  function numberField(object, key, label, least, most, more = {}) {
    const change = (event) => {
      object[key] = event.target.value === "" ? null : Number(event.target.value);
      tell();
    };
    const control = make("input", { type: "number", min: least, max: most, step: 1, oninput: change });
    control.value = object[key] ?? "";
    return labelled(object, key, label, control, more);
  }

  function choiceField(object, key, label, choices, after, more = {}) {
    const change = (event) => {
      object[key] = event.target.value;
      if (after) after(event.target.value);
      tell();
      if (more.redraw) draw({ object, field: more.field || key });
    };
    const control = make("select", { onchange: change });
    const all = choices.some(([value]) => value === object[key]) ? choices : [[object[key] ?? "", object[key] || "Choose"], ...choices];
    for (const [value, name] of all) control.append(make("option", { value, selected: value === object[key] }, name));
    return labelled(object, more.field || key, label, control, more);
  }

  // A value of the catalogue's type, or an expression; what is neither is sent as it stands, and the server says so.
  function valueOf(type, typed) {
    if (typed.startsWith("=") || type === "string") return typed;
    if (type === "int" && /^-?\d{1,15}$/.test(typed.trim())) return Number(typed);
    if (type === "bool" && (typed === "true" || typed === "false")) return typed === "true";
    return typed;
  }

  function valueField(object, values, parameter, field) {
    const change = (event) => {
      if (event.target.value === "") delete values[parameter.name];
      else values[parameter.name] = valueOf(parameter.type, event.target.value);
      tell();
    };
    const options = parameter.type === "bool" ? ["true", "false"] : parameter.choices || [];
    const control = make("input", { autocomplete: "off", spellcheck: "false", oninput: change });
    control.value = values[parameter.name] ?? "";
    const kind = { int: "whole number", bool: "true or false", string: options.length ? options.join(" or ") : "text" }[parameter.type];
    const made = labelled(object, field, parameter.label, control, { long: parameter.type === "string" && !options.length, hint: parameter.plain ? `${kind}; may be empty, and then it must be said` : `${kind}, or = and an expression` });
    if (options.length) {
      control.setAttribute("list", `${control.id}-list`);
      made.append(make("datalist", { id: `${control.id}-list` }, ...options.map((value) => make("option", { value }))));
    }
    return made;
  }

  // --- Steps --------------------------------------------------------------------------------------------------------

  function callFields(step, call, prefix) {
    if (!isObject(call.parameters)) call.parameters = {};
    const entry = catalogue.get(call.activity);
    return (entry ? entry.parameters : []).map((one) => valueField(step, call.parameters, one, `${prefix}parameters.${one.name}`));
  }

  function activityFields(step) {
    const choices = known.catalogue.map((entry) => [entry.name, entry.title]);
    const entry = catalogue.get(step.activity);
    const what = choiceField(step, "activity", "What is done", choices, () => { step.parameters = {}; step.undo = null; }, { redraw: true, long: true, hint: entry ? entry.says : null });
    const undo = { undo: step.undo ? step.undo.activity : "" };
    const undone = choiceField(undo, "undo", "How it is taken back", [["", "It is not taken back"], ...choices], (name) => {
      step.undo = name ? { activity: name, parameters: {} } : null;
      draw({ object: step, field: "activity" });
    }, { long: true, hint: entry && entry.undoneBy ? `Usually: ${catalogue.get(entry.undoneBy).title}` : null });
    const more = make("details", { class: "bo-long", open: Boolean(step.undo) || mineBelow(step, ["undo", "timeout_seconds", "attempts", "on_failure"]) }, make("summary", {}, "Attempts, failure and undo"), make("div", { class: "bo-grid" },
      numberField(step, "attempts", "Attempts", 1, known.limits.attempts),
      numberField(step, "timeout_seconds", "Seconds for one attempt", 5, 3600),
      choiceField(step, "on_failure", "When all failed", Object.entries(ON_FAILURE)),
      undone, ...(step.undo ? callFields(step, step.undo, "undo.") : [])));
    return [what, ...callFields(step, step, ""), more];
  }

  function mineBelow(object, fields) {
    return (problems.get(object) || []).some((one) => fields.some((field) => one.field === field || one.field.startsWith(`${field}.`)));
  }

  function optionsField(step) {
    const change = (event) => {
      step.options = event.target.value.split(",").map((one) => one.trim()).filter(Boolean);
      tell();
    };
    const control = make("input", { autocomplete: "off", spellcheck: "false", oninput: change, onchange: () => draw({ object: step, field: "default" }) });
    control.value = (step.options || []).join(", ");
    return labelled(step, "options", "Answers, with commas between", control);
  }

  function subFields(step) {
    const chosen = { which: `${step.playbook}@${step.version}` };
    const choices = known.playbooks.map((one) => [`${one.slug}@${one.version}`, `${one.title} (${one.slug} v${one.version})`]);
    const other = known.playbooks.find((one) => one.slug === step.playbook && one.version === step.version);
    if (!isObject(step.inputs)) step.inputs = {};
    const which = choiceField(chosen, "which", "Which one", choices, (value) => {
      const [slug, version] = value.split("@");
      Object.assign(step, { playbook: slug, version: Number(version), inputs: {} });
      draw({ object: step, field: "id" });
    }, { long: true });
    return [which, ...(other ? other.inputs : []).map((one) => valueField(step, step.inputs, one, `inputs.${one.name}`))];
  }

  const condition = (step, label, hint) => textField(step, "condition", label, { long: true, hint });
  const FIELDS = {
    activity: activityFields,
    conditional: (step) => [condition(step, "Condition", "An expression, for example order.total_minor > 5000")],
    parallel: () => [],
    loop: (step) => [condition(step, "As long as", "An expression; loop.number counts from 1"), numberField(step, "most", "At most so many times", 1, known.limits.iterations)],
    wait: (step) => [numberField(step, "seconds", "Seconds", 1, known.limits.seconds), textField(step, "until", "Or until this is true", { optional: true, hint: "An expression; may be empty" }), numberField(step, "every_seconds", "Asked every so many seconds", 10, 86400)],
    ask: (step) => [textField(step, "question", "Question", { long: true }), optionsField(step), choiceField(step, "default", "Counts when nobody answers", (step.options || []).map((one) => [one, one])), numberField(step, "deadline_seconds", "Seconds to answer", 60, known.limits.seconds)],
    sub_playbook: subFields,
  };

  function stepItem(step, list, number) {
    if (!isObject(step)) return make("li", {}, "This is no step; mend it in the JSON.");
    const move = (by) => () => {
      list.splice(number, 1);
      list.splice(number + by, 0, step);
      tell();
      draw({ object: step, field: by < 0 ? "up" : "down" });
    };
    const remove = () => {
      list.splice(number, 1);
      tell();
      draw({ object: list, field: "add" });
    };
    const name = step.title || step.id || "a step";
    const up = button(`Move ${name} up`, "arrow_upward", move(-1), { quiet: true });
    const down = button(`Move ${name} down`, "arrow_downward", move(1), { quiet: true });
    up.disabled = number === 0;
    down.disabled = number === list.length - 1;
    if (wanted && wanted.object === step && ["up", "down"].includes(wanted.field)) wanted.control = [wanted.field === "up" ? up : down, up, down].find((one) => !one.disabled);
    const head = make("div", { class: "bo-step-head" }, make("b", {}, `${number + 1}. ${TYPES[step.type] || step.type}`), up, down, button(`Delete ${name}`, "delete", remove, { quiet: true }));
    const fields = make("div", { class: "bo-grid" }, textField(step, "title", "Title"), textField(step, "id", "Name in expressions"), ...(FIELDS[step.type] || (() => []))(step));
    const inner = blocks(step).map(([label, steps], branch) => {
      const away = step.type === "parallel" && step.branches.length > 2 ? button(`Delete ${label}`, "delete", () => { step.branches.splice(branch, 1); tell(); draw({ object: step, field: "title" }); }) : null;
      return make("section", { class: "bo-block", "aria-label": `${label} of ${name}` }, make("h3", {}, label, away), stepList(steps));
    });
    const more = step.type === "parallel" ? [button("Another way", "call_split", () => { (step.branches ||= []).push([]); tell(); draw({ object: step, field: "title" }); })] : [];
    const left = (problems.get(step) || []).filter((one) => !one.shown);
    const says = left.map((one) => make("p", { class: "bo-problem" }, `${one.field ? `${one.field}: ` : ""}${one.message}`));
    return make("li", { class: problems.has(step) ? "bo-wrong" : null }, head, ...says, fields, ...inner, ...more);
  }

  function stepList(list) {
    const kinds = make("select", { "aria-label": "Kind of step to add" }, ...Object.entries(TYPES).map(([value, name]) => make("option", { value }, name)));
    const add = button("Add step", "add", () => {
      const step = fresh(kinds.value);
      list.push(step);
      tell();
      draw({ object: step, field: "title" });
    });
    if (wanted && wanted.object === list && wanted.field === "add") wanted.control = add;
    return make("div", {}, make("ol", { class: "bo-steps" }, ...list.map((step, number) => stepItem(step, list, number))), make("div", { class: "bo-add" }, kinds, add));
  }

  function inputItem(input, number) {
    const remove = () => { playbook.inputs.splice(number, 1); tell(); draw({ object: playbook, field: "add-input" }); };
    const asked = { name: "default", type: input.type || "string", label: "If nothing is said", plain: true };
    return make("li", { class: problems.has(input) ? "bo-wrong" : null }, make("div", { class: "bo-step-head" }, make("b", {}, `Input ${number + 1}`), button(`Delete input ${number + 1}`, "delete", remove, { quiet: true })), make("div", { class: "bo-grid" },
      textField(input, "label", "What is asked"), textField(input, "name", "Name in expressions"),
      choiceField(input, "type", "Type", known.valueTypes.map((one) => [one, { string: "Text", int: "Whole number", bool: "Yes or no" }[one] || one])),
      valueField(input, input, asked, "default")));
  }

  function draw(focus = null) {
    wanted = focus;
    count = 0;
    for (const list of problems.values()) for (const one of list) one.shown = false;
    const addInput = button("Add input", "add", () => {
      const input = { name: `input_${playbook.inputs.length + 1}`, type: "string", label: "", default: null };
      playbook.inputs.push(input);
      tell();
      draw({ object: input, field: "label" });
    });
    if (focus && focus.field === "add-input") wanted.control = addInput;
    const head = make("section", { class: "bo-card", "aria-label": "The playbook" }, make("div", { class: "bo-grid" }, textField(playbook, "title", "Title of the playbook", { long: true }), textField(playbook, "description", "What it is for", { long: true, large: true })));
    const inputs = make("section", { class: "bo-card", "aria-label": "Inputs" }, make("h2", {}, "What is asked at the start"), make("ol", { class: "bo-steps" }, ...playbook.inputs.filter(isObject).map(inputItem)), make("div", { class: "bo-add" }, addInput));
    const steps = make("section", { class: "bo-card", "aria-label": "Steps" }, make("h2", {}, "Steps"), stepList(playbook.steps));
    builder.replaceChildren(head, inputs, steps);
    if (wanted && wanted.control) wanted.control.focus();
    wanted = null;
    tellFacts();
  }

  function tellFacts() {
    const line = (name, type) => make("li", {}, make("code", {}, name), " ", make("span", { class: "bo-dim" }, type));
    const lines = Object.entries(known.facts).map(([name, type]) => line(`order.${name}`, type));
    for (const input of playbook.inputs.filter(isObject)) lines.push(line(`inputs.${input.name}`, input.type || "string"));
    const more = { ask: { answer: "string", by: "string", note: "string" }, wait: { came_true: "bool" }, sub_playbook: {} };
    for (const step of walk(playbook.steps)) {
      const results = step.type === "activity" ? (catalogue.get(step.activity) || { results: {} }).results : more[step.type];
      if (results) for (const [name, type] of Object.entries({ done: "bool", ...results })) lines.push(line(`results.${step.id}.${name}`, type));
    }
    lines.push(line("loop.number", "int, inside of a repetition"));
    facts.replaceChildren(facts.querySelector("summary"), make("p", { class: "bo-dim" }, "A value that begins with = is an expression; conditions are expressions without it. Only what runs before a step can be named in it."), make("ul", { class: "bo-known" }, ...lines));
  }

  text.addEventListener("input", () => {
    if (read()) {
      problems = new Map();
      draw();
    }
  });
  document.getElementById("playbook-form").addEventListener("submit", () => { saved = null; });
  window.addEventListener("beforeunload", (event) => {
    if (saved !== null && text.value !== saved) event.preventDefault();
  });
  if (read()) {
    place(known.problems);
    draw();
    // Written as this page writes it, so that only a change of the person's counts as one; what was refused is unsaved.
    text.value = JSON.stringify(playbook, null, 2);
    saved = known.problems.length ? "" : text.value;
  }
});
