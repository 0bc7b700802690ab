// Splits what is higher than a slide, and then starts reveal.js. Only a browser knows how high a text is.
"use strict";

const WIDTH = 1280, HEIGHT = 720; // px, as a projector shows them
const LIMIT = 704; // px that a slide's content may take
const SMALLEST = 0.4; // of its size, for what cannot be split

// From the whole to the part: where a slide may be cut.
const PARTS = [
  ".jp-Cell",
  ".jp-Cell-outputWrapper",
  ".jp-OutputArea-child",
  ".jp-RenderedMarkdown > *",
  ".jp-RenderedMarkdown > :is(ul, ol) > li",
];

function fit(slide) {
  for (const block of slide.querySelectorAll("pre, table")) narrow(block);
  if (slide.scrollHeight <= LIMIT) return;
  const place = whereToCut(slide);
  if (!place) return shrink(slide);
  const next = cut(slide, place);
  fit(slide);
  fit(next);
}

// The first part that does not fit and has anything but the title before it. A cell that no slide could hold stays
// with what is before it, and is cut at its output.
function whereToCut(slide) {
  const top = slide.getBoundingClientRect().top;
  for (const part of PARTS)
    for (const element of slide.querySelectorAll(part))
      if (element.getBoundingClientRect().bottom - top > LIMIT && !isCutInside(element, top) &&
          hasContentBefore(slide, element)) return element;
  return null;
}

function isCutInside(cell, top) {
  const output = cell.matches(".jp-Cell") && cell.querySelector(".jp-Cell-outputWrapper");
  return output && cell.offsetHeight > LIMIT && output.getBoundingClientRect().top - top < LIMIT;
}

function hasContentBefore(slide, element) {
  const before = document.createRange();
  const title = titleOf(slide);
  if (title && !(title.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING)) return false;
  if (title) before.setStartAfter(title);
  else before.setStart(slide, 0);
  before.setEndBefore(element);
  return shows(before.cloneContents());
}

function shows(content) {
  for (const unseen of content.querySelectorAll("aside, .jp-InputPrompt, .jp-OutputPrompt")) unseen.remove();
  return content.textContent.trim() !== "" || content.querySelector("img, svg, iframe") !== null;
}

// Moves `place` and all after it to a new slide, and returns that. What it begins with is not hidden there.
function cut(slide, place) {
  const rest = document.createRange();
  rest.setStartBefore(place);
  rest.setEnd(slide, slide.childNodes.length);
  const next = slide.cloneNode(false);
  next.append(rest.extractContents());
  for (const emptied of slide.querySelectorAll(".fragment")) if (!shows(emptied.cloneNode(true))) emptied.remove();
  if (next.firstElementChild.matches(".fragment")) next.firstElementChild.classList.remove("fragment");
  next.prepend(titleOf(slide).cloneNode(true));
  slide.after(next);
  return next;
}

function shrink(slide) {
  for (let size = 0.95; slide.scrollHeight > LIMIT && size >= SMALLEST; size -= 0.05)
    for (const cell of slide.querySelectorAll(".jp-Cell")) cell.style.zoom = size;
}

function narrow(block) {
  const needs = Math.max(block.scrollWidth, block.offsetWidth), room = block.parentElement.clientWidth;
  if (needs > room) block.style.zoom = (0.98 * room) / needs;
}

const titleOf = (slide) => slide.querySelector("h1, h2");

addEventListener("load", async () => {
  await Promise.allSettled([...document.images].map((image) => image.decode()));
  document.body.classList.add("measured");
  document.querySelectorAll(".slides > section > section").forEach(fit);
  document.body.classList.remove("measured");
  Reveal.initialize({ hash: true, slideNumber: "c/t", width: WIDTH, height: HEIGHT, margin: 0.04, center: false,
                      transition: "none", plugins: [RevealNotes] });
});
