// Charts over time, and small strips beside numbers.

import { h, s } from "./dom.js";

/** A colour of the theme in force, as a canvas reads it. */
function colour(box, name) {
  box.style.color = `var(${name})`;
  const made = getComputedStyle(box).color;
  box.style.color = "";
  return made;
}

/** The times of an axis: with seconds or the day where these tell them apart. */
function times(plot, at) {
  const span = plot.scales.x.max - plot.scales.x.min;
  const day = span > 86_400;
  const how = { hour: "2-digit", minute: "2-digit", second: span < 300 ? "2-digit" : undefined };
  return at.map((t) => {
    const date = new Date(t * 1000);
    const clock = date.toLocaleTimeString("en-GB", how);
    return day ? `${date.toLocaleDateString("en-CA").slice(5)} ${clock}` : clock;
  });
}

function options(box, { series, unit, height = 180, stepped, range }) {
  const { uPlot } = globalThis;
  const css = (name) => colour(box, name);
  const lines = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"];
  const axis = { stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, font: "12px system-ui" };
  return {
    width: Math.max(220, box.clientWidth),
    height,
    cursor: { drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { time: true, ...(range && { range: () => box.what.range }) }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.1)] } },
    axes: [{ ...axis, space: 70, values: times }, { ...axis, size: 54, values: (_, v) => v.map((n) => `${n}${unit ?? ""}`) }],
    series: [
      { value: (_, t) => (t === null ? "—" : new Date(t * 1000).toLocaleTimeString("en-GB")) },
      ...series.map((label, i) => ({
        label,
        stroke: css(lines[i % lines.length]),
        width: 2,
        dash: i >= lines.length ? [6, 4] : undefined,
        paths: stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
        points: { show: false },
        value: (_, v) => (v === null ? "—" : `${Math.round(v * 10) / 10}${unit ?? ""}`),
      })),
    ],
  };
}

/** A chart: `data` is `[seconds[], series[], …]`. The `text` says the same in words. */
export function chart(text, data, what) {
  const box = h("div", { class: "chart", role: "img", "aria-label": text });
  const draw = () => {
    box.plot?.destroy();
    box.plot = new globalThis.uPlot(options(box, box.what), box.data, box);
  };
  Object.assign(box, { data, what });
  box.keep = (old, next) => {
    const kind = ({ range, ...rest }) => JSON.stringify([Boolean(range), rest]);
    const same = kind(old.what) === kind(next.what);
    Object.assign(old, { data: next.data, what: next.what });
    old.setAttribute("aria-label", next.getAttribute("aria-label"));
    if (!old.plot) return;
    if (same) old.plot.setData(old.data);
    else old.draw();
  };
  box.draw = draw;
  // Drawn once it has a size; again when that changes.
  const sized = new ResizeObserver(() => {
    if (!box.isConnected) {
      sized.disconnect();
      box.plot?.destroy();
    } else if (!box.plot) draw();
    else if (Math.abs(box.plot.width - box.clientWidth) > 2) {
      box.plot.setSize({ width: Math.max(220, box.clientWidth), height: box.plot.height });
    }
  });
  sized.observe(box);
  return box;
}

/** Draws all charts again, with the colours of another theme. */
export function repaint() {
  for (const box of document.querySelectorAll(".chart")) if (box.plot) box.draw();
}

/** States over time as a strip: `parts` are `{from, to, kind}` in milliseconds, within `from`..`to`. */
export function strip(parts, from, to, text, kind = "") {
  const [w, t] = [120, 14];
  const x = (at) => ((Math.max(from, Math.min(to, at)) - from) / Math.max(1, to - from)) * w;
  const tall = { good: 6, warn: 10, bad: 14, idle: 4 };
  return s(
    "svg",
    { class: `strip ${kind}`.trim(), viewBox: `0 0 ${w} ${t}`, preserveAspectRatio: "none", role: "img", "aria-label": text },
    parts.map((p) =>
      s("rect", {
        class: `fill ${p.kind}`,
        x: x(p.from).toFixed(1),
        y: t - tall[p.kind],
        width: Math.max(1, x(p.to) - x(p.from)).toFixed(1),
        height: tall[p.kind],
      }),
    ),
  );
}
