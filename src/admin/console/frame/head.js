// The head of the page: where we are, how it is, and how to get anywhere.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { byName, number, plural } from "../lib/format.js";
import { badge, link, path } from "../lib/parts.js";

const found = { list: [], at: -1, open: false, asked: "" };

/** Puts the cursor into the search. */
export function jump() {
  document.getElementById("jump")?.focus();
}

/** Health in one badge. */
export function health(status) {
  if (!status) return null;
  const names = status.names ?? {};
  const e = status.endpoints ?? {};
  const last = names["last-resort"] ?? 0;
  if (last) return badge("bad", `${plural(last, "name")} at the last resort`, "bad");
  if (names.degraded) return badge("degraded", `${plural(names.degraded, "name")} degraded`);
  if (e.down) return badge("down", `${plural(e.down, "endpoint")} down`);
  if (names.held) return badge("held", `${plural(names.held, "name")} held`);
  if (status.warnings?.length) return badge("warning", plural(status.warnings.length, "warning"));
  return badge("ok", "All well");
}

function live(world) {
  if (world.lost && world.live === "live") return h("span", { class: "live", id: "live", title: "The stream is open, but the node does not answer" }, badge("polling", "No answer"));
  switch (world.live) {
    case "live":
      return h("span", { class: "live", id: "live", title: "Changes arrive as they happen" }, badge("live", "Live"));
    case "polling":
      return h("span", { class: "live", id: "live", title: world.why }, badge("polling", "Polling, stream lost"));
    default:
      return h("span", { class: "live", id: "live" }, badge("none", "Connecting"));
  }
}

/** The head. */
export function head(world, act) {
  const status = world.status;
  const theme = document.documentElement.dataset.theme;
  const who = world.who;
  return [
    h("a", { class: "brand", href: "#/" }, h("img", { src: "icon.svg", alt: "", width: 27, height: 27 }), "Tradewind"),
    h(
      "button",
      { class: "menu", id: "menu", type: "button", "aria-expanded": String(document.getElementById("nav").classList.contains("shown")), "aria-controls": "nav", onclick: act.menu },
      "Views",
    ),
    h(
      "div",
      { class: "head-facts facts-now" },
      status && h("span", { key: "node" }, h("span", { class: "quiet" }, "Node "), link(path("nodes"), status.node)),
      status && h("span", { key: "generation", class: "num" }, h("span", { class: "quiet" }, "Generation "), h("span", { id: "generation" }, number(status.generation))),
      h("span", { key: "live" }, live(world)),
      status && h("span", { key: "health" }, h("a", { href: "#/" }, world.lost ? badge("unknown", "Not known now") : health(status))),
    ),
    h("span", { class: "grow" }),
    search(),
    h(
      "div",
      { class: "head-facts me", key: "me" },
      who?.name &&
        h(
          "span",
          { key: "who" },
          who.name,
          h("span", { class: "quiet" }, ` (${who.role})`),
          who.by === "session" && h("button", { class: "plain small", type: "button", onclick: act.leave }, "Sign out"),
        ),
    ),
    h(
      "label",
      { class: "theme", key: "theme" },
      h("span", { class: "hidden" }, "Theme"),
      h(
        "select",
        { id: "theme", value: theme, onchange: (e) => act.theme(e.target.value) },
        [["auto", "Auto"], ["light", "Light"], ["dark", "Dark"]].map(([v, t]) => h("option", { value: v, key: v }, t)),
      ),
    ),
  ];
}

/** A combobox (WAI-ARIA APG) over names, pools, endpoints and regions. */
function search() {
  return h(
    "div",
    { class: "jump", key: "jump", onfocusout: () => setTimeout(close, 150) },
    h("label", { class: "hidden", for: "jump" }, "Jump to a name, pool, endpoint or region"),
    h("input", {
      id: "jump",
      type: "search",
      placeholder: "Jump to… ( / )",
      autocomplete: "off",
      spellcheck: "false",
      role: "combobox",
      "aria-expanded": String(found.open),
      "aria-controls": "found",
      "aria-autocomplete": "list",
      "aria-activedescendant": found.open && found.at >= 0 ? `found-${found.at}` : null,
      oninput: (e) => ask(e.target.value),
      onkeydown: keys,
    }),
    h("ul", { id: "found", class: found.open ? "found" : "hidden", role: "listbox", "aria-label": "Found" }, options()),
  );
}

const options = () =>
  found.list.map((f, i) =>
    h(
      "li",
      { id: `found-${i}`, role: "option", "aria-selected": String(i === found.at), onmousedown: () => go(f) },
      h("span", {}, f.text),
      h("span", { class: "quiet" }, f.kind),
    ),
  );

function paint() {
  const box = document.querySelector(".jump");
  const fresh = search();
  const [list, input] = [box.querySelector("#found"), box.querySelector("#jump")];
  const next = fresh.querySelector("#found");
  list.className = next.className;
  list.replaceChildren(...next.childNodes);
  input.setAttribute("aria-expanded", String(found.open));
  const active = fresh.querySelector("#jump").getAttribute("aria-activedescendant");
  if (active) input.setAttribute("aria-activedescendant", active);
  else input.removeAttribute("aria-activedescendant");
}

function close() {
  if (!found.open) return;
  found.open = false;
  paint();
}

function go(f) {
  close();
  document.getElementById("jump").value = "";
  location.hash = `#/${f.to}`;
}

function keys(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && found.list.length) {
    event.preventDefault();
    found.open = true;
    found.at = (found.at + step + found.list.length) % found.list.length;
    paint();
    document.getElementById(`found-${found.at}`)?.scrollIntoView({ block: "nearest" });
  } else if (event.key === "Enter" && found.list.length) {
    event.preventDefault();
    go(found.list[Math.max(0, found.at)]);
  } else if (event.key === "Escape") close();
}

/** Most of each kind. */
const MOST = 6;

/** After the last key. */
const REST_MS = 120;
let due;

function ask(text) {
  clearTimeout(due);
  due = setTimeout(() => look(text), REST_MS);
}

async function look(text) {
  const wanted = text.trim().toLowerCase();
  found.asked = wanted;
  if (!wanted) {
    found.list = [];
    close();
    return;
  }
  const take = (list, kind, to) =>
    list
      .filter((n) => n.toLowerCase().includes(wanted))
      .sort((a, b) => a.toLowerCase().indexOf(wanted) - b.toLowerCase().indexOf(wanted) || byName(a, b))
      .slice(0, MOST)
      .map((n) => ({ text: n, kind, to: to(n) }));
  const nothing = () => null;
  const [names, regions, pools, endpoints] = await Promise.all([
    get("/v1/names", { query: { q: wanted, limit: 20 } }).catch(nothing),
    get("/v1/regions").catch(nothing),
    get("/v1/pools", { query: { q: wanted, limit: 20 } }).catch(nothing),
    get("/v1/endpoints", { query: { q: wanted, limit: 20 } }).catch(nothing),
  ]);
  if (found.asked !== wanted) return;
  found.list = [
    ...take((names?.names ?? []).map((n) => n.name), "name", (n) => path("names", n)),
    ...take((regions?.regions ?? []).map((x) => x.name), "region", (n) => path("regions", n)),
    ...take((pools?.pools ?? []).map((x) => x.name), "pool", (n) => path("pools", n)),
    ...take((endpoints?.endpoints ?? []).map((x) => x.name), "endpoint", (n) => path("endpoints", n)),
  ];
  found.at = found.list.length ? 0 : -1;
  found.open = found.list.length > 0;
  paint();
}
