// Asks for a token where the node wants to know who asks.

import { forget, send } from "../lib/api.js";
import { h, say } from "../lib/dom.js";
import { field, trouble, values } from "../lib/parts.js";

/** Opens the form, once; `done` is called when the node knows who sits here. */
export function login(done) {
  if (document.getElementById("login")) return;
  const failed = h("div", {});
  const enter = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await send("POST", "/v1/session", { token: values(form).token ?? "" });
      forget();
      form.reset();
      box.close();
      say("Signed in");
      done();
    } catch (error) {
      failed.replaceChildren(trouble(error));
      form.querySelector("input").focus();
    } finally {
      button.disabled = false;
    }
  };
  const box = h(
    "dialog",
    { id: "login", "aria-labelledby": "login-title", onclose: () => box.remove() },
    h("h2", { id: "login-title" }, "Sign in"),
    h("p", { class: "quiet" }, "This node wants to know who asks. The token is sent once, for a session of this browser; it is not kept here."),
    h(
      "form",
      { class: "stack", onsubmit: enter },
      field("Token", "token", { kind: "password", required: true, autocomplete: "current-password" }),
      failed,
      h("div", { class: "actions" }, h("button", { class: "main-action", type: "submit" }, "Sign in")),
    ),
  );
  document.body.append(box);
  box.showModal();
}
