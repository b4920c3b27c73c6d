// Orders in force, and forms to give, change and end them.

import { get, maybe, tag } from "../lib/api.js";
import { act, order_said, outcome, owner, reasons, submit, taken } from "../lib/act.js";
import { h } from "../lib/dom.js";
import { byName, clock, number, span } from "../lib/format.js";
import { badge, empty, field, heading, link, notice, panel, path, table } from "../lib/parts.js";
import { whom } from "./drills.js";

export const title = () => "Overrides";

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [orders, regions, pools, names, endpoints] = await Promise.all([
    get("/v1/overrides", o),
    get("/v1/regions", o),
    maybe("/v1/pools", { ...o, query: { limit: 200 } }),
    maybe("/v1/names", { ...o, query: { limit: 200 } }),
    maybe("/v1/endpoints", { ...o, query: { limit: 200 } }),
  ]);
  const of = (list) => (list ?? []).map((x) => x.name).sort(byName);
  const from_regions = regions.regions.flatMap((x) => x.pools.map((p) => p.name));
  return { orders, known: { region: of(regions.regions), pool: pools ? of(pools.pools) : from_regions, name: of(names?.names), endpoint: of(endpoints?.endpoints) } };
}

const KINDS = [
  ["drain", "Drain: no new clients"],
  ["disable", "Disable: out of service"],
  ["force-down", "Force down"],
  ["force-up", "Force up"],
  ["weight", "Weight"],
  ["failback", "Fail back now"],
  ["clear", "Clear: end the orders about it"],
];

const SCOPES = ["region", "pool", "endpoint", "name"];

/** Where an object of a scope is shown. */
const place = { region: "regions", pool: "pools", endpoint: "endpoints", name: "names" };

function give_form(r, { known }) {
  const at = "give";
  r.state.kind ??= r.query.kind ?? "drain";
  r.state.scope ??= r.query.scope ?? "region";
  const wrong = r.state[at]?.error;
  const of = (p) => (wrong?.parameter === p ? wrong.message : null);
  const send = (event) => {
    event.preventDefault();
    const v = taken(event.currentTarget, at);
    const match = tag("/v1/overrides");
    if (v.kind === "clear") {
      const query = { scope: v.scope, name: v.name, owner: v.owner, reason: v.reason, "break-glass": v["break-glass"] };
      return act(r, at, { method: "DELETE", path: "/v1/overrides", query, match, said: order_said });
    }
    const body = { ...v };
    if (v.kind === "weight") body.weight = Number(v.weight);
    else delete body.weight;
    return act(r, at, { method: "PUT", path: "/v1/overrides", body, match, said: order_said });
  };
  return panel("Give an order", { id: "give-an-order" },
    h("form", { class: "form", id: "give", onsubmit: send },
      field("Order", `${at}-kind`, { kind: "select", options: KINDS, value: r.state.kind, onchange: (e) => { r.state.kind = e.target.value; r.render(); } }),
      field("About a", `${at}-scope`, { kind: "select", options: SCOPES, value: r.state.scope, error: of("scope"), onchange: (e) => { r.state.scope = e.target.value; r.render(); } }),
      field("Called", `${at}-name`, { required: true, value: r.query.name ?? "", list: known[r.state.scope]?.slice(0, 200), spellcheck: "false", error: of("name") }),
      r.state.kind === "weight" && field("Weight", `${at}-weight`, { kind: "number", min: 0, max: 1000000, step: 1, required: true, error: of("weight") }),
      reasons(r, at, { ends: r.state.kind !== "clear" }),
      ["drain", "disable", "force-down"].includes(r.state.kind) &&
        field("Demand", `${at}-demand`, { placeholder: "60%", hint: "Refuse it unless this share of every name's capacity goes on serving.", error: of("demand") }),
      outcome(r, at),
      submit(r, at, r.state.kind === "clear" ? "Clear" : "Give the order")));
}

