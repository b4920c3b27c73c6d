// One endpoint: its verdict, the votes behind it, and how it came to that.

import { get, maybe } from "../lib/api.js";
import { chart } from "../lib/chart.js";
import { h } from "../lib/dom.js";
import { ago, clock, date, ms, number, plural, span } from "../lib/format.js";
import { badge, empty, facts, field, heading, link, notice, panel, path, table } from "../lib/parts.js";
import { BACK, back, begun, pieces, span_of } from "../lib/past.js";
import { state } from "./endpoints.js";
import { change_kind } from "./world.js";

export const title = (r) => `Endpoint ${r.args.name}`;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const own = `/v1/${path("endpoints", r.args.name)}`;
  const [endpoint, history] = await Promise.all([get(own, o), maybe(`${own}/history`, { ...o, query: { since: `-${back(r)}`, limit: 500 } })]);
  return { endpoint, history };
}

/** Votes one by one. */
function votes_panel(v) {
  return h("section", { class: "panel flush", key: "votes", "aria-labelledby": "h-votes" },
    h("div", { class: "panel-head" }, h("h2", { id: "h-votes" }, "Votes"), h("p", { class: "quiet" }, `${v.down} of ${v.voting} sites say down; ${v.needed} are needed`)),
    table("Votes of the vantages", [
      { name: "Vantage", cell: (x) => x.vantage },
      { name: "Site", cell: (x) => x.site },
      { name: "Says", cell: (x) => badge(x.opinion, x.weakness ? `${x.opinion}, ${x.weakness}` : x.opinion) },
      { name: "Heard", num: true, cell: (x) => (x.age_seconds === null || x.age_seconds === undefined ? "this node" : `${span(x.age_seconds)} ago`) },
      { name: "Counts", cell: (x) => (x.counts ? "yes" : "no") },
      { name: "Worth", cell: (x) => x.worth },
    ], v.vantages, { key: (x) => x.vantage }));
}

/** State over time, and how the vantages voted. */
function history_panel(r, history) {
  const choose = field("Back", "back", { kind: "select", options: BACK, value: back(r), onchange: (e) => r.ask({ ...r.query, back: e.target.value }) });
  if (!history) return panel("History", { id: "history" }, choose, empty("There is no record to read now."));
  const rows = [...history.changes].sort((a, b) => date(a.at) - date(b.at));
  if (!rows.length) return panel("History", { id: "history" }, choose, history.partial && notice("warn", h("p", {}, history.partial)), empty("Nothing was recorded of it in this time."));
  const { from, to } = span_of(back(r));
  // A gap is a break in the lines: nothing is known of it.
  const points = pieces(history, from, to).flatMap((p) => [[p.from / 1000, p.change], [p.to / 1000, p.change]]);
  const times = points.map(([at]) => at);
  const serves = points.map(([, x]) => (x ? Number(x.healthy) : null));
  const share = points.map(([, x]) => (x?.votes.length ? x.votes.filter((v) => v.opinion === "up").length / x.votes.length : null));
  const voted = share.some((v) => v !== null);
  const changes = rows.filter((x) => date(x.at) > from).length;
  const text = `${plural(changes, "change")}; ${rows.at(-1).state} since ${clock(rows.at(-1).at)}.`;
  return panel("History", { id: "history", note: text },
    h("div", { class: "tools" }, choose),
    history.partial && notice("warn", h("p", {}, history.partial)),
    h("p", { class: "quiet" }, begun(history, from)),
    chart(`State of the endpoint over time. ${text}`, voted ? [times, serves, share] : [times, serves], { series: voted ? ["serves", "share of votes for up"] : ["serves"], unit: "", height: 150, range: [from / 1000, to / 1000] }),
    table("Changes of state", [
      { name: "At", cell: (x) => clock(x.at) },
      { name: "State", cell: (x) => h("span", { class: "chips" }, badge(x.state, x.state, x.healthy ? "good" : change_kind(x)), x.stale && badge("stale"), x.held && badge("held", `held: ${x.held}`)) },
      { name: "Votes", wrap: true, cell: (x) => x.votes.map((v) => `${v.vantage}: ${v.opinion}`).join(", ") || "—" },
      { name: "Cause", wrap: true, cell: (x) => (x.error && x.cause !== "passing" ? `${x.cause}: ${x.error}` : x.cause) },
    ], rows.slice(-20).reverse(), { key: (x) => `${x.at} ${x.state}`, tight: true }),
    rows.length > 20 && h("p", { class: "quiet" }, `The latest 20 of ${number(rows.length)}.`));
}

export function render(r, { endpoint: e, history }) {
  return [
    heading(`Endpoint ${e.name}`, e.cause, state(e), link(`overrides?scope=endpoint&name=${encodeURIComponent(e.name)}`, "Give an order"), link(`drills?what=endpoint&name=${encodeURIComponent(e.name)}`, "Rehearse its failure")),
    h("div", { class: "stack" },
      panel("Facts", {}, facts([
        ["Pool", link(path("pools", e.pool), e.pool)],
        e.region && ["Region", link(path("regions", e.region), e.region)],
        ["Address", e.address ? h("code", {}, e.address) : "none"],
        ["Serves", e.serves ? "yes" : "no"],
        ["Since", `${clock(e.since)}, ${ago(e.since)}`],
        ["Last probe", e.last_probe ? ago(e.last_probe) : "never from here"],
        ["Monitor", e.monitor ?? "none"],
        ["Weight", `${number(e.weight)}${e.backup ? ", a backup" : ""}`],
        ["Round-trip time", ms(e.rtt_ms)],
        ["Failures, passes", `${number(e.failures)}, ${number(e.passes)}`],
        e.share_percent !== undefined && ["Share of its clients", `${e.share_percent} %`],
        e.certificate_days !== null && e.certificate_days !== undefined && ["Certificate", `${e.certificate_days} days left`],
        e.held && ["Held", e.held],
        e.order && ["Order", `${e.order.kind} of ${e.order.subject} by ${e.order.owner}: ${e.order.reason}`],
        e.names?.length > 0 && ["Names", h("span", { class: "chips" }, e.names.slice(0, 8).map((n) => h("span", { class: "chip" }, link(path("names", n), n))), e.names_total > 8 && `and ${number(e.names_total - 8)} more`), true],
        e.last_error && ["Last error", e.last_error],
      ])),
      e.votes?.vantages && votes_panel(e.votes),
      e.sites?.length > 0 && h("section", { class: "panel flush", key: "sites", "aria-labelledby": "h-sites" },
        h("div", { class: "panel-head" }, h("h2", { id: "h-sites" }, "Round-trip times")),
        table("Round-trip times from each site", [
          { name: "Site", cell: (x) => x.site },
          { name: "Steers by", num: true, cell: (x) => ms(x.rtt_ms) },
          { name: "Newest", num: true, cell: (x) => ms(x.latest_ms) },
        ], e.sites, { key: (x) => x.site, tight: true })),
      history_panel(r, history)),
  ];
}
