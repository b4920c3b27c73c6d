// Forms that change something: what they share.

import { send } from "./api.js";
import { h, toast } from "./dom.js";
import { field, notice, trouble } from "./parts.js";

const OWNER = "owner";

/** Who gives orders: the session's name, else what was typed last in this browser. */
export function owner(world) {
  if (world.who?.name && world.who.name !== "local") return world.who.name;
  try {
    return localStorage.getItem(OWNER) ?? "";
  } catch {
    return "";
  }
}

function remember(name) {
  try {
    if (name) localStorage.setItem(OWNER, name);
  } catch {
    // It is asked again next time.
  }
}

/** The fields every order has. `name` keeps the forms of one page apart. */
export function reasons(r, at, { ends = true, hint } = {}) {
  const wrong = r.state[at]?.error;
  const of = (parameter) => (wrong?.parameter === parameter ? wrong.message : null);
  return [
    field("Who you are", `${at}-owner`, { required: true, maxlength: 100, value: owner(r.world), autocomplete: "name", error: of("owner") }),
    field("Reason", `${at}-reason`, { required: true, maxlength: 500, hint: "Whoever finds it later must know why.", error: of("reason") }),
    ends && field("For", `${at}-for`, { placeholder: "30m", hint: hint ?? "How long, such as 30m or 2h; empty: until it is cleared.", error: of("for") }),
  ];
}

/**
 * Sends a change and shows what became of it under the form. `at` names the form in `r.state`;
 * `said(answer)` puts the answer into words. A rule that was broken (409) opens the way past it.
 */
export async function act(r, at, { method = "POST", path, body, query, match, said, after }) {
  // Pressed twice is meant once.
  if (r.state[at]?.busy) return null;
  const state = (r.state[at] = { ...r.state[at], busy: true, error: null, done: null });
  r.render();
  remember(body?.owner ?? query?.owner);
  try {
    const answer = await send(method, path, body, { query, match });
    state.done = said(answer);
    state.rules = false;
    toast(state.done.text, state.done.kind ?? "good");
    after?.(answer);
    return answer;
  } catch (error) {
    state.error = error;
    if (error.status === 409) state.rules = true;
    return null;
  } finally {
    state.busy = false;
    await r.refresh();
    r.render();
  }
}

/** What became of the last change by the form `at`, and the field that breaks a rule. */
export function outcome(r, at, { glass = true } = {}) {
  const state = r.state[at];
  if (!state) return null;
  return h(
    "div",
    { class: "wide stack", key: "outcome" },
    state.error && trouble(state.error),
    glass && state.rules && field("Break the rule, because", `${at}-break-glass`, { maxlength: 500, hint: "Taken all the same, and noted with this reason. Leave it empty to change the order instead." }),
    state.done &&
      notice(
        state.done.kind ?? "good",
        h("p", {}, state.done.text),
        state.done.list?.length > 0 && h("ul", {}, state.done.list.map((t) => h("li", {}, t))),
      ),
  );
}

/** What a form has, without the prefix that keeps it apart. */
export function taken(form, at) {
  const out = {};
  for (const [name, value] of new FormData(form)) {
    const text = String(value).trim();
    if (name.startsWith(`${at}-`) && text) out[name.slice(at.length + 1)] = text;
  }
  return out;
}

/** The button that sends. */
export function submit(r, at, text, { danger, role = "operator" } = {}) {
  const may = r.may(role);
  return h(
    "div",
    { class: "actions", key: "submit" },
    h("button", { type: "submit", class: danger ? "danger" : "main-action", disabled: !may }, r.state[at]?.busy ? "Sending…" : text),
    !may && h("p", { class: "hint" }, `This takes the role ${role}; you have ${r.world.who?.role}.`),
  );
}

/** An order's answer in words. */
export function order_said(answer) {
  const missing = (answer.missing ?? []).map((m) => `${m.node}: ${m.why}`);
  return {
    text: `${answer.said.join("; ")}: in force on ${answer.applied} of ${answer.of} nodes at generation ${answer.generation}.`,
    kind: missing.length || answer.warnings.length ? "warn" : "good",
    list: [...answer.warnings, ...missing],
  };
}
