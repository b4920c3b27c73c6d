// Numbers, times and names as people read them.

const count = new Intl.NumberFormat("en");

/** 12,345 */
export const number = (n) => (n === null || n === undefined ? "—" : count.format(n));

/** 1.2 k, 3.4 M */
export function short(n) {
  if (n === null || n === undefined) return "—";
  for (const [size, sign] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (n >= size) return `${(n / size).toFixed(n >= 10 * size ? 0 : 1)} ${sign}`;
  }
  return count.format(n < 10 ? Math.round(n * 10) / 10 : Math.round(n));
}

/** 1.5 KiB */
export function octets(n) {
  if (n === null || n === undefined) return "—";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let size = n;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${at === 0 ? size : size.toFixed(size >= 10 ? 0 : 1)} ${units[at]}`;
}

/** 41 ms */
export function ms(n) {
  if (n === null || n === undefined) return "—";
  if (n >= 1000) return `${(n / 1000).toFixed(1)} s`;
  return `${n > 0 && n < 10 && !Number.isInteger(n) ? n.toFixed(1) : Math.round(n)} ms`;
}

/** 3 s, 2 min 5 s, 1 h 10 min, 3 d */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  const s = Math.max(0, seconds);
  if (s < 10 && s !== Math.round(s)) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) {
    const rest = Math.floor(s % 60);
    return `${Math.floor(s / 60)} min${rest ? ` ${rest} s` : ""}`;
  }
  if (s < 86400) {
    const rest = Math.floor((s % 3600) / 60);
    return `${Math.floor(s / 3600)} h${rest ? ` ${rest} min` : ""}`;
  }
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** Any of the API's ways to write a time, as a Date. */
export function date(at) {
  if (at === null || at === undefined) return null;
  const d = typeof at === "number" ? new Date(at) : new Date(String(at).replace(" ", "T").replace(/ UTC$/, "Z"));
  return Number.isNaN(d.getTime()) ? null : d;
}

/** 14:03:07 today, with the date before. */
export function clock(at) {
  const d = date(at);
  if (!d) return at === null || at === undefined ? "—" : String(at);
  const time = d.toLocaleTimeString("en-GB");
  const today = new Date().toDateString() === d.toDateString();
  return today ? time : `${d.toLocaleDateString("en-CA")} ${time}`;
}

/** 2 h ago */
export function ago(at) {
  const d = date(at);
  return d ? `${span((Date.now() - d.getTime()) / 1000)} ago` : "—";
}

/** 37 % */
export const percent = (share, digits = 0) =>
  share === null || share === undefined ? "—" : `${(share * 100).toFixed(digits)} %`;

/** one endpoint, 2 endpoints */
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** Names in the order people expect: eu-2 before eu-10. */
export const byName = new Intl.Collator("en", { numeric: true }).compare;
