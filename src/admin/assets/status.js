// Fetches the page again and swaps in the parts that change. Without this script the page reloads itself.
"use strict";

const EVERY = 5000;
const FOCUSABLE = "a, summary";
const note = document.getElementById("refresh");
const pause = document.getElementById("pause");
let paused = false;
let lostSince = null;

function say(text, kind) {
  // Readers of screens announce every change, so only what is new is said.
  if (note.textContent !== text) note.textContent = text;
  note.className = kind;
}

/** Somebody who reads a selection or types must not lose it. */
function busy() {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && selection.toString().length > 0;
}

function swap(fresh) {
  for (const part of document.querySelectorAll(".live")) {
    const next = fresh.getElementById(part.id);
    if (next === null || next.innerHTML === part.innerHTML) continue;
    const before = [...part.querySelectorAll("details")].map((d) => d.open);
    const after = [...next.querySelectorAll("details")];
    // Rows may come and go; where their number is the same, what was open stays open.
    if (before.length === after.length) after.forEach((d, i) => { d.open = before[i]; });
    const focus = [...part.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    part.replaceChildren(...next.childNodes);
    if (focus >= 0) part.querySelectorAll(FOCUSABLE)[focus]?.focus({ preventScroll: true });
  }
  document.title = fresh.title;
}

async function refresh() {
  if (paused || document.hidden || busy()) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    // Scripts of a parsed document never run.
    swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    lostSince = null;
    say("live", "on");
  } catch {
    lostSince ??= new Date();
    say(`no answer since ${lostSince.toLocaleTimeString()}`, "lost");
  }
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  say(paused ? "paused" : "live", paused ? "" : "on");
  refresh();
});
document.addEventListener("visibilitychange", refresh);
say("live", "on");
setInterval(refresh, EVERY);
