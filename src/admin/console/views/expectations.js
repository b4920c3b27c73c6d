// What the configuration promises of its answers, and whether that holds now.

import { maybe } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { badge, empty, heading, table } from "../lib/parts.js";

export const title = () => "Expectations";
export const calm = 3000;

export async function load(r) {
  return (await maybe("/v1/expectations", { signal: r.abort.signal })) ?? { expectations: [] };
}

export function render(r, data) {
  const list = data.expectations ?? [];
  return [
    heading("Expectations", "Tests in the configuration: who must get which answer, also with something down."),
    h("section", { class: "panel flush", "aria-label": "Expectations" },
      list.length
        ? table("Expectations", [
            { name: "Name", cell: (x) => x.name },
            { name: "Holds", cell: (x) => badge(x.holds ?? x.passed ? "holds" : "fails") },
            { name: "Client", cell: (x) => h("code", {}, x.client) },
            { name: "Down", cell: (x) => (x.down?.length ? x.down.join(", ") : "—") },
            { name: "Expected", cell: (x) => (Array.isArray(x.answer) ? x.answer.join(", ") : (x.answer ?? x.expected)) },
            { name: "Answered", wrap: true, cell: (x) => x.problem ?? (Array.isArray(x.got) ? x.got.join(", ") : (x.got ?? "—")) },
          ], list, {})
        : empty("The configuration has no [[expect]] table.")),
  ];
}
