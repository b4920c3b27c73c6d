// One drill: how it goes, and its report.

import { get, maybe, send } from "../lib/api.js";
import { act, outcome } from "../lib/act.js";
import { h, toast } from "../lib/dom.js";
import { clock, date, span } from "../lib/format.js";
import { badge, bar, facts, heading, notice, panel, path } from "../lib/parts.js";
import { phase, subject } from "./drills.js";

export const title = (r) => `Drill ${r.args.name}`;
export const calm = 1000;

export async function load(r) {
  const o = { signal: r.abort.signal };
  const own = `/v1/${path("drills", r.args.name)}`;
  const [drill, report] = await Promise.all([get(own, o), maybe(`${own}/report`, o)]);
  return { drill, report };
}

const running = (d) => !["ended", "aborted", "done", "failed", "refused", "cancelled", "completed"].includes(phase(d));

async function save(r) {
  try {
    const text = await get(`/v1/${path("drills", r.args.name)}/report`, { accept: "text/markdown" });
    const at = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
    const a = h("a", { href: at, download: `${r.args.name}.md` });
    a.click();
    setTimeout(() => URL.revokeObjectURL(at), 1000);
  } catch (error) {
    toast(error.message, "bad");
  }
}

export { send };

function progress(d) {
  const begun = date(d.begun ?? d.began ?? d.started)?.getTime();
  const ends = date(d.ends)?.getTime();
  if (!running(d) || !begun || !ends) return null;
  const share = (Date.now() - begun) / (ends - begun);
  return bar(share, `${span(Math.max(0, (ends - Date.now()) / 1000))} left`, "warn");
}

/** A report's figures, whatever it has: times in seconds, shares, words. */
function flat(value, prefix = "") {
  if (value === null || typeof value !== "object") return [[prefix, value === null ? "—" : String(value)]];
  if (Array.isArray(value)) return value.every((v) => typeof v !== "object") ? [[prefix, value.join(", ") || "—"]] : [];
  return Object.entries(value).flatMap(([k, v]) => flat(v, prefix ? `${prefix}: ${words(k)}` : words(k)));
}

const words = (k) => k.replace(/[_-]/g, " ").replace(/^./, (c) => c.toUpperCase());

export function render(r, { drill: d, report }) {
  const steps = d.steps ?? d.progress ?? d.events ?? [];
  return [
    heading(`Drill ${d.id}`, `${subject(d)}. ${d.reason ?? ""}`,
      badge(phase(d)),
      running(d) && h("button", { type: "button", class: "danger", disabled: !r.may("operator"), onclick: () => act(r, "abort", { path: `/v1/${path("drills", d.id)}/abort`, body: {}, said: () => ({ text: `Drill ${d.id} is broken off.` }) }) }, "Abort"),
      report && h("button", { type: "button", onclick: () => save(r) }, "Save the report")),
    h("div", { class: "stack" },
      outcome(r, "abort", { glass: false }),
      d.why && notice("warn", h("p", {}, d.why)),
      panel("Now", { id: "now" }, progress(d), facts([
        ["State", phase(d)],
        ["Begun", clock(d.begun ?? d.began ?? d.started)],
        ["Ends", clock(d.ended ?? d.ends)],
        ["By", d.owner],
        ["For whom", d.reach ?? d.canary ?? d.label ?? "everybody"],
      ])),
      panel("Progress", {}, steps.length
        ? h("ol", { class: "steps" }, steps.map((x) => h("li", {}, h("span", { class: "quiet" }, clock(x.at), " "), x.text ?? x.step)))
        : h("p", { class: "quiet" }, "Nothing yet.")),
      report && typeof report === "object" && panel("Report", {}, facts(flat(report).filter(([k]) => k).slice(0, 60)))),
  ];
}
