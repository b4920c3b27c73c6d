// Asks the node. Every change says that it comes from the console, and carries a key of its own, so
// that a change sent twice is done once.

/** An answer that is not the wanted one, as RFC 9457 puts it. */
export class Problem extends Error {
  constructor(status, body, path) {
    super(body.detail || body.title || `the node answered ${status}`);
    this.status = status;
    this.title = body.title;
    this.parameter = body.parameter;
    this.problems = body.problems ?? [];
    this.body = body;
    this.path = path;
  }
}

const known = new Map();
/** Answers kept for `If-None-Match`: as many as a few views ask. */
const KEPT = 64;
/** Longest wait for an answer. */
const PATIENCE_MS = 30_000;

/** Set by the page: called when the node wants to know who asks. */
export const session = { wanted: () => {}, slow: () => {} };

/** A path with its parameters; empty ones are left out. */
export function url(path, query = {}) {
  const list = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") list.set(name, value);
  }
  const text = list.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * The API writes some names as `rtt_ms` and some as `rtt-ms`. Here `rtt_ms` reads both; who goes through
 * the names of an object sees them as they were sent.
 */
function both(_, value) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const name of Object.keys(value)) {
      const other = name.replaceAll("-", "_");
      if (other !== name && !(other in value)) Object.defineProperty(value, other, { value: value[name] });
    }
  }
  return value;
}

async function read(response, path) {
  const kind = response.headers.get("content-type") ?? "";
  const text = await response.text();
  let body = text;
  if (kind.includes("json")) {
    try {
      body = JSON.parse(text, both);
    } catch {
      throw new Problem(response.status, { title: "The node's answer is no JSON." }, path);
    }
  }
  if (response.ok) return body;
  if (response.status === 401) session.wanted();
  throw new Problem(response.status, typeof body === "object" ? body : { detail: body.trim() }, path);
}

async function ask(path, options) {
  const late = AbortSignal.timeout(options.patience ?? PATIENCE_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  try {
    return await fetch(path, { credentials: "same-origin", cache: "no-store", redirect: "error", ...options, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, { title: "no answer", detail: "The node does not answer. What is shown is what was known last." }, path);
  }
}

/** Reads; the same answer is not sent twice. */
export async function get(path, { query, signal, accept } = {}) {
  const whole = url(path, query);
  const id = `${accept ?? ""} ${whole}`;
  const before = known.get(id);
  const headers = { accept: accept ?? "application/json" };
  if (before) headers["if-none-match"] = before.etag;
  const response = await ask(whole, { headers, signal });
  if (response.status === 304 && before) return before.body;
  const body = await read(response, whole);
  // Of a list, the nodes whose part is not in it.
  const missing = response.headers.get("tradewind-missing");
  if (missing && Array.isArray(body)) body.missing = missing.split(/, */);
  const etag = response.headers.get("etag");
  known.delete(id);
  if (etag) {
    known.set(id, { etag, body });
    if (known.size > KEPT) known.delete(known.keys().next().value);
  }
  return body;
}

/** Reads what a node may not have (a role, or an older version): `null` then. */
export async function maybe(path, options) {
  try {
    return await get(path, options);
  } catch (error) {
    if (error instanceof Problem && [403, 404, 405, 501, 503].includes(error.status)) return null;
    throw error;
  }
}

/** Forgets answers, of who was signed in before. */
export function forget() {
  known.clear();
}

/** The tag under which `path` was read last, for `If-Match`. */
export function tag(path) {
  return known.get(` ${path}`)?.etag;
}

/** A key that no other change has. `randomUUID` is not there on plain HTTP other than loopback. */
function key() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const octets = crypto.getRandomValues(new Uint8Array(16));
  octets[6] = (octets[6] & 0x0f) | 0x40;
  octets[8] = (octets[8] & 0x3f) | 0x80;
  const hex = [...octets].map((o) => o.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Changes something. */
export async function send(method, path, body, { query, match, patience } = {}) {
  const headers = {
    accept: "application/json",
    "idempotency-key": key(),
    "x-tradewind": "console",
  };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (match) headers["if-match"] = match;
  const whole = url(path, query);
  const response = await ask(whole, {
    method,
    headers,
    patience,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return read(response, whole);
}
