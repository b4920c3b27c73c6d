// The world, with regions on it and what flows between places.

import { h, s } from "./dom.js";
import { shape } from "./parts.js";

let world;
let asked;

/** Loads the outlines once; `again` is called when they are there. */
function outlines(again) {
  asked ??= fetch("vendor/countries-110m.json")
    .then((r) => r.json())
    .then((topology) => {
      const { topojson } = globalThis;
      world = {
        land: topojson.merge(topology, topology.objects.countries.geometries.filter((g) => g.id !== "010")),
        borders: topojson.mesh(topology, topology.objects.countries, (a, b) => a !== b),
      };
    })
    .catch(() => {
      asked = undefined;
    });
  asked.then(again);
}

const drawn = new Map();

/** The projection for a size, with the outlines as path data. */
function projected(width, height) {
  const id = `${width} ${height}`;
  if (!drawn.has(id)) {
    const { d3 } = globalThis;
    const frame = { type: "MultiPoint", coordinates: [[-168, -52], [178, -52], [-168, 74], [178, 74]] };
    const projection = d3.geoNaturalEarth1().fitExtent([[4, 4], [width - 4, height - 4]], frame);
    const path = d3.geoPath(projection).digits(1);
    drawn.set(id, { projection, path, land: path(world.land), borders: path(world.borders) });
  }
  return drawn.get(id);
}

const narrow = () => matchMedia("(max-width: 640px)").matches;

/** Height of labels, in the map's units. */
const LINE = 13;

/**
 * A map. `places`: `{name, at: [lon, lat], kind, size, note, to, ring}`; `arcs`: `{from, to: [lon, lat],
 * weight 0..1, kind, note}`; `points`: `{at, r, kind, note}`. `text` says in words what it shows.
 */
export function map(r, { title, text, places = [], arcs = [], points = [] }) {
  if (!world) {
    outlines(() => r.render());
    return h("div", { class: "map waiting" }, h("p", { class: "quiet" }, "Drawing the map…"));
  }
  const [width, height] = narrow() ? [460, 270] : [960, 440];
  const { projection, path, land, borders } = projected(width, height);
  const xy = (at) => projection(at);
  const ids = { title: `map-${title.replace(/\W+/g, "-")}`, text: `map-text-${title.replace(/\W+/g, "-")}` };
  return h(
    "figure",
    { class: "map" },
    s(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": `${ids.title} ${ids.text}` },
      s("title", { id: ids.title }, title),
      s("desc", { id: ids.text }, text),
      s("path", { class: "land", d: land }),
      s("path", { class: "borders", d: borders }),
      s("g", { class: "arcs" }, arcs.map((a) => arc(a, path, xy))),
      s("g", { class: "points" }, points.map((p) => point(p, xy))),
      s("g", { class: "places" }, spread(places, xy, width, height).map((p) => place(p))),
    ),
    h("figcaption", { class: "hidden" }, text),
  );
}

function arc({ from, to, weight, kind = "", note }, path, xy) {
  const [a, b] = [xy(from), xy(to)];
  const size = 1 + 5 * Math.sqrt(Math.max(0, Math.min(1, weight)));
  const far = Math.hypot(b[0] - a[0], b[1] - a[1]);
  if (far < 4) return s("circle", { class: `arc ${kind}`, cx: a[0], cy: a[1], r: 9, "stroke-width": size }, s("title", {}, note ?? ""));
  // Bowed upwards, so that there and back are two lines, and neighbours' line is not hidden beneath them.
  const mid = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2 - Math.max(far * 0.18, far < 60 ? 34 : 0)];
  return s(
    "path",
    { class: `arc ${kind}`, d: `M${a.map(r1)}Q${mid.map(r1)} ${b.map(r1)}`, "stroke-width": r1(size) },
    s("title", {}, note ?? ""),
  );
}

const r1 = (n) => Math.round(n * 10) / 10;

function point({ at, r = 3, kind = "", note }, xy) {
  const [x, y] = xy(at);
  return s("circle", { class: `point ${kind}`, cx: r1(x), cy: r1(y), r: r1(r) }, s("title", {}, note ?? ""));
}

const has_ring = (p) => p.ring !== undefined && p.ring !== null;

/** How far a place reaches from its middle. */
const reach = (p) => (p.size ?? 8) + (has_ring(p) ? 6 : 2);

const overlap = (a, b) => Math.max(0, Math.min(a.x + a.wide, b.x + b.wide) - Math.max(a.x, b.x)) * Math.max(0, Math.min(a.y + a.tall, b.y + b.tall) - Math.max(a.y, b.y));

/**
 * Gives each label the side of its place where it covers least of other places and labels: right, left, below,
 * above, and then further down.
 */
