// One pool with its endpoints.

import { get, maybe } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { at, pager } from "../lib/paging.js";
import { facts, heading, link, panel, path } from "../lib/parts.js";
import { endpoints_table } from "./endpoints.js";
import { serving } from "./region.js";

export const title = (r) => `Pool ${r.args.name}`;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const [pool, endpoints] = await Promise.all([
    get(`/v1/${path("pools", r.args.name)}`, o),
    maybe("/v1/endpoints", { ...o, query: at(r, { pool: r.args.name }) }),
  ]);
  return { pool, endpoints };
}

export function render(r, { pool, endpoints }) {
  const names = pool.names ?? [];
  return [
    heading(`Pool ${pool.name}`, null, link(`overrides?scope=pool&name=${encodeURIComponent(pool.name)}`, "Give an order"), link(`drills?what=pool&name=${encodeURIComponent(pool.name)}`, "Rehearse its failure")),
    h("div", { class: "stack" },
      panel("Facts", {}, facts([
        ["Region", link(path("regions", pool.region), pool.region)],
        ["Serving", serving(pool)],
        ["Needed per family", number(pool.min_live)],
        ["Monitors", pool.monitors?.join(", ") || "none"],
        pool.capacity && ["Capacity that serves", `${number(pool.capacity.serving)} of ${number(pool.capacity.whole)} (${pool.capacity.percent} %)`],
        names.length > 0 && ["Names", h("span", { class: "chips" }, names.slice(0, 12).map((n) => h("span", { class: "chip" }, link(path("names", n), n))), (pool.names_total ?? names.length) > 12 && `and ${number((pool.names_total ?? names.length) - 12)} more`), true],
      ])),
      h("section", { class: "panel flush", "aria-labelledby": "h-endpoints" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-endpoints" }, "Endpoints")),
        endpoints_table(endpoints?.endpoints ?? []), endpoints && pager(r, endpoints.next))),
  ];
}
