// How things were: from changes to pieces of time, of which some are not known.

import { clock, date } from "./format.js";

/** How far back one may look, as the API writes it. */
export const BACK = [["15m", "15 minutes"], ["1h", "1 hour"], ["6h", "6 hours"], ["24h", "24 hours"], ["7d", "7 days"]];

const UNIT = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The time that the address asks for. */
export const back = (r) => (BACK.some(([to]) => to === r.query.back) ? r.query.back : BACK[0][0]);

/** In words. */
export const back_word = (wanted) => BACK.find(([to]) => to === wanted)[1];

/** From and until when, in milliseconds. */
export function span_of(wanted) {
  const to = Date.now();
  return { from: to - Number.parseInt(wanted, 10) * UNIT[wanted.at(-1)], to };
}

const at = (text) => date(text)?.getTime();

/**
 * Changes, in any order, as pieces of the time `from`..`to`: `{from, to, change}`. Where nothing was recorded
 * `change` is null. The history's `begins` and `gaps` say where that is.
 */
export function pieces({ changes, begins, gaps = [] }, from, to) {
  const rows = changes.map((x) => ({ at: at(x.at), change: x })).sort((a, b) => a.at - b.at);
  const parts = [];
  const first = Math.max(from, rows[0] ? Math.max(rows[0].at, at(begins) ?? from) : to);
  if (first > from) parts.push({ from, to: first, change: null });
  rows.forEach((row, i) => {
    const piece = { from: Math.max(first, row.at), to: Math.min(to, rows[i + 1]?.at ?? to), change: row.change };
    if (piece.to > piece.from) parts.push(piece);
  });
  // What stood before a gap is not known to have stood in it.
  return gaps.reduce((all, gap) => all.flatMap((p) => cut(p, at(gap.from), at(gap.until))), parts);
}

function cut(piece, from, to) {
  if (to <= piece.from || piece.to <= from) return [piece];
  return [
    { ...piece, to: from },
    { from: Math.max(piece.from, from), to: Math.min(piece.to, to), change: null },
    { ...piece, from: to },
  ].filter((p) => p.to > p.from);
}

/** From when on it is told, where that is later than asked for. */
export function begun({ begins, gaps = [] }, from) {
  const words = [];
  // The clocks of the node and of the browser differ.
  if (begins && at(begins) > from + 5_000) words.push(`The record begins at ${clock(begins)}.`);
  if (gaps.length) words.push(`Nothing was recorded ${gaps.slice(0, 3).map((g) => `from ${clock(g.from)} to ${clock(g.until)}`).join(", ")}${gaps.length > 3 ? ` and ${gaps.length - 3} times more` : ""}.`);
  return words.join(" ");
}
