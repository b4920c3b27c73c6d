// Rehearsals of failures: the form, and those there were.

import { get } from "../lib/api.js";
import { act, outcome, reasons, submit, taken } from "../lib/act.js";
import { h } from "../lib/dom.js";
import { clock, span } from "../lib/format.js";
import { badge, field, heading, link, path, panel, table } from "../lib/parts.js";

export const title = () => "Drills";

export async function load(r) {
  return get("/v1/drills", { signal: r.abort.signal });
}

const STATES = { planned: "idle", checked: "idle", running: "warn", finished: "good", aborted: "warn", "rolled-back": "bad", reported: "good" };

/** Where a drill stands; one that is reported also says how it ended. */
export function standing(d) {
  const ended = d.state === "reported" ? d.ended : null;
  return badge(d.state, ended && ended !== "finished" ? `${ended}, reported` : d.state, STATES[ended ?? d.state] ?? "idle");
}

/** Whether it is not over. */
export const running = (d) => d.ended === undefined || d.ended === null;

/** What it does, in words. */
export const deed = (d) => `${d.effect} ${d.scope} ${d.name}`;

/** Whom it concerns. */
export function whom(d) {
  if (d.reach === "canary") return `clients of ${d.canary}`;
  if (d.reach === "label") return `who asks for ${d.label}.NAME`;
  return "everybody";
}

function begin(r) {
  const at = "drill";
  r.state.reach ??= "label";
  const wrong = r.state[at]?.error;
  const of = (p) => (wrong?.parameter === p ? wrong.message : null);
  const send = (event) => {
    event.preventDefault();
    const v = taken(event.currentTarget, at);
    const { effect, scope, name, owner, reason, demand } = v;
    const body = { effect, scope, name, for: v.for, owner, reason };
    if (demand) body.demand = demand;
    if (v["max-errors"]) body["max-errors"] = v["max-errors"];
    if (v.reach === "canary") body.canary = v.canary;
    if (v.reach === "label") body.label = true;
    if (v["break-glass"]) body["break-glass"] = v["break-glass"];
    return act(r, at, {
      path: "/v1/drills",
      body,
      said: (d) => ({ text: `Drill ${d.id}: ${deed(d)}.` }),
      after: (d) => {
        location.hash = `#/${path("drills", d.id)}`;
      },
    });
  };
  return panel("Begin a drill", { id: "begin", note: "It begins only if it is safe, ends by itself, and is rolled back when it goes wrong." },
    h("form", { class: "form", id: "drill", onsubmit: send },
      field("What is done", `${at}-effect`, { kind: "select", options: [["fail", "Fail: treated as down"], ["drain", "Drain: no new clients"]], error: of("effect") }),
      field("To which kind of thing", `${at}-scope`, { kind: "select", options: ["region", "pool", "endpoint"], value: r.query.what ?? "region", error: of("scope") }),
      field("Called", `${at}-name`, { required: true, value: r.query.name ?? "", spellcheck: "false", error: of("name") }),
      field("For whom", `${at}-reach`, { kind: "select", value: r.state.reach, onchange: (e) => { r.state.reach = e.target.value; r.render(); }, options: [["label", "Only who asks for the drill's label"], ["canary", "Only a canary network"], ["all", "Everybody: production moves"]] }),
      r.state.reach === "canary" && field("Canary network", `${at}-canary`, { required: true, placeholder: "192.0.2.0/24", error: of("canary") }),
      reasons(r, at, { ends: false }),
      field("For", `${at}-for`, { required: true, placeholder: "2m", hint: "From 1s to 24h.", error: of("for") }),
      field("Demand", `${at}-demand`, { placeholder: "60%", hint: "This share of each name's capacity must go on serving.", error: of("demand") }),
      field("Most errors", `${at}-max-errors`, { placeholder: "5%", hint: "More requests answered with 5xx than that, and it is rolled back.", error: of("max-errors") }),
      outcome(r, at), submit(r, at, "Begin", { danger: r.state.reach === "all" })));
}

export function render(r, data) {
  return [
    heading("Drills", "A failure rehearsed on purpose: time-boxed, safe by rule, with a report."),
    h("div", { class: "stack" },
      h("section", { class: "panel flush", "aria-label": "Drills" },
        table("Drills", [
          { name: "Drill", cell: (d) => link(path("drills", d.id), d.id) },
          { name: "State", cell: standing },
          { name: "What", cell: deed },
          { name: "For whom", cell: whom },
          { name: "Begun", cell: (d) => clock(d.begun ?? d.planned) },
          { name: "Ends", num: true, cell: (d) => (running(d) ? `in ${span(d.ends_in_ms / 1000)}` : clock(d.over)) },
          { name: "By", cell: (d) => d.owner },
          { name: "Reason", wrap: true, cell: (d) => d.reason },
        ], data.drills, { key: (d) => d.id, none: "No drill yet. What is not rehearsed does not work on the day." })),
      begin(r)),
  ];
}
