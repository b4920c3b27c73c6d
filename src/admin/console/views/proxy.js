// The regional proxy of this node: listeners, upstreams, backends, and orders about these.

import { maybe } from "../lib/api.js";
import { act, owner, reasons, outcome, submit, taken } from "../lib/act.js";
import { h } from "../lib/dom.js";
import { number, octets, percent, short, span } from "../lib/format.js";
import { badge, bar, empty, field, heading, panel, table } from "../lib/parts.js";

export const title = () => "Proxy";
export const calm = 2000;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [listeners, upstreams, caches, clients] = await Promise.all([
    maybe("/v1/proxy/listeners", o), maybe("/v1/proxy/upstreams", o), maybe("/v1/proxy/caches", o), maybe("/v1/proxy/clients", { ...o, query: { limit: 20 } }),
  ]);
  // Where there is none: who has one.
  const fleet = listeners || upstreams ? null : await maybe("/v1/fleet", o);
  return { listeners, upstreams, caches, clients, fleet };
}

/** Why there is nothing, and where there is. */
function none(r, fleet) {
  const others = (fleet?.members ?? []).filter((m) => m.roles.includes("proxy") && m.node !== fleet.node).map((m) => m.node);
  const node = r.world.status?.node;
  return h("section", { class: "panel" }, empty(
    `${node ? `Node ${node}` : "This node"} carries no traffic: it has not the role proxy in the configuration.`,
    h("p", {}, others.length ? `A proxy runs on ${others.join(", ")}: open the console there.` : "No other node of the fleet has that role either. Tradewind steers by DNS without it; a proxy is a choice.")));
}

const ACTIONS = [
  ["drain", "Drain: no new requests"],
  ["disable", "Disable: out of service"],
  ["enable", "Enable: serve again"],
  ["weight", "Weight"],
  ["remove", "Remove"],
];

const backend_said = (a) => ({ text: `${a.upstream}, ${a.backend}: ${a.said}. ${number(a.in_flight)} requests under way to it.`, kind: a.warnings?.length ? "warn" : "good", list: a.warnings ?? [] });

function quick(r, u, b) {
  const drained = b.orders.some((o) => o.kind === "drain" || o.kind === "disable");
  const action = drained ? "enable" : "drain";
  return h("button", { type: "button", class: "small", disabled: !r.may("operator"), "aria-label": `${drained ? "Enable" : "Drain"} backend ${b.name} of ${u.name}`,
    onclick: () => act(r, "quick", {
      path: `/v1/proxy/upstreams/${encodeURIComponent(u.name)}/backends/${encodeURIComponent(b.name)}`,
      body: { action, owner: owner(r.world) || "console", reason: `${drained ? "enabled" : "drained"} in the console` },
      said: backend_said,
    }) }, drained ? "Enable" : "Drain");
}

function upstream(r, u) {
  const id = `u-${u.name}`;
  const failed = (b) => Object.values(b.failed).reduce((n, v) => n + v, 0);
  return h("section", { class: "panel flush", key: id, "aria-labelledby": id },
    h("div", { class: "panel-head" },
      h("h3", { id }, u.name),
      badge(u.mode, u.mode),
      u.circuit && badge(u.circuit === "open" ? "bad" : u.circuit, `circuit ${u.circuit}`, u.circuit === "closed" ? "good" : u.circuit === "open" ? "bad" : "warn"),
      h("p", { class: "quiet" }, `${number(u.queue.waiting)} waiting, ${number(u.retries_refused)} retries refused`)),
    table(`Backends of ${u.name}`, [
      { name: "Backend", cell: (b) => b.name },
      { name: "State", cell: (b) => h("span", { class: "chips" }, badge(b.state), b.orders.map((o) => badge(o.kind))) },
      { name: "Address", cell: (b) => h("code", {}, b.address) },
      { name: "Weight", num: true, cell: (b) => (b.share_percent < 100 ? `${number(b.weight)} (${b.share_percent} %)` : number(b.weight)) },
      { name: "Under way", num: true, cell: (b) => (b.max_connections ? `${number(b.in_flight)} of ${number(b.max_connections)}` : number(b.in_flight)) },
      { name: "Requests", num: true, cell: (b) => short(b.requests) },
      { name: "Failed", num: true, cell: (b) => short(failed(b)) },
      { name: "Cause", wrap: true, cell: (b) => h("span", {}, b.cause, b.orders.length > 0 && h("span", { class: "quiet" }, ` (${b.orders.map((o) => `${o.kind} by ${o.owner}: ${o.reason}`).join("; ")})`)) },
      { name: "", head: h("span", { class: "hidden" }, "Act"), cell: (b) => quick(r, u, b) },
    ], u.backends, { key: (b) => b.name, none: "This upstream has no backend." }));
}

