"use strict";
document.documentElement.classList.add("js");
const all = (selector) => [...document.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);

// Contents: a button on narrow screens, and which section is being read.
const nav = one("nav");
const show = (open) => { nav.classList.toggle("open", open); one("#menu").setAttribute("aria-expanded", open); };
one("#menu").addEventListener("click", () => show(!nav.classList.contains("open")));
nav.addEventListener("click", (event) => { if (event.target.closest("a")) show(false); });
nav.addEventListener("keydown", (event) => { if (event.key === "Escape") { show(false); one("#menu").focus(); } });
const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
const mark = (name) => {
  for (const link of links.values()) link.removeAttribute("aria-current");
  links.get(name).setAttribute("aria-current", "true");
  for (const item of all("nav #contents > ul > li")) item.classList.toggle("reading", item.contains(links.get(name)));
};
const reading = new IntersectionObserver((entries) => {
  const seen = entries.filter((entry) => entry.isIntersecting);
  if (seen.length) mark(seen[seen.length - 1].target.id);
}, { rootMargin: "-10% 0px -75% 0px" });
for (const name of links.keys()) reading.observe(document.getElementById(name));

// A link to a closed table opens it; so does the printer.
const open = () => { const target = document.getElementById(location.hash.slice(1)); if (target?.matches("details")) target.open = true; };
addEventListener("hashchange", open);
open();
addEventListener("beforeprint", () => { for (const part of all("details")) part.open = true; });

// Search: parts without the words are hidden, those with them opened.
const parts = all("[data-find]").map((part) => ({ part, text: part.textContent.toLowerCase() }));
one("#find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { part, text } of parts) {
    const has = words.every((word) => text.includes(word));
    found += has;
    part.hidden = !has;
    if (part.matches("details") && part.open !== (has && words.length > 0)) part.open = has && words.length > 0;
  }
  one("#found").textContent = words.length ? `${found} of ${parts.length} parts` : "";
});

// Videos: one number, the frame, moves them all.
const player = one(".player");
if (player) {
  const frames = Number(player.dataset.frames), fps = Number(player.dataset.fps);
  const range = one("#frame"), button = one("#play"), blocks = all(".block");
  let timer = 0;
  const go = (frame) => {
    player.style.setProperty("--frame", frame);
    range.value = frame;
    one("#frame-number").textContent = `${frame + 1} of ${frames}`;
  };
  const play = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(() => go((Number(range.value) + 1) % frames), 1000 / (fps * Number(one("#speed").value))) : 0;
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-pressed", on);
  };
  const choose = () => blocks.forEach((block, place) => block.classList.toggle("shown", place === Number(one("#caption").value)));
  button.addEventListener("click", () => play(!timer));
  range.addEventListener("input", () => { play(false); go(Number(range.value)); });
  one("#speed").addEventListener("change", () => play(timer > 0));
  one("#caption").addEventListener("change", choose);
  choose();
}
