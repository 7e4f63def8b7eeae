// What both tests of the control page use.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// The packages lie outside the repository.
const packages = createRequire(join(process.env.EFFIGY_PAGE_MODULES ?? ".", "x.js"));
const { chromium } = packages("playwright-core");
const axe = readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8");
const chrome = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const openBrowser = () => chromium.launch({ executablePath: chrome, args: ["--no-sandbox", "--disable-gpu"] });

/// Prints what was done and when, in seconds since the start.
export function stepper() {
  const began = Date.now();
  const step = (what) => {
    step.count++;
    console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}`);
  };
  return Object.assign(step, { count: 0 });
}

/// Waits until something holds; fails with its name.
export async function until(what, holds, patience_ms = 60_000) {
  const end = Date.now() + patience_ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${patience_ms / 1000} s: ${what}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

export const pressed = (page, selector) => page.getAttribute(selector, "aria-pressed").then((value) => value === "true");

/// What axe-core finds wrong with the page for who does not see it or has no mouse: nothing, of any weight.
export async function checkAccess(page, where) {
  if (!(await page.evaluate("Boolean(window.axe)"))) await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, impact, help, nodes }) => `${impact} ${id}: ${help}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3)}`);
  });
  assert.deepEqual(found, [], `axe-core, ${where}`);
}

/// Texts of the page that stay as they are in another language, although they are words.
export const untranslated = (page) => page.evaluate(() => {
  // Names, formats, key names; the program's own messages; what the user named.
  const own = "kbd, code, option, #log, #said.bad, #version, #source, #generator, #gallery .name, h1, script, style, title";
  const same = new Set(["Zoom", "ms", "ms.", "/s", "PipeWire:", "Name", "still", "SECONDS"]);
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT), texts = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.trim().replace(/\s+/g, " ");
    if (/\p{L}{2}/u.test(text) && !node.parentElement.closest(own) && !same.has(text) && !/^[\d.,]+ ms$/.test(text)) texts.push(text);
  }
  for (const attribute of ["aria-label", "title", "alt", "placeholder"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      const text = element.getAttribute(attribute);
      if (text && !element.closest("#gallery") && text !== "Ann Example") texts.push(text);
    }
  }
  return texts;
});

/// Writes what the page shows into a folder, until the function that this returns is called: a JPEG for each change, and
/// `film.txt`, which tells FFmpeg's concat reader how long each was seen.
export async function film(page, folder) {
  mkdirSync(folder, { recursive: true });
  const session = await page.context().newCDPSession(page);
  const frames = [];
  session.on("Page.screencastFrame", ({ data, metadata, sessionId }) => {
    const name = `${String(frames.length).padStart(5, "0")}.jpg`;
    writeFileSync(join(folder, name), Buffer.from(data, "base64"));
    frames.push({ name, at_secs: metadata.timestamp });
    // The next one comes only after this; at the end nobody waits for it.
    session.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
  });
  await session.send("Page.startScreencast", { format: "jpeg", quality: 90 });
  return async () => {
    await session.send("Page.stopScreencast");
    const seen = frames.slice(1).map(({ at_secs }, i) => `file ${frames[i].name}\nduration ${(at_secs - frames[i].at_secs).toFixed(3)}\n`);
    assert(seen.length > 0, "the browser sent no pictures of the page");
    writeFileSync(join(folder, "film.txt"), seen.join(""));
  };
}
