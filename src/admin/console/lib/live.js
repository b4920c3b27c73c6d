// What happens, as it happens: the node's event stream, or looking again and again where it is lost.
//
// The stream is read with fetch rather than EventSource: events have many kinds, of which EventSource
// delivers only those named ahead, and it keeps the status of a refusal to itself.

import { refused } from "./api.js";

/** A stream this silent is dead: the node says something every 15 seconds. */
const SILENCE_MS = 40_000;
/** Between looks without a stream. */
const LOOK_MS = 5_000;
/** Between attempts to have the stream back: from, to. */
const AGAIN_MS = [1_000, 15_000];

/** Splits a stream of text into events (WHATWG HTML, server-sent events). */
export function parser(give) {
  let rest = "";
  let event = { type: "message", data: [], id: undefined };
  return (text) => {
    rest += text;
    // A carriage return at the end may be the first half of a line end.
    const half = rest.endsWith("\r") ? "\r" : "";
    const lines = rest.slice(0, rest.length - half.length).split(/\r\n|\n|\r/);
    rest = lines.pop() + half;
    for (const line of lines) {
      if (line === "") {
        if (event.data.length) give({ ...event, data: event.data.join("\n") });
        event = { type: "message", data: [], id: event.id };
        continue;
      }
      if (line.startsWith(":")) continue;
      const at = line.indexOf(":");
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (field === "event") event.type = value;
      else if (field === "data") event.data.push(value);
      else if (field === "id") event.id = value;
    }
  };
}

/**
 * Follows the node. `changed()` is called when what is shown may be old, `happened(kind, data)` for
 * every event, `state(word, why)` when the way of being told changes: `live`, `polling`, `lost`.
 */
export function follow({ changed, happened, state }) {
  let last;
  let fails = 0;
  let looking;
  let stopped = false;
  let abort = new AbortController();

  const look = (on) => {
    if (on && !looking) looking = setInterval(changed, LOOK_MS);
    if (!on && looking) {
      clearInterval(looking);
      looking = undefined;
    }
  };

  async function once() {
    const headers = { accept: "text/event-stream" };
    if (last !== undefined) headers["last-event-id"] = last;
    abort = new AbortController();
    const begun = performance.now();
    let watch = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const response = await fetch("/v1/events", {
        headers,
        signal: abort.signal,
        cache: "no-store",
        credentials: "same-origin",
      });
      const kind = response.headers.get("content-type") ?? "";
      if (response.status === 401) refused(begun);
      // Another process may not know this number.
      if (response.status === 400) last = undefined;
      if (!response.ok) return `the node answers ${response.status}`;
      if (!kind.startsWith("text/event-stream")) return "the node has no event stream";
      fails = 0;
      look(false);
      state("live");
      // What happened while nobody listened.
      changed();
      const feed = parser((event) => {
        if (event.id) last = event.id;
        let data = null;
        try {
          data = JSON.parse(event.data);
        } catch {
          // That something happened is told all the same.
        }
        happened(event.type, data, event.id);
        changed();
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return "the stream ended";
        clearTimeout(watch);
        watch = setTimeout(() => abort.abort(), SILENCE_MS);
        feed(value);
      }
    } catch {
      return "the stream was cut";
    } finally {
      clearTimeout(watch);
    }
  }

  async function forever() {
    while (!stopped) {
      const why = await once();
      if (stopped) return;
      fails += 1;
      look(true);
      state("polling", why);
      changed();
      const wait = Math.min(AGAIN_MS[1], AGAIN_MS[0] * 2 ** Math.min(fails - 1, 5));
      await new Promise((done) => setTimeout(done, wait * (0.75 + Math.random() / 2)));
    }
  }
  forever();

  return {
    again: () => abort.abort(),
    stop: () => {
      stopped = true;
      look(false);
      abort.abort();
    },
  };
}
