// All endpoints, and the table of them that other views use.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { clock, ms } from "../lib/format.js";
import { at, filters, pager } from "../lib/paging.js";
import { badge, heading, link, path, table } from "../lib/parts.js";

export const title = () => "Endpoints";

export async function load(r) {
  const { q, pool, region, state } = r.query;
  return get("/v1/endpoints", { query: at(r, { q, pool, region, state }), signal: r.abort.signal });
}

/** The state, with what an operator ordered. */
export const state = (e) =>
  h("span", { class: "chips" }, badge(e.state), e.verdict && e.verdict !== e.state && badge(e.verdict, `health says ${e.verdict}`), e.order && badge(e.order.kind, `${e.order.kind} of ${e.order.subject}`), e.held && badge("held"));

/** Endpoints as rows. */
export function endpoints_table(list) {
  return table("Endpoints", [
    { name: "Endpoint", cell: (e) => link(path("endpoints", e.name), e.name) },
    { name: "State", cell: state },
    { name: "Pool", cell: (e) => link(path("pools", e.pool), e.pool) },
    { name: "Address", cell: (e) => e.address && h("code", {}, e.address) },
    { name: "Since", num: true, cell: (e) => clock(e.since) },
    { name: "RTT", num: true, cell: (e) => ms(e.rtt_ms) },
    { name: "Cause", wrap: true, cell: (e) => e.cause },
  ], list, { key: (e) => e.name, none: "No endpoint matches." });
}

export function render(r, data) {
  return [
    heading("Endpoints", "An endpoint is an address that is answered, with the verdict about it."),
    filters(r, [
      ["Find", "q"],
      ["State", "state", [["", "All states"], "up", "down", "unknown", "stale", "drained", "disabled"]],
      ["Region", "region"],
      ["Pool", "pool"],
    ]),
    h("section", { class: "panel flush", "aria-label": "Endpoints" }, endpoints_table(data.endpoints), pager(r, data.next)),
  ];
}
