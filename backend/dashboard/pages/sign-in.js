// Signing in with an API key.

import { code, h } from "../dom.js";

export default function signIn(enter) {
  const wrong = h("p", { class: "wrong", role: "alert", id: "wrong" });
  const key = h("input", { id: "key", name: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, placeholder: "krt_…", "aria-describedby": "wrong kept" });
  const button = h("button", { class: "primary", type: "submit" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    button.disabled = true;
    try {
      await enter(key.value.trim());
    } catch (error) {
      wrong.textContent = error.message;
      key.select();
      key.focus();
    } finally {
      button.disabled = false;
    }
  };
  return h("section", { class: "sign-in" },
    h("img", { src: "/dashboard/icon.svg", alt: "", width: "44", height: "44" }),
    h("h1", {}, "Kraiter Tracking"),
    h("p", { class: "lead" }, "What happened to your mail, people and machines apart."),
    h("form", { onsubmit: submit }, h("label", { for: "key" }, "API key"), key, wrong, button),
    h("p", { class: "note", id: "kept" }, "A key with the scope read is enough. It stays in this tab and is forgotten with it."),
    h("details", {}, h("summary", {}, "I have no key"),
      h("p", {}, "Make one where the service runs. It is shown once."),
      code("kraiter api-key create --tenant NAME --scopes read")));
}
