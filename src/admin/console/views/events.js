// What happened, newest first, as it happens.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { clock, date } from "../lib/format.js";
import { badge, empty, heading, notice } from "../lib/parts.js";
import { filters } from "../lib/paging.js";

export const title = () => "Events";
/** New ones come by the stream; the list is read again only where that is lost. */
export const calm = 4000;

/** Most events that are kept on the page. */
const MOST = 500;

export async function load(r) {
  const { kind, subject, level } = r.query;
  const page = await get("/v1/events", { query: { kind, subject, level, limit: 100 }, signal: r.abort.signal });
  const older = r.state.older ?? [];
  r.state.next = older.length ? r.state.next : page.next;
  const seen = new Set(page.events.map((e) => e.number));
  return { partial: page.partial ?? (older.length ? r.state.partial : null), events: [...page.events, ...older.filter((e) => !seen.has(e.number))] };
}

/** Where the page begins that is older than what is shown. */
async function more(r) {
  const { kind, subject, level } = r.query;
  const page = await get("/v1/events", { query: { kind, subject, level, limit: 100, before: r.state.next } });
  r.state.older = [...(r.state.older ?? []), ...r.data.events, ...page.events].slice(0, MOST);
  r.state.next = page.next;
  r.state.partial = page.partial;
  r.data = { partial: page.partial ?? r.data.partial, events: [...r.data.events, ...page.events].slice(0, MOST) };
  r.render();
}

const LEVELS = { info: "idle", notice: "idle", warning: "warn", error: "bad" };

/** The text, with what it is about in bold: before it where it does not say so itself. */
function told({ subject, text }) {
  const at = subject ? text.search(new RegExp(`(^|[^\\w.-])${subject.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?![\\w-])`)) : -1;
  if (at < 0) return [h("strong", {}, subject), " ", text];
  const from = text.indexOf(subject, at);
  return [text.slice(0, from), h("strong", {}, subject), text.slice(from + subject.length)];
}

/** A list of events. */
export function events_list(events, { compact } = {}) {
  return h(
    "ol",
    { class: compact ? "timeline compact" : "timeline", "aria-label": "Events, newest first" },
    events.map((e) =>
      h(
        "li",
        { key: e.number },
        h("time", { datetime: date(e.at)?.toISOString() }, clock(e.at)),
        badge(e.level ?? "info", e.kind, LEVELS[e.level] ?? "idle"),
        h("span", { class: "what" }, told(e), e.node && h("span", { class: "quiet" }, ` (${e.node})`)),
      ),
    ),
  );
}

const KINDS = ["verdict", "stale", "brake", "failback", "vantage", "fail-open", "order", "config", "drill", "member", "refused", "node"];

export function render(r, { events, partial }) {
  return [
    heading("Events", "What changed on this node and in the fleet: verdicts, orders, configurations, drills, members."),
    filters(r, [
      ["Kind", "kind", [["", "All kinds"], ...KINDS]],
      ["Level", "level", [["", "All levels"], ["info", "info and above"], ["warning", "warning and above"], ["error", "error"]]],
      ["Subject", "subject"],
    ]),
    r.world.live === "polling" && notice("warn", h("p", {}, "The event stream is lost; the list is read every few seconds.")),
    partial && notice("warn", h("p", {}, partial)),
    h("section", { class: "panel flush", "aria-label": "Events" }, events.length ? events_list(events) : empty("No event matches.")),
    r.state.next && events.length < MOST && h("div", { class: "pager" }, h("button", { type: "button", onclick: () => more(r) }, "Older events")),
  ];
}
