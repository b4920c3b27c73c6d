// Who says what of which endpoint, and how it went lately.

import { get, maybe } from "../lib/api.js";
import { strip } from "../lib/chart.js";
import { h } from "../lib/dom.js";
import { date, ms, plural, span } from "../lib/format.js";
import { filters, at, pager } from "../lib/paging.js";
import { badge, heading, link, notice, panel, path, table } from "../lib/parts.js";
import { BACK, back, back_word, begun, pieces, span_of } from "../lib/past.js";
import { change_kind } from "./world.js";

export const title = () => "Votes";

/** The strips are asked for again after this, and where the record is read for longer. */
const FRESH_MS = { "15m": 10_000, "1h": 15_000 };
const RARELY_MS = 30_000;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const wanted = at(r, { q: r.query.q, pool: r.query.pool });
  const about = JSON.stringify([wanted, back(r)]);
  const old = r.state.strips;
  const fresh = old?.about === about && old.read > Date.now() - (FRESH_MS[back(r)] ?? RARELY_MS);
  const [data, history] = await Promise.all([
    get("/v1/votes", { ...o, query: wanted }),
    fresh ? old.history : maybe("/v1/votes/history", { ...o, query: { ...wanted, since: `-${back(r)}` } }),
  ]);
  if (!fresh) r.state.strips = { about, read: Date.now(), history };
  const { endpoints = [], ...whole } = history ?? {};
  return { ...data, past: new Map(endpoints.map((e) => [e.endpoint, { ...whole, changes: e.changes }])), whole: history && whole };
}

const OPINIONS = { up: "good", none: "idle" };

/** The verdict over time; of a time that is not recorded, a thin line. */
function verdict_strip(past, state, wanted) {
  const { from, to } = span_of(wanted);
  const all = past ? pieces(past, from, to) : [];
  const changes = past?.changes.filter((x) => date(x.at) > from).length ?? 0;
  const said = !all.some((p) => p.change) ? "not recorded" : changes === 0 ? `${state} throughout` : `${plural(changes, "change")}, ${state} now`;
  return strip(all.map((p) => ({ ...p, kind: p.change ? change_kind(p.change) : "idle" })), from, to, `Last ${back_word(wanted)}: ${said}`);
}

/** What one vantage said over time. */
function vote_strip(past, node, wanted) {
  const { from, to } = span_of(wanted);
  const said = (x) => x?.votes.find((v) => v.vantage === node)?.opinion;
  const all = past ? pieces(past, from, to).map((p) => ({ ...p, opinion: said(p.change) })) : [];
  if (!all.some((p) => p.opinion)) return null;
  const down = all.filter((p) => p.opinion && !(p.opinion in OPINIONS)).reduce((n, p) => n + p.to - p.from, 0);
  const text = down ? `said down for ${span(down / 1000)} of the last ${back_word(wanted)}` : `never said down in the last ${back_word(wanted)}`;
  return strip(all.map((p) => ({ ...p, kind: p.opinion ? (OPINIONS[p.opinion] ?? "bad") : "idle" })), from, to, `${node} ${text}`, "small");
}

function vote(v, line) {
  if (!v) return h("span", { class: "quiet" }, "—");
  const about = [v.weakness, v.failures && `${v.failures} failures`, !v.counts && "does not count"].filter(Boolean).join(", ");
  return h("span", { class: "vote", title: about || null }, h("span", {}, badge(v.opinion, v.weakness ? `${v.opinion}, ${v.weakness}` : v.opinion), v.rtt_ms !== null && h("span", { class: "quiet num" }, ` ${ms(v.rtt_ms)}`)), line);
}

export function render(r, data) {
  const vantages = data.vantages ?? [];
  const wanted = back(r);
  const { from } = span_of(wanted);
  const cols = [
    { name: "Endpoint", cell: (e) => link(path("endpoints", e.endpoint), e.endpoint) },
    { name: "Verdict", cell: (e) => h("span", { title: e.last_error }, badge(e.state), e.tally && h("span", { class: "quiet" }, ` ${e.tally.down} of ${e.tally.voting} down`)) },
    { name: `Last ${back_word(wanted)}`, cell: (e) => verdict_strip(data.past.get(e.endpoint), e.state, wanted) },
    ...vantages.map((v, i) => {
      return { name: v.node, cell: (e) => vote(e.votes[i], vote_strip(data.past.get(e.endpoint), v.node, wanted)) };
    }),
  ];
  return [
    heading("Votes", "What each vantage says of each endpoint. The verdict is a vote of sites, not of nodes."),
    filters(r, [["Find", "q"], ["Pool", "pool"], ["Back", "back", BACK]]),
    !data.whole && notice("warn", h("p", {}, "How it was is not to be had now.")),
    data.whole?.partial && notice("warn", h("p", {}, data.whole.partial)),
    data.whole && h("p", { class: "quiet", key: "begun" }, "A low bar is up, a high one down, a thin line is not recorded. ", begun(data.whole, from)),
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
