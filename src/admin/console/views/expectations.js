// What the configuration promises of its answers, as it was tried when it was loaded.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { at, pager } from "../lib/paging.js";
import { badge, heading, table } from "../lib/parts.js";

export const title = () => "Expectations";
/** They change by a reload only. */
export const calm = 5000;

export async function load(r) {
  return get("/v1/expectations", { query: at(r), signal: r.abort.signal });
}

export function render(r, data) {
  return [
    heading("Expectations", "Tests in the configuration: who must get which answer, also with something down. A configuration that breaks one is refused.",
      data.total > 0 && badge(data.broken ? "fails" : "holds", data.broken ? `${number(data.broken)} broken` : `all ${number(data.total)} hold`)),
    h("section", { class: "panel flush", "aria-label": "Expectations" },
      table("Expectations", [
        { name: "Question", cell: (x) => x.question },
        { name: "Holds", cell: (x) => badge(x.holds ? "holds" : "fails") },
        { name: "Wanted", wrap: true, cell: (x) => x.wanted },
        { name: "Answered", wrap: true, cell: (x) => x.got },
        { name: "Because", wrap: true, cell: (x) => x.because },
        { name: "Stands in", cell: (x) => h("code", {}, x.place) },
      ], data.expectations, { key: (x) => x.place, none: "The configuration has no [[expect]] table." }),
      pager(r, data.next)),
  ];
}
