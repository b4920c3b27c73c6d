// All steered names.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, span } from "../lib/format.js";
import { at, filters, pager } from "../lib/paging.js";
import { badge, heading, link, path, table } from "../lib/parts.js";

export const title = () => "Names";

export async function load(r) {
  const { q, standing } = r.query;
  return get("/v1/names", { query: at(r, { q, standing }), signal: r.abort.signal });
}

export const ttl = (n) => (n.ttl_min === n.ttl_max ? `${n.ttl_min} s` : `${n.ttl_min}–${n.ttl_max} s`);

export function render(r, data) {
  return [
    heading("Names", "Each name has a policy, which orders its pools for every client."),
    filters(r, [
      ["Find", "q"],
      ["Standing", "standing", [["", "All"], "normal", "held", "degraded", "last-resort"]],
    ]),
    h(
      "section",
      { class: "panel flush", "aria-label": "Names" },
      table(
        "Steered names",
        [
          { name: "Name", cell: (n) => link(path("names", n.name), n.name) },
          { name: "Now", cell: (n) => (n.standing ? badge(n.standing) : null) },
          { name: "Policy", cell: (n) => n.policy },
          { name: "Pools", cell: (n) => h("span", { class: "chips" }, n.pools.slice(0, 6).map((p) => h("span", { class: "chip" }, p.pool ?? p)), n.pools.length > 6 && h("span", { class: "quiet" }, `and ${n.pools.length - 6} more`)) },
          { name: "Types", cell: (n) => n.types.join(", ") },
          { name: "TTL", num: true, cell: ttl },
          { name: "Plans", num: true, cell: (n) => number(n.plans) },
          { name: "Worst-case failover", num: true, cell: (n) => (n.failover ? span(n.failover.worst_case_seconds) : "—") },
        ],
        data.names,
        { key: (n) => n.name, none: r.query.q ? `No name has “${r.query.q}” in it.` : "The configuration steers no name." },
      ),
      pager(r, data.next),
    ),
  ];
}
