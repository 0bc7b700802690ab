// Keeps the board up to date: fetches this page again every other second, and puts its content in place of the old.
"use strict";

const EVERY = 2_000; // ms between two questions
const AT_MOST = 10_000; // ms to wait for an answer

const element = (id) => document.getElementById(id);

async function refresh() {
  try {
    const answer = await fetch(location, { signal: AbortSignal.timeout(AT_MOST) });
    if (!answer.ok) throw new Error(answer.status);
    show(new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main"));
    pulse("updating", false);
  } catch {
    pulse("The board does not answer: this is the last that was known.", true);
  }
  setTimeout(refresh, EVERY);
}

function show(main) {
  const old = document.querySelector("main");
  if (old.innerHTML === main.innerHTML) return;
  const names = (of) => [...of.querySelectorAll("#hands bdi")].map((name) => name.textContent);
  const raised = names(main).filter((name) => !names(old).includes(name));
  if (raised.length) element("news").textContent = "A hand is up: " + raised.join(", ");
  old.replaceWith(document.adoptNode(main));
}

function pulse(words, stale) {
  element("pulse").textContent = words;
  document.body.classList.toggle("stale", stale);
}

element("pulse").hidden = false;
setTimeout(refresh, EVERY);
