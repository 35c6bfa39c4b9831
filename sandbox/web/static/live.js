// Keeps a page up to date and sends its forms. What a page has to do for it: see sandbox/web/pages.py.
"use strict";

// What people and this script set; the server does not know of it.
const BUSY = ["aria-busy", "aria-disabled"];
const OWN = new Set(["open", ...BUSY]);
const OWNED = new Set(["connection", "problem"]);

// --- up to date

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(location.href, { headers: { "X-Seen": document.body.dataset.version } });
      if (answer.status === 200) {
        show(await answer.text());
      } else if (answer.status !== 204) {
        throw new Error(String(answer.status));
      }
      document.getElementById("connection").textContent = "";
    } catch {
      document.getElementById("connection").textContent = "The sandbox does not answer; trying again.";
      await new Promise((wake) => setTimeout(wake, 1000));
    }
  }
}

function show(html) {
  const next = new DOMParser().parseFromString(html, "text/html");
  prepare(next);
  // Closing one gives the focus back to what opened it; removing it would not.
  document.querySelectorAll("dialog[open]").forEach((dialog) => next.getElementById(dialog.id) || dialog.close());
  const place = document.activeElement.closest("[id][tabindex]");
  const tails = [...document.querySelectorAll("[data-tail]")].filter(atEnd);
  document.title = next.title;
  morph(document.body, next.body);
  openDialogs();
  tails.forEach(toEnd);
  // Who was at something that is gone stays near it.
  if (document.activeElement === document.body && place && place.isConnected) {
    place.focus();
  }
  focusWrong();
}

// The form in a dialog that was sent last: who sent it goes on at the first input that is wrong.
let sent = null;

function focusWrong() {
  const wrong = sent?.querySelector("[aria-invalid='true']");
  if (wrong) {
    wrong.focus();
    sent = null;
  }
}

// What grows at its end, [data-tail], stays there while nobody scrolls up in it.
function atEnd(place) {
  return place.scrollHeight - place.scrollTop - place.clientHeight < 4;
}

function toEnd(place) {
  place.scrollTop = place.scrollHeight;
}

// Make an element like another one, and keep what can stay: focus, text being typed, what is unfolded.
// Elements with an id are found again wherever they are; others by their order.
function morph(from, to) {
  if (OWNED.has(from.id)) {
    return;
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !OWN.has(name)) {
      from.removeAttribute(name);
    }
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !OWN.has(name)) {
      from.setAttribute(name, value);
    }
  }
  const ids = new Set([...to.children].map((child) => child.id).filter(Boolean));
  for (const child of [...from.children]) {
    if (child.id && !ids.has(child.id)) {
      child.remove();
    }
  }
  const known = new Map([...from.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = from.firstChild;
  for (const next of [...to.childNodes]) {
    const alike = at && !at.id && !next.id && at.nodeName === next.nodeName ? at : null;
    const same = next.id ? known.get(next.id) : alike;
    if (!same || same.nodeName !== next.nodeName) {
      from.insertBefore(next, at);
      continue;
    }
    if (same === at) {
      at = at.nextSibling;
    } else {
      from.insertBefore(same, at);
    }
    if (same.nodeType === Node.ELEMENT_NODE) {
      morph(same, next);
    } else if (same.data !== next.data) {
      same.data = next.data;
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// --- forms: <form method="post" action="..."> is sent without leaving the page; data-confirm of it or its button
// names a dialog to ask first

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (form.method !== "post") {
    return;
  }
  event.preventDefault();
  const control = submitter ?? form;
  if (control.getAttribute("aria-busy") || !(await confirmed(control))) {
    return;
  }
  BUSY.forEach((name) => control.setAttribute(name, "true"));
  sent = form.closest("dialog") && form;
  say("");
  try {
    const url = submitter?.hasAttribute("formaction") ? submitter.formAction : form.action;
    const answer = await fetch(url, { method: "POST", body: new URLSearchParams(new FormData(form, submitter)) });
    if (!answer.ok) {
      say(await answer.text());
    }
  } catch {
    say("The sandbox does not answer.");
  }
  BUSY.forEach((name) => control.removeAttribute(name));
});

async function confirmed(control) {
  const asks = control.closest("[data-confirm]");
  if (!asks) {
    return true;
  }
  const dialog = document.getElementById(asks.dataset.confirm);
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue === "confirm";
}

function say(problem) {
  const place = document.getElementById("problem");
  place.textContent = problem;
  place.hidden = !problem;
}

// --- dialogs: <dialog data-modal> is there to be seen; Escape presses its button [data-close]

function openDialogs() {
  for (const dialog of document.querySelectorAll("dialog[data-modal]:not([open])")) {
    dialog.showModal();
  }
}

document.addEventListener(
  "cancel",
  (event) => {
    if (event.target.matches("dialog[data-modal]")) {
      event.preventDefault();
      event.target.querySelector("[data-close]").click();
    }
  },
  true,
);

// --- times: <time datetime="..." data-format="{date_short_pretty} {time}"> in the reader's zone, as Slack writes them

function prepare(root) {
  for (const place of root.querySelectorAll("time[data-format]")) {
    place.textContent = formatted(new Date(place.dateTime), place.dataset.format);
  }
}

function formatted(date, format) {
  const text = (options) => date.toLocaleString("en-US", options);
  const day = { year: "numeric", month: "long", day: "numeric" };
  const names = {
    ago: () => ago(date),
    date: () => text(day),
    date_long: () => text({ ...day, weekday: "long" }),
    date_num: () => date.toLocaleDateString("sv-SE"),
    date_short: () => text({ ...day, month: "short" }),
    time: () => text({ hour: "numeric", minute: "2-digit" }),
    time_secs: () => text({ hour: "numeric", minute: "2-digit", second: "2-digit" }),
  };
  return format.replace(/\{(\w+?)(_pretty)?\}/g, (whole, name, pretty) => {
    if (!(name in names)) {
      return whole;
    }
    return (pretty && near(date)) || names[name]();
  });
}

function near(date) {
  const midnight = (day) => new Date(day.getFullYear(), day.getMonth(), day.getDate());
  const days = Math.round((midnight(date) - midnight(new Date())) / 86400000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
}

function ago(date) {
  const minutes = Math.round((date - Date.now()) / 60000);
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const [size, unit] = [[1440, "day"], [60, "hour"], [1, "minute"]].find(([least]) => Math.abs(minutes) >= least) ?? [1, "minute"];
  return words.format(Math.trunc(minutes / size), unit);
}

prepare(document);
document.querySelectorAll("[data-tail]").forEach(toEnd);
openDialogs();
follow();
