"use strict";

// Questions before changes that matter, things to copy, and times that go on while one looks.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.ask && !window.confirm(form.dataset.ask)) {
    event.preventDefault();
    return;
  }
  if (form.method === "post" && !form.hasAttribute("hx-post")) {
    // A second click on the same button is not a second wish.
    setTimeout(() => form.querySelectorAll("button").forEach((one) => (one.disabled = true)), 0);
  }
});

window.addEventListener("pageshow", () => {
  document.querySelectorAll("form button:disabled").forEach((one) => (one.disabled = false));
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
  const all = event.target.closest("[data-select-all]");
  if (all) {
    const boxes = document.querySelectorAll(`input[name="${all.dataset.selectAll}"]`);
    boxes.forEach((box) => (box.checked = all.checked));
  }
  document.querySelectorAll("details.dropdown[open]").forEach((one) => {
    if (!one.contains(event.target)) one.removeAttribute("open");
  });
});

const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

function relative(seconds) {
  for (const [size, unit] of UNITS) {
    const count = Math.floor(Math.abs(seconds) / size);
    if (count) {
      const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
      return seconds > 0 ? `in ${words}` : `${words} ago`;
    }
  }
  return "now";
}

setInterval(() => {
  document.querySelectorAll("time[datetime]:not([data-still])").forEach((one) => {
    const words = relative(Math.trunc((Date.parse(one.dateTime) - Date.now()) / 1000));
    if (one.textContent !== words) one.textContent = words;
  });
}, 1000);

// What was unfolded stays so when a part of the page is fetched anew.
let unfolded = [];
document.addEventListener("htmx:beforeSwap", () => {
  unfolded = [...document.querySelectorAll("details[open][id]")].map((one) => one.id);
});
document.addEventListener("htmx:afterSettle", () => {
  unfolded.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
});

// The list of events goes on by itself while its switch is on and somebody looks.
const TAIL_MOST = 500;

document.addEventListener("htmx:beforeRequest", (event) => {
  const button = document.querySelector("input[data-tail]");
  const looks = document.visibilityState === "visible" && (!button || button.checked);
  if (event.target.id === "tail" && !looks) event.preventDefault();
});

document.addEventListener("htmx:afterSettle", () => {
  const list = document.getElementById("events");
  const rows = list ? list.querySelectorAll("tbody tr") : [];
  if (!rows.length) return;
  list.hidden = false;
  document.querySelectorAll(".empty").forEach((one) => one.remove());
  [...rows].slice(TAIL_MOST).forEach((one) => one.remove());
});
