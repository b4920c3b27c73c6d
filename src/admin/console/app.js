// The page: which view is shown, what keeps it new, and the frame around it.

import { forget, maybe, send, session } from "./lib/api.js";
import { repaint } from "./lib/chart.js";
import { h, say, show } from "./lib/dom.js";
import { follow } from "./lib/live.js";
import { NARROW, heading, loading, trouble } from "./lib/parts.js";
import { head, jump } from "./frame/head.js";
import { login } from "./frame/login.js";
import { GROUPS, find } from "./routes.js";

/** Between two readings of what is shown. */
const CALM_MS = 1000;
/** A node that did not answer is asked again after this. */
const AGAIN_MS = 5000;

const main = document.getElementById("main");
/** What all views may use. */
export const world = { status: null, lost: false, who: null, live: "connecting", why: "", missed: null };

let now = null;

/** The view that the address names. */
function place() {
  const raw = location.hash.replace(/^#\/?/, "");
  const at = raw.indexOf("?");
  const path = at < 0 ? raw : raw.slice(0, at);
  const query = Object.fromEntries(new URLSearchParams(at < 0 ? "" : raw.slice(at + 1)));
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = ["?"];
  }
  return { path, parts, query };
}

/** One visit of one view. */
class Visit {
  constructor(view, args, at) {
    Object.assign(this, { view, args, ...at, world, state: {}, data: null, error: null, ended: false });
    this.abort = new AbortController();
  }

  /** Reads again what the view shows. */
  async refresh() {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      this.data = await this.view.load(this);
      this.error = null;
    } catch (error) {
      if (this.ended) return;
      this.error = error;
    } finally {
      this.busy = false;
    }
    if (this.ended) return;
    this.render();
    if (this.again) {
      this.again = false;
      this.refresh();
    }
  }

  /** Shows it again with what is known. */
  render() {
    if (this.ended) return;
    const title = this.view.title(this);
    document.title = `${title} · Tradewind`;
    if (this.data === null) {
      show(main, [heading(title), this.error ? trouble(this.error, () => this.refresh()) : loading()]);
      return;
    }
    let made;
    try {
      made = this.view.render(this, this.data);
    } catch (error) {
      console.error(error);
      made = [heading(title), trouble(new Error(`This view cannot show the answer: ${error.message}`), () => this.refresh())];
    }
    show(main, [this.error && h("div", { class: "stack", key: "old" }, trouble(this.error, () => this.refresh())), made]);
  }

  /** Another query, without another visit. */
  ask(query) {
    this.query = query;
    const list = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== undefined && v !== ""));
    const text = list.toString();
    history.replaceState(null, "", `#/${this.path}${text ? `?${text}` : ""}`);
    return this.refresh();
  }

  /** Whether who sits here may do what takes this role. */
  may(role) {
    const rank = { viewer: 0, operator: 1, admin: 2 };
    return (rank[world.who?.role] ?? 2) >= rank[role];
  }

  end() {
    this.ended = true;
    this.abort.abort();
    this.view.leave?.(this);
  }
}

async function visit(moved) {
  const at = place();
  const { view, args, nav } = find(at.parts);
  now?.end();
  delete main.dataset.shown;
  now = new Visit(view, args, at);
  main.replaceChildren();
  now.render();
  menu(nav);
  nav_shown(false);
  const own = now;
  await own.refresh();
  if (own !== now) return;
  main.dataset.shown = `/${at.path}`;
  if (moved) {
    scrollTo(0, 0);
    document.getElementById("title")?.focus({ preventScroll: true });
    say(`${own.view.title(own)}, shown`);
  }
}

function menu(current) {
  show(
    document.getElementById("nav"),
    h(
      "div",
      { class: "nav-inner" },
      GROUPS.map(([name, list]) =>
        h(
          "section",
          { key: name, "aria-label": name },
          h("h2", {}, name),
          h(
            "ul",
            {},
            list.map(([to, text]) =>
              h("li", { key: to }, h("a", { href: `#/${to}`, "aria-current": current === to ? "page" : null }, text)),
            ),
          ),
        ),
      ),
    ),
  );
}

function nav_shown(on) {
  document.getElementById("nav").classList.toggle("shown", on);
  document.getElementById("menu")?.setAttribute("aria-expanded", String(on));
}

function frame() {
  show(
    document.getElementById("head"),
    head(world, {
      menu: () => nav_shown(!document.getElementById("nav").classList.contains("shown")),
      theme: (to) => {
        document.documentElement.dataset.theme = to;
        try {
          localStorage.setItem("theme", to);
        } catch {
          // It holds until the page is left.
        }
        frame();
        repaint();
      },
      leave: async () => {
        await send("DELETE", "/v1/session");
        forget();
        Object.assign(world, { who: null, status: null });
        await begin();
      },
      enter: () => login(begin),
    }),
  );
}

async function summary() {
  // What a node said that says nothing any more is not how things stand.
  let lost = false;
  const [status, who] = await Promise.all([
    maybe("/v1/status").catch(() => {
      lost = true;
      return world.status;
    }),
    maybe("/v1/session").catch(() => world.who),
  ]);
  world.lost = lost;
  // A stream may stay open without saying anything: it is not waited for.
  if (lost) setTimeout(changed, AGAIN_MS);
  world.status = status;
  world.who = who;
  frame();
}

let due;
let last = 0;

/** Reads what is shown again, soon and not too often. */
function changed() {
  // Who is not known is not told anything new.
  if (due || document.getElementById("login")) return;
  const wait = Math.max(CALM_MS, (now?.view.calm ?? CALM_MS) - (Date.now() - last));
  due = setTimeout(() => {
    due = undefined;
    last = Date.now();
    if (document.hidden) {
      world.missed = true;
      return;
    }
    summary();
    if (now && !now.view.still) now.refresh();
  }, wait);
}

let stream;

/** Begins, and begins again with other rights. */
async function begin() {
  await summary();
  listen();
  await visit(false);
}

/** Goes on after a session ended under a view: what was typed into it stays. */
async function resume() {
  if (!now?.data) return begin();
  await summary();
  listen();
  // That nobody was known is over.
  for (const form of Object.values(now.state)) if (form?.error?.status === 401) form.error = null;
  await now.refresh();
  return undefined;
}

function listen() {
  stream?.stop();
  stream = follow({
    changed,
    happened: (kind, data, id) => now?.view.happened?.(now, kind, data, id),
    state: (word, why) => {
      if (world.live !== word) say(word === "live" ? "Live again" : `Live updates lost: ${why}. Looking every 5 seconds.`);
      world.live = word;
      world.why = why ?? "";
      frame();
    },
  });
}

session.wanted = () => login(resume);
addEventListener("hashchange", () => visit(true));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && world.missed) {
    world.missed = false;
    changed();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
let width = innerWidth;
addEventListener("resize", () => {
  if (NARROW.some((at) => width <= at !== innerWidth <= at)) now?.render();
  width = innerWidth;
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    jump();
  }
  // The views, where they are behind a button.
  if (event.key === "Escape" && document.getElementById("nav").classList.contains("shown")) {
    nav_shown(false);
    document.getElementById("menu").focus();
  }
});

menu("");
frame();
begin();