function switchover_form(r, { known }) {
  const at = "switch";
  const send = (event) => {
    event.preventDefault();
    const v = taken(event.currentTarget, at);
    const chosen = (list, kind) => (list ?? []).map((name) => ({ scope: "region", name, kind }));
    const ticked = (what) => [...event.currentTarget.querySelectorAll(`input[name="${what}"]:checked`)].map((i) => i.value);
    const orders = [...chosen(ticked("switch-drain"), "drain"), ...chosen(ticked("switch-clear"), "clear")];
    const { owner: by, reason, "for": ends, demand, "break-glass": glass } = v;
    return act(r, at, {
      path: "/v1/switchover",
      match: tag("/v1/overrides"),
      body: { orders, owner: by, reason, ...(ends && { for: ends }), ...(demand && { demand }), ...(glass && { "break-glass": glass }) },
      said: order_said,
    });
  };
  const boxes = (what, text) =>
    h("fieldset", { class: "wide", key: what }, h("legend", {}, text), h("div", { class: "members" },
      known.region.map((name) => h("label", { class: "member", key: name }, h("input", { type: "checkbox", name: what, value: name }), name))));
  return panel("Switchover", { id: "switchover", note: "Several orders as one: all of them or, when a rule would break, none." },
    h("form", { class: "form", id: "switch", onsubmit: send },
      boxes("switch-drain", "Drain these regions"), boxes("switch-clear", "Bring these back"),
      reasons(r, at),
      field("Demand", `${at}-demand`, { placeholder: "60%", hint: "Refuse it unless this share of every name's capacity goes on serving." }),
      outcome(r, at), submit(r, at, "Switch over")));
}

function clear(r, o) {
  return act(r, "quick", {
    method: "DELETE",
    path: "/v1/overrides",
    match: tag("/v1/overrides"),
    query: { scope: o.scope, name: o.name, class: { weight: "weight", failback: "failback" }[o.kind] ?? "state", owner: owner(r.world) || "console", reason: "cleared in the console" },
    said: order_said,
  });
}

const beneath = (b) =>
  !b
    ? badge("none", "this configuration has no such thing", "idle")
    : h("span", {}, `${number(b.up)} of ${number(b.endpoints)} up`, b.not_up.length > 0 && h("span", { class: "quiet" }, ` (${b.not_up.slice(0, 3).map((n) => `${n.endpoint}: ${n.last_error ?? n.state}`).join("; ")})`));

export function render(r, data) {
  const { orders } = data;
  return [
    heading("Overrides", "An operator's order outranks what probes say, and is shown apart from it."),
    h("div", { class: "stack" },
      !orders.durable && notice("warn", h("p", {}, "Orders do not outlive this process here: the node has no state directory.")),
      outcome(r, "quick", { glass: false }),
      h("section", { class: "panel flush", "aria-labelledby": "h-force" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-force" }, "In force")),
        table("Orders in force", [
          { name: "About", cell: (o) => h("span", {}, h("span", { class: "quiet" }, `${o.scope} `), link(path(place[o.scope], o.name), o.name)) },
          { name: "Order", cell: (o) => h("span", {}, badge(o.kind, o.weight === undefined ? o.kind : `weight ${number(o.weight)}`), o.drill && h("span", { class: "quiet" }, ` of a drill, for ${whom(o.drill)}`)) },
          { name: "Ends", num: true, cell: (o) => (o.ends_in_seconds === null ? "when cleared" : `in ${span(o.ends_in_seconds)}`) },
          { name: "By", cell: (o) => h("span", {}, o.owner, h("span", { class: "quiet" }, `, ${clock(o.given)}`)) },
          { name: "Reason", wrap: true, cell: (o) => h("span", {}, o.reason, o.break_glass && h("span", {}, " ", badge("warning", "broke a rule"), ` ${o.break_glass}`)) },
          { name: "Beneath", wrap: true, cell: (o) => beneath(o.beneath) },
          { name: "", head: h("span", { class: "hidden" }, "Act"), cell: (o) => o.drill ? link(path("drills", o.drill.id), `Drill ${o.drill.id}`) : h("button", { type: "button", class: "small", disabled: !r.may("operator"), "aria-label": `Clear ${o.kind} of ${o.scope} ${o.name}`, onclick: () => clear(r, o) }, "Clear") },
        ], orders.overrides, { key: (o) => o.id, none: "No order is in force: everything serves as configured and probed." })),
      orders.quarantined.length > 0 && panel("Kept, but not in force", { id: "quarantined", note: "The clock of the node that gave them is far ahead." },
        table("Quarantined orders", [
          { name: "Says", cell: (q) => q.says.join("; ") },
          { name: "By", cell: (q) => `${q.owner} on ${q.node}` },
          { name: "Ahead", num: true, cell: (q) => span(q.ahead_seconds) },
          { name: "Reason", wrap: true, cell: (q) => q.reason },
        ], orders.quarantined)),
      h("div", { class: "grid" }, give_form(r, data), data.known.region.length ? switchover_form(r, data) : empty("No regions."))),
  ];
}
