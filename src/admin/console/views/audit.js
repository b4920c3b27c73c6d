// What was ordered, by whom, and what became of it.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { badge, heading, notice, paged, table } from "../lib/parts.js";

export const title = () => "Audit";
export const calm = 3000;

export async function load(r) {
  return get("/v1/audit", { query: { limit: 500 }, signal: r.abort.signal });
}

const KINDS = { refused: "bad", quarantined: "bad", lost: "warn", replaced: "warn", expired: "idle", ordered: "good" };

export function render(r, data) {
  const page = paged(r, data.audit, 50);
  return [
    heading("Audit", "Every change that somebody asked for, and every refusal, latest first."),
    data.missing?.length > 0 && notice("warn", h("p", {}, `No answer of ${data.missing.join(", ")}: what only they wrote down is not here.`)),
    h("section", { class: "panel flush", "aria-label": "Audit" },
      table("Audit record", [
        { name: "At", cell: (x) => clock(x.at) },
        { name: "What", cell: (x) => badge(x.event, x.event, KINDS[x.event] ?? "idle") },
        { name: "Who", cell: (x) => x.owner },
        { name: "Node", cell: (x) => x.node },
        data.audit.some((x) => x.records?.length > 1) && { name: "Written down on", cell: (x) => x.records?.join(", ") },
        { name: "Text", wrap: true, cell: (x) => x.text },
      ].filter(Boolean), page.rows, { none: "Nobody has ordered anything yet." }),
      page.bar),
  ];
}
