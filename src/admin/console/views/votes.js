// Who says what of which endpoint, and how it went lately.

import { get, maybe } from "../lib/api.js";
import { strip } from "../lib/chart.js";
import { h } from "../lib/dom.js";
import { date, ms, span } from "../lib/format.js";
import { filters, at, pager } from "../lib/paging.js";
import { badge, heading, link, panel, path, table, tone } from "../lib/parts.js";
import { change_kind } from "./world.js";

export const title = () => "Votes";

/** How far the strips look back. */
const BACK_MS = 15 * 60_000;
/** Endpoints whose history is asked for at a time. */
const STRIPS = 25;
/** A strip is asked for again after this. */
const FRESH_MS = 15_000;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const data = await get("/v1/votes", { ...o, query: at(r, { q: r.query.q, pool: r.query.pool }) });
  r.state.strips ??= new Map();
  const now = Date.now();
  const old = data.endpoints.slice(0, STRIPS).filter((e) => !((r.state.strips.get(e.endpoint)?.read ?? 0) > now - FRESH_MS));
  await Promise.all(old.map(async (e) => {
    const name = e.endpoint;
    const got = await maybe(`/v1/${path("endpoints", name)}/history`, { ...o, query: { limit: 50 } });
    r.state.strips.set(name, { read: now, history: got?.changes ?? [] });
  }));
  return data;
}

/** History as a strip that ends now, in today's state where nothing changed. */
export function history_strip(history, state) {
  const to = Date.now();
  const from = to - BACK_MS;
  const rows = [...(history ?? [])].sort((a, b) => date(a.at) - date(b.at));
  const parts = rows.map((x, i) => ({ from: date(x.at).getTime(), to: rows[i + 1] ? date(rows[i + 1].at).getTime() : to, kind: change_kind(x) }));
  if (!parts.length) parts.push({ from, to, kind: tone(state) });
  else if (parts[0].from > from) parts.unshift({ from, to: parts[0].from, kind: "idle" });
  const changes = rows.filter((x) => date(x.at) > from).length;
  return strip(parts.filter((p) => p.to > from), from, to, `Last 15 minutes: ${changes === 0 ? `${state} throughout` : `${changes} changes, ${state} now`}`);
}

function vote(v) {
  if (!v) return h("span", { class: "quiet" }, "—");
  const about = [v.weakness, v.failures && `${v.failures} failures`, !v.counts && "does not count"].filter(Boolean).join(", ");
  return h("span", { title: about || null }, badge(v.opinion, v.weakness ? `${v.opinion}, ${v.weakness}` : v.opinion), v.rtt_ms !== null && h("span", { class: "quiet num" }, ` ${ms(v.rtt_ms)}`));
}

export function render(r, data) {
  const vantages = data.vantages ?? [];
  const cols = [
    { name: "Endpoint", cell: (e) => link(path("endpoints", e.endpoint), e.endpoint) },
    { name: "Verdict", cell: (e) => h("span", { title: e.last_error }, badge(e.state), e.tally && h("span", { class: "quiet" }, ` ${e.tally.down} of ${e.tally.voting} down`)) },
    { name: "Last 15 min", cell: (e) => history_strip(r.state.strips.get(e.endpoint)?.history, e.state) },
    ...vantages.map((v, i) => {
      return { name: v.node, cell: (e) => vote(e.votes[i]) };
    }),
  ];
  return [
    heading("Votes", "What each vantage says of each endpoint. The verdict is a vote of sites, not of nodes."),
    filters(r, [["Find", "q"], ["Pool", "pool"]]),
    h("section", { class: "panel flush", "aria-label": "Votes" },
      table("Votes, vantages by endpoint", cols, data.endpoints, { key: (e) => e.endpoint, kind: "matrix", none: "No endpoint is voted on." }),
      pager(r, data.next)),
    vantages.length > 0 && panel("Vantages", { id: "vantages", note: `Quorum: ${data.quorum}` },
      table("Vantages", [
        { name: "Node", cell: (v) => v.node },
        { name: "Site", cell: (v) => v.site },
        { name: "Worth", cell: (v) => v.worth },
        { name: "Heard", num: true, cell: (v) => (v.own ? "this node" : v.age_seconds === null ? "never" : `${span(v.age_seconds)} ago`) },
      ], vantages, { key: (v) => v.node })),
  ];
}