function backend_form(r, all) {
  const at = "backend";
  r.state.action ??= "drain";
  const list = all.flatMap((u) => u.backends.map((b) => [`${u.name}\n${b.name}`, `${u.name} / ${b.name}`]));
  const send = (event) => {
    event.preventDefault();
    const v = taken(event.currentTarget, at);
    const [u, b] = v.which.split("\n");
    const body = { action: v.action, owner: v.owner, reason: v.reason };
    if (v.action === "weight" && v.weight !== undefined) body.weight = Number(v.weight);
    return act(r, at, { path: `/v1/proxy/upstreams/${encodeURIComponent(u)}/backends/${encodeURIComponent(b)}`, body, said: backend_said });
  };
  return panel("Order about a backend", { id: "backend-order", note: "On this node's proxy only." },
    h("form", { class: "form", onsubmit: send },
      field("Backend", `${at}-which`, { kind: "select", options: list }),
      field("Order", `${at}-action`, { kind: "select", options: ACTIONS, value: r.state.action, onchange: (e) => { r.state.action = e.target.value; r.render(); } }),
      r.state.action === "weight" && field("Weight", `${at}-weight`, { kind: "number", min: 0, max: 1000000, step: 1, hint: "Empty: as configured." }),
      reasons(r, at, { ends: false }), outcome(r, at, { glass: false }), submit(r, at, "Give the order")));
}

export function render(r, { listeners, upstreams, caches, clients, fleet }) {
  if (!listeners && !upstreams) return [heading("Proxy"), none(r, fleet)];
  const ups = upstreams?.upstreams ?? [];
  return [
    heading("Proxy", "Listeners, upstreams and backends of the proxy on this node."),
    h("div", { class: "stack" },
      listeners && h("section", { class: "panel flush", "aria-labelledby": "h-listeners" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-listeners" }, "Listeners")),
        table("Listeners", [
          { name: "Listener", cell: (l) => l.name },
          { name: "Protocol", cell: (l) => l.protocol },
          { name: "Addresses", cell: (l) => h("span", { class: "chips" }, l.addresses.map((a) => h("code", { class: "chip" }, a))) },
          { name: "Open", num: true, cell: (l) => number(l.open) },
          { name: "Requests or connections", num: true, cell: (l) => (l.requests !== undefined ? short(l.requests) : short(l.total)) },
          { name: "In, out", num: true, cell: (l) => (l.received_bytes !== undefined ? `${octets(l.received_bytes)}, ${octets(l.sent_bytes)}` : "—") },
        ], listeners.listeners, { key: (l) => l.name, none: "No listener is configured." })),
      h("h2", {}, "Upstreams"),
      outcome(r, "quick", { glass: false }),
      ups.length ? ups.map((u) => upstream(r, u)) : empty("No upstream is configured."),
      ups.some((u) => u.backends.length) && backend_form(r, ups),
      caches?.caches?.length > 0 && h("section", { class: "panel flush", "aria-labelledby": "h-caches" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-caches" }, "Caches")),
        table("Caches", [
          { name: "Cache", cell: (c) => c.name },
          { name: "Used", cell: (c) => bar(c.used_bytes / Math.max(1, c.size_bytes), `${octets(c.used_bytes)} of ${octets(c.size_bytes)}`) },
          { name: "URLs", num: true, cell: (c) => number(c.urls) },
          { name: "Hits", num: true, cell: (c) => { const all = Object.values(c.requests).reduce((n, v) => n + v, 0); return all ? percent((c.requests.hit ?? 0) / all) : "—"; } },
        ], caches.caches, { key: (c) => c.name })),
      clients?.clients?.length > 0 && h("section", { class: "panel flush", "aria-labelledby": "h-clients" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-clients" }, "Client networks"), h("p", { class: "quiet" }, `${number(clients.known)} known`)),
        table("Round-trip times to client networks", [
          { name: "Network", cell: (c) => h("code", {}, c.prefix) },
          { name: "RTT", num: true, cell: (c) => `${c.rtt_ms.toFixed(1)} ms` },
          { name: "Sent again", num: true, cell: (c) => `${c.retransmit_percent.toFixed(1)} %` },
          { name: "Samples", num: true, cell: (c) => number(c.samples) },
          { name: "Last seen", num: true, cell: (c) => `${span(c.last_seen_seconds_ago)} ago` },
        ], clients.clients, { key: (c) => c.prefix }))),
  ];
}