function spread(places, xy, width, height) {
  const out = places.map((p) => ({ ...p, xy: xy(p.at) })).sort((a, b) => a.xy[1] - b.xy[1]);
  const taken = out.map((p) => ({ x: p.xy[0] - reach(p), y: p.xy[1] - reach(p), wide: 2 * reach(p), tall: 2 * reach(p) }));
  for (const p of out) {
    const [x, y] = p.xy;
    const far = reach(p) + 3;
    const wide = Math.max(p.name.length * 7.6, (p.note ?? "").length * 6.3);
    const tall = (p.note ? 2 : 1) * LINE;
    const sides = [
      { anchor: "start", at: x + far, x: x + far, y: y - LINE / 2 - 2 },
      { anchor: "end", at: x - far, x: x - far - wide, y: y - LINE / 2 - 2 },
      { anchor: "middle", at: x, x: x - wide / 2, y: y + far },
      { anchor: "middle", at: x, x: x - wide / 2, y: y - far - tall },
      { anchor: "start", at: x + far, x: x + far, y: y + LINE },
      { anchor: "end", at: x - far, x: x - far - wide, y: y + LINE },
      { anchor: "start", at: x + far, x: x + far, y: y - LINE - tall },
      { anchor: "end", at: x - far, x: x - far - wide, y: y - LINE - tall },
      { anchor: "middle", at: x, x: x - wide / 2, y: y + far + tall },
    ];
    let best = null;
    for (const side of sides) {
      const box = { x: side.x, y: side.y, wide, tall };
      const outside = Math.max(0, -box.x) + Math.max(0, box.x + wide - width) + Math.max(0, -box.y) + Math.max(0, box.y + tall - height);
      const cost = taken.reduce((n, t) => n + overlap(box, t), 0) + outside * LINE * 4;
      if (!best || cost < best.cost - 1) best = { ...side, box, cost };
      if (best.cost < 1) break;
    }
    taken.push(best.box);
    p.label = { x: best.at, y: best.y + LINE - 3, anchor: best.anchor };
  }
  return out;
}

function place(p) {
  const { label, size = 8 } = p;
  const { anchor } = label;
  const body = [
    has_ring(p) && ring(size + 4, p.ring),
    s("circle", { class: "halo", r: size + 2 }),
    shape(p.kind, size),
    s("title", {}, p.title ?? p.name),
  ];
  return s(
    "g",
    { class: `place ${p.mark ?? ""}`, key: p.name },
    s("g", { transform: `translate(${r1(p.xy[0])},${r1(p.xy[1])})` }, body),
    s("text", { class: "place-name", x: r1(label.x), y: r1(label.y), "text-anchor": anchor }, p.name),
    p.note && s("text", { class: "place-note", x: r1(label.x), y: r1(label.y + LINE), "text-anchor": anchor }, p.note),
  );
}

/** How much of the capacity serves: a ring that is whole when all does. */
function ring(r, share) {
  const full = 2 * Math.PI * r;
  const part = Math.max(0, Math.min(1, share));
  return s(
    "g",
    { class: "ring", transform: "rotate(-90)" },
    s("circle", { class: "ring-track", r }),
    s("circle", { class: `ring-fill${share < 0.5 ? " low" : ""}`, r, "stroke-dasharray": `${r1(full * part)} ${r1(full)}` }),
  );
}

/** What the shapes mean. `signs` are of lines, points and rings: `[kind, text]`. */
export function legend(list, signs = []) {
  return h(
    "ul",
    { class: "legend", "aria-label": "Legend" },
    list.map(([kind, text]) =>
      h("li", {}, s("svg", { class: "glyph", viewBox: "-7 -7 14 14", "aria-hidden": "true" }, shape(kind)), text),
    ),
    signs.map(([kind, text]) => h("li", {}, s("svg", { class: "glyph", viewBox: "-7 -7 14 14", "aria-hidden": "true" }, SIGNS[kind]()), text)),
  );
}

const line = (kind, width) => s("path", { class: `arc ${kind}`, d: "M-7,3Q0,-5 7,3", "stroke-width": width });

const SIGNS = {
  ring: () => s("g", { class: "ring", transform: "rotate(-90)" }, s("circle", { class: "ring-track", r: 5 }), s("circle", { class: "ring-fill", r: 5, "stroke-dasharray": "21 31" })),
  flow: () => line("", 2.5),
  in: () => line("in", 2.5),
  out: () => line("out", 1.5),
  moved: () => line("moved", 2.5),
  point: () => s("circle", { class: "point", r: 4 }),
  client: () => s("circle", { class: "point client", r: 4 }),
};
