// Rehearsals of failures: the form, and those there were.

import { get } from "../lib/api.js";
import { act, outcome, reasons, submit, taken } from "../lib/act.js";
import { h } from "../lib/dom.js";
import { clock, span } from "../lib/format.js";
import { badge, field, heading, link, panel, path, table } from "../lib/parts.js";

export const title = () => "Drills";
export const calm = 1500;

export async function load(r) {
  return get("/v1/drills", { signal: r.abort.signal });
}

export const subject = (d) => d.subject ?? [d.action ?? d.kind, d.scope, d.name].filter(Boolean).join(" ");
export const phase = (d) => d.state ?? d.phase ?? d.step;

function begin(r) {
  const at = "drill";
  r.state.reach ??= "label";
  const wrong = r.state[at]?.error;
  const of = (p) => (wrong?.parameter === p ? wrong.message : null);
  const send = (event) => {
    event.preventDefault();
    const v = taken(event.currentTarget, at);
    const body = { action: v.action, scope: v.scope, name: v.name, for: v.for, owner: v.owner, reason: v.reason };
    if (v.reach === "canary") body.canary = v.canary;
    if (v.reach === "label") body.label = true;
    if (v["break-glass"]) body["break-glass"] = v["break-glass"];
    return act(r, at, {
      path: "/v1/drills",
      body,
      said: (a) => ({ text: `Drill ${a.id} has begun.` }),
      after: (a) => { location.hash = `#/${path("drills", a.id)}`; },
    });
  };
  return panel("Begin a drill", { id: "begin", note: "It ends by itself, and is broken off when it goes wrong." },
    h("form", { class: "form", id: "drill", onsubmit: send },
      field("What fails", `${at}-scope`, { kind: "select", options: ["region", "pool", "endpoint"], value: r.query.what ?? "region", error: of("scope") }),
      field("Called", `${at}-name`, { required: true, value: r.query.name ?? "", spellcheck: "false", error: of("name") }),
      field("For whom", `${at}-reach`, { kind: "select", value: r.state.reach, onchange: (e) => { r.state.reach = e.target.value; r.render(); }, options: [["label", "Only who asks for the drill's label"], ["canary", "Only a canary network"], ["all", "Everybody: production moves"]] }),
      r.state.reach === "canary" && field("Canary network", `${at}-canary`, { required: true, placeholder: "192.0.2.0/24", error: of("canary") }),
      reasons(r, at, { hint: "How long, such as 2m." }),
      outcome(r, at), submit(r, at, "Begin", { danger: r.state.reach === "all" })));
}

export function render(r, data) {
  return [
    heading("Drills", "A failure rehearsed on purpose: time-boxed, safe by rule, with a report."),
    h("div", { class: "stack" },
      h("section", { class: "panel flush", "aria-label": "Drills" },
        table("Drills", [
          { name: "Drill", cell: (d) => link(path("drills", d.id), d.id) },
          { name: "State", cell: (d) => badge(phase(d)) },
          { name: "What fails", cell: subject },
          { name: "Begun", cell: (d) => clock(d.begun ?? d.began ?? d.started) },
          { name: "Ends", num: true, cell: (d) => (d.ends_in_seconds !== undefined && d.ends_in_seconds !== null ? `in ${span(d.ends_in_seconds)}` : clock(d.ended ?? d.ends)) },
          { name: "By", cell: (d) => d.owner },
          { name: "Reason", wrap: true, cell: (d) => d.reason },
        ], data.drills, { key: (d) => d.id, none: "No drill yet. What is not rehearsed does not work on the day." })),
      begin(r)),
  ];
}
