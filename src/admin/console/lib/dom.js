// Elements from code, and a page that changes without losing focus, scroll or what is typed.

const SVG = "http://www.w3.org/2000/svg";

/** Calls the handler that the newest rendering gave the element. */
function dispatch(event) {
  event.currentTarget.handlers?.[event.type]?.call(event.currentTarget, event);
}

function listen(node, handlers) {
  for (const type of Object.keys(handlers)) {
    if (!(node.handlers && type in node.handlers)) node.addEventListener(type, dispatch);
  }
  node.handlers = handlers;
}

function fill(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false || child === true) continue;
    if (Array.isArray(child)) fill(node, child);
    else node.append(child instanceof Node ? child : String(child));
  }
}

function build(node, props, children) {
  const handlers = {};
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "key") node.key = value;
    else if (name === "keep") node.keep = value;
    else if (name.startsWith("on")) handlers[name.slice(2)] = value;
    else if (name === "style") {
      for (const [rule, text] of Object.entries(value)) node.style.setProperty(rule, text);
    } else if (name === "value" && "value" in node && node.tagName !== "LI") node.value = value;
    else if (name === "checked") node.checked = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  if (Object.keys(handlers).length) listen(node, handlers);
  fill(node, children);
  // A <select> takes its value once its options are there.
  if (props?.value !== undefined && node.tagName === "SELECT") node.value = props.value;
  return node;
}

/** An HTML element. `onclick` and the like are handlers; `key` tells brothers apart. */
export function h(tag, props, ...children) {
  return build(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

/** What a part is, for finding it again: its tag, key, id and first class. */
const sort = (node) => node.getAttribute?.("class")?.split(" ", 1)[0];

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.key === b.key && a.id === b.id && sort(a) === sort(b);
}

/** Makes `node` look like `next`; what a person did to it (focus, text, open parts) stays. */
function morph(node, next) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== next.data) node.data = next.data;
    return;
  }
  // A part with a life of its own is told the news and left alone.
  if (node.keep && next.keep) {
    node.keep(node, next);
    return;
  }
  for (const { name } of [...node.attributes]) {
    const own = name === "open" || name === "style";
    if (!own && !next.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (name === "style") continue;
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  if (node.style && node.style.cssText !== next.style.cssText) node.style.cssText = next.style.cssText;
  listen(node, next.handlers ?? {});
  if (node.tagName !== "TEXTAREA") become(node, [...next.childNodes]);
}

/** Makes the children of `parent` look like `wanted`. */
export function become(parent, wanted) {
  const keyed = new Map();
  const loose = [];
  for (const child of parent.childNodes) {
    if (child.key !== undefined) keyed.set(child.key, child);
    else loose.push(child);
  }
  let at = 0;
  let before = parent.firstChild;
  for (const next of wanted) {
    let old;
    if (next.key !== undefined) old = keyed.get(next.key);
    else {
      const found = loose.findIndex((node, i) => i >= at && alike(node, next));
      old = loose[found];
      if (old) at = found + 1;
    }
    if (old && alike(old, next)) {
      keyed.delete(next.key);
      morph(old, next);
      old.taken = true;
      if (old === before) before = before.nextSibling;
      else parent.insertBefore(old, before);
    } else {
      next.taken = true;
      parent.insertBefore(next, before);
    }
  }
  for (const child of [...parent.childNodes]) {
    if (child.taken) child.taken = undefined;
    else child.remove();
  }
}

/** Shows what a view made: a node, or a list of nodes. */
export function show(parent, made) {
  const box = document.createDocumentFragment();
  fill(box, [made]);
  become(parent, [...box.childNodes]);
}

/** Says something to who listens rather than looks. */
export function say(text) {
  const box = document.getElementById("said");
  box.textContent = "";
  requestAnimationFrame(() => {
    box.textContent = text;
  });
}

/** A message that goes away by itself; errors stay until closed. */
export function toast(text, kind = "good") {
  const box = document.getElementById("toasts");
  const close = () => item.remove();
  const item = h(
    "div",
    { class: `toast ${kind}`, role: kind === "bad" ? "alert" : "status" },
    h("p", {}, text),
    h("button", { class: "plain", type: "button", "aria-label": "Close message", onclick: close }, "×"),
  );
  box.append(item);
  if (kind !== "bad") setTimeout(close, 8000);
}
