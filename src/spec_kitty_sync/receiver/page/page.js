// The list grows as events arrive; j and k move in it. All text goes through textContent.
"use strict";

const list = document.querySelector("ol.events");
const state = document.querySelector("[data-state]");
const pause = document.querySelector("[data-pause]");
const MOST = 200;
let waiting = [];
let paused = false;

function show(event) {
  const row = document.querySelector("template").content.cloneNode(true);
  row.querySelector("a").href = "/events/" + encodeURIComponent(event.event_id);
  for (const name of ["at", "type", "mission", "about", "id"]) {
    row.querySelector("." + name).textContent = event[name];
  }
  row.querySelector("li").classList.add("new");
  list.prepend(row);
  while (list.children.length > MOST) list.lastElementChild.remove();
  document.querySelector("[data-empty]")?.remove();
}

function take(event) {
  if (!paused) return show(event);
  waiting.push(event);
  waiting = waiting.slice(-MOST);
  pause.textContent = "Go on (" + waiting.length + " new)";
}

function toggle() {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (!paused) waiting.splice(0).forEach(show);
}

function listen() {
  const source = new EventSource(list.dataset.live);
  source.addEventListener("open", () => { state.textContent = "live"; });
  source.addEventListener("error", () => { state.textContent = "reconnecting…"; });
  source.addEventListener("stored", (message) => take(JSON.parse(message.data)));
  addEventListener("pagehide", () => source.close());
}

function move(step) {
  const rows = [...document.querySelectorAll("ol.events a")];
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? 0 : at + step];
  if (next) next.focus();
}

addEventListener("keydown", (key) => {
  if (key.ctrlKey || key.altKey || key.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(key.target.tagName)) return;
  if (key.key === "j") move(1);
  else if (key.key === "k") move(-1);
  else if (key.key === "p" && pause) toggle();
  else if (key.key === "/") { document.querySelector(".filters select")?.focus(); key.preventDefault(); }
});

for (const field of document.querySelectorAll(".filters select")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
if (list?.dataset.live) { pause.hidden = false; pause.addEventListener("click", toggle); listen(); }
