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
