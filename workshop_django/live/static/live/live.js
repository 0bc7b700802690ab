// Keeps the live view up to date: asks the server for its data about once a second, and shows what has changed.
// Nothing here makes HTML of text: titles go in as text alone.
"use strict";

const EVERY = 700; // ms between two questions
const AT_MOST = 10_000; // ms to wait for an answer
const QUIET = 5_000; // ms between two announcements for those who listen to the page
const DOWN_EVERY = 3_000; // ms between two tries while the server does not answer

const element = (id) => document.getElementById(id);
const source = document.body.dataset.source;
let timer = 0;
let paused = false;
let last = null; // the data shown at present

function ask() {
  timer = 0;
  fetch(source, { signal: AbortSignal.timeout(AT_MOST), headers: { Accept: "application/json" } })
    .then(async (answer) => {
      const data = await answer.json();
      if (!answer.ok) throw new Error(data.problem);
      show(data);
      again(EVERY);
    })
    .catch((error) => {
      const known = error instanceof Error && error.name === "Error";
      problem(known ? error.message : "Django does not answer. The numbers are the last ones known.");
      pulse("no answer");
      document.body.classList.add("stale");
      again(DOWN_EVERY);
    });
}

// A page that nobody sees asks nothing.
function again(ms) {
  if (!paused && !document.hidden && !timer) timer = setTimeout(ask, ms);
}

function show(data) {
  pulse(paused ? "paused" : "updating");
  document.body.classList.remove("stale");
  problem(data.problem);
  for (const place of document.querySelectorAll("[data-count]")) {
    const name = place.dataset.count;
    const text = data[name] === null ? "–" : String(data[name]);
    if (place.textContent === text) continue;
    place.textContent = text;
    if (last && text !== "–") flash(place.closest(".stage"), "changed");
  }
  element("failed").hidden = !data.outbox_failed;
  document.querySelector(".dead_letters").classList.toggle("some", data.dead_letters > 0);
  if (last) move(data);
  const arrived = showImages(data.images);
  if (last && arrived.length) announce(arrived);
  last = data;
}

// A dot runs along each arrow that a message has passed since the last answer, however fast it was.
function move(data) {
  const sum = (d, ...names) => names.reduce((total, name) => total + (d[name] ?? 0), 0);
  const more = (...names) => sum(data, ...names) > sum(last, ...names);
  if (data.waiting === null || last.waiting === null) return;
  if (more("waiting", "in_flight", "delivered", "dead_letters")) flash(document.querySelector(".waiting"), "reached");
  if (more("in_flight", "delivered")) flash(document.querySelector(".in_flight"), "reached");
  if (more("delivered")) flash(document.querySelector(".delivered"), "reached");
  if (more("dead_letters")) flash(document.querySelector(".dead_letters"), "reached");
}

function flash(place, how) {
  place.classList.remove(how);
  void place.offsetWidth; // so that an animation that is still running begins anew
  place.classList.add(how);
}

// Bring the cards into the order of `images`. Returns the titles whose thumbnail has come.
function showImages(images) {
  const cards = element("cards");
  const old = new Map([...cards.children].map((card) => [card.dataset.id, card]));
  const arrived = [];
  images.forEach((image, position) => {
    let card = old.get(String(image.id));
    old.delete(String(image.id));
    if (!card) {
      card = element("card").content.firstElementChild.cloneNode(true);
      card.dataset.id = image.id;
      if (last) card.classList.add("new");
    }
    if (cards.children[position] !== card) cards.insertBefore(card, cards.children[position] ?? null);
    if (fill(card, image)) arrived.push(image.title);
  });
  for (const card of old.values()) card.remove();
  element("empty").hidden = images.length > 0;
  return arrived;
}

// Returns whether the card has got its thumbnail now.
function fill(card, image) {
  card.querySelector(".title").textContent = image.title;
  const state = card.querySelector(".state");
  state.textContent = image.state;
  state.className = "state " + image.state.replaceAll(" ", "-");
  const frame = card.querySelector(".picture");
  const shown = frame.querySelector("img");
  if (!image.thumbnail || shown?.getAttribute("src") === image.thumbnail) return false;
  const picture = shown ?? document.createElement("img");
  picture.alt = "Thumbnail of " + image.title;
  picture.src = image.thumbnail;
  frame.append(picture);
  return !shown;
}

// For screen readers: what has arrived, as one sentence, and never more often than every few seconds.
let waiting = [];
let speaking = 0;
function announce(titles) {
  waiting.push(...titles);
  if (!speaking) speak();
}
function speak() {
  speaking = 0;
  if (!waiting.length) return;
  const named = waiting.length > 3 ? `${waiting.length} thumbnails` : waiting.join(", ");
  element("news").textContent = "Arrived: " + named;
  waiting = [];
  speaking = setTimeout(speak, QUIET);
}

function pulse(word) {
  element("pulse").textContent = word;
}

function problem(words) {
  const place = element("problem");
  if (place.textContent === words) return;
  place.textContent = words;
  place.hidden = !words;
  element("news").textContent = words || "Everything answers again.";
}

element("pause").addEventListener("click", () => {
  paused = !paused;
  element("pause").textContent = paused ? "Resume" : "Pause";
  pulse(paused ? "paused" : "updating");
  document.body.classList.toggle("paused", paused);
  clearTimeout(timer);
  timer = 0;
  again(0);
});
document.addEventListener("visibilitychange", () => again(0));
element("pause").hidden = element("pulse").hidden = false;
again(0);
