// `effigy` alone, as somebody starts it for the first time: the page opens by itself and leads from photo to picture. Started
// by scripts/page_test.sh.
//   node first_use.mjs BINARY MODELS_DEMO_FOLDER SCREENSHOT_FOLDER
// EFFIGY_PAGE_FILM=FOLDER films the way to the first picture into FOLDER, at a pace that can be watched, and ends there.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { checkAccess, film, openBrowser, pressed, stepper, until } from "./lib.mjs";

const [binary, demo, shots] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), "effigy-first-"));
const opened = join(home, "opened");
let program = null, browser = null;
const step = stepper();
const filmTo = process.env.EFFIGY_PAGE_FILM;
const PAUSE_MS = 1500;

/// A home with ONNX Runtime, and a desktop that writes down which address shall be opened.
function settle() {
  const data = process.env.XDG_DATA_HOME ?? join(homedir(), ".local/share");
  for (const folder of ["bin", "data/effigy"]) mkdirSync(join(home, folder), { recursive: true });
  symlinkSync(join(data, "effigy/lib"), join(home, "data/effigy/lib"));
  writeFileSync(join(home, "bin/xdg-open"), `#!/bin/sh\nprintf %s "$1" > '${opened}.part' && mv '${opened}.part' '${opened}'\n`);
  chmodSync(join(home, "bin/xdg-open"), 0o755);
}

/// Starts `effigy` without any word, and gives the address that it opens.
async function start() {
  rmSync(opened, { force: true });
  const env = { PATH: `${join(home, "bin")}:${process.env.PATH}`, HOME: home, WAYLAND_DISPLAY: "none", XDG_DATA_HOME: join(home, "data") };
  for (const name of ["EFFIGY_ONNXRUNTIME", "ORT_DYLIB_PATH"]) if (process.env[name]) env[name] = process.env[name];
  program = spawn(binary, [], { cwd: home, env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  program.stderr.on("data", (chunk) => { said += chunk; });
  await until("the page is opened", () => {
    assert.equal(program.exitCode, null, said);
    return existsSync(opened);
  });
  return new URL(readFileSync(opened, "utf8"));
}

async function end() {
  const ended = new Promise((resolve) => program.on("exit", resolve));
  program.kill("SIGTERM");
  assert.equal(await ended, 130);
  program = null;
}

const current = (page) => page.$eval("#guide-steps [aria-current]", (item) => [...item.parentElement.children].indexOf(item) + 1);
const arrives = (page, n) => until(`step ${n} of the guide`, async () => (await page.isVisible("#guide")) && (await current(page)) === n);
const shows = (page, index) => async () => (await page.locator(`[data-index="${index}"]`).count()) > 0 && pressed(page, `[data-index="${index}"]`);
const isLive = (page) => until("the picture is live", () => page.evaluate(() => document.getElementById("status").textContent === "Live" && document.getElementById("picture").naturalWidth > 0));

async function main() {
  settle();
  const address = await start();
  step("effigy has opened its page");
  browser = await openBrowser();
  const context = await browser.newContext({ viewport: { width: 1360, height: 940 }, colorScheme: "light" });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: address.origin });
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const troubles = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  const shot = (name) => filmTo ? page.waitForTimeout(PAUSE_MS) : page.screenshot({ path: join(shots, `first-use-${name}.png`) });
  await page.goto(address.href);
  const cut = filmTo ? await film(page, filmTo) : null;
  const began = Date.now();

  // 1: a photo, and why it may be shown.
  await arrives(page, 1);
  await isLive(page);
  assert.equal(await page.evaluate(() => document.activeElement.id), "guide-photo", "the first step is not at hand");
  await checkAccess(page, "the guide");
  await shot("1-photo");
  await page.setInputFiles("#photo", join(demo, "portrait_b.png"));
  await page.fill("#enroll-name", "Ben / Example");
  await page.check("[name=basis][value=synthetic]");
  assert(await page.isChecked("#enroll-keep"), "who is enrolled is lost at the end");
  await page.check("#enroll-sure");
  await shot("2-consent");
  await page.click("#enroll-go");

  // 2: the camera; where there is none, the program's own clip drives.
  await arrives(page, 2);
  await until("what drives is shown", async () => /^(pattern|camera)/.test(await page.inputValue("#camera")));
  await until("that there is no camera is said", async () => /camera/i.test(await page.textContent("#camera-trouble")) || (await page.locator("#camera option").count()) > 1);
  await until("who was enrolled is shown", shows(page, 3));
  await shot("3-camera");
  await page.keyboard.press("Enter");

  // 3: how it looks.
  await arrives(page, 3);
  // The picture and the guide are seen beside what is chosen, on a phone too.
  const views = [[1360, 940, ["guide-next", "picture", "backgrounds"]], [390, 844, ["guide-next"]]];
  for (const [width, height, ids] of filmTo ? [] : views) {
    await page.setViewportSize({ width, height });
    await until(`${ids} are in sight at ${width} pixels`, () => page.evaluate((ids) => ids.every((id) => {
      const { top, bottom } = document.getElementById(id).getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }), ids));
    await shot(`look-${width}`);
  }
  await page.setViewportSize({ width: 1360, height: 940 });
  await page.click('[data-to="fill"]');
  await page.click('[data-to="blur"]');
  await until("the background is blurred", () => pressed(page, '[data-to="blur"]'));
  await shot("4-look");
  await page.focus("#guide-next");
  await page.keyboard.press("Enter");

  // 4: where to. The copied address shows the picture and steers nothing.
  await arrives(page, 4);
  await page.click("#copy-view");
  await until("the address is copied", async () => (await page.textContent("#said")).includes("Copied"));
  const view = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  const token = view.searchParams.get("token");
  assert(view.pathname === "/view" && token !== address.searchParams.get("token"), view.href);
  const elsewhere = await browser.newContext();
  const obs = await elsewhere.newPage();
  await obs.goto(view.href);
  await obs.waitForFunction(() => document.getElementById("picture").naturalWidth > 0);
  for (const path of ["/", "/app.js", "/thumbnail/0", "/identity/3"]) {
    assert.equal((await elsewhere.request.get(`${address.origin}${path}?token=${token}`)).status(), 403, path);
    assert.equal((await elsewhere.request.get(address.origin + path)).status(), 403, path);
  }
  await elsewhere.close();
  await shot("5-where-to");
  await page.focus("#guide-next");
  await page.keyboard.press("Enter");
  await until("the guide is over", async () => !(await page.isVisible("#guide")));
  await shot("6-ready");
  step(`from photo to picture in four steps, ${((Date.now() - began) / 1000).toFixed(1)} s by a program's hands`);
  if (cut) {
    await page.evaluate(() => scrollTo(0, 0));
    await page.waitForTimeout(2 * PAUSE_MS);
    await cut();
    return end();
  }

  // What was said once is not said again, unless it is asked for.
  await page.reload();
  await isLive(page);
  await page.waitForTimeout(500);
  assert(!(await page.isVisible("#guide")), "the guide comes back");
  await page.click("#guide-again");
  await arrives(page, 1);
  await page.click("#guide-close");

  // A camera for other programs, where there is no device for one: said, and the run goes on.
  if (await page.isVisible("#vcam")) {
    await page.click("#vcam");
    await until("why there is none is said, or it is there", async () => /camera for other programs/.test(await page.textContent("#log")));
    await isLive(page);
  }
  // A camera that is not there: said, and what drove drives on.
  const drove = await page.textContent("#source");
  await page.evaluate(() => fetch("/command", { method: "POST", body: '{"do":"source","to":"camera:4000000"}' }));
  await until("that there is no such camera is said", async () => /no camera/.test(await page.textContent("#log")));
  await until("what drove drives on", async () => (await page.textContent("#log")).includes("as before") && (await page.textContent("#source")) === drove);
  for (const to of ["/etc/passwd", "rtsp://a.example/b", "-"]) {
    const status = await page.evaluate((to) => fetch("/command", { method: "POST", body: JSON.stringify({ do: "source", to }) }).then((answer) => answer.status), to);
    assert.equal(status, 400, to);
  }
  await isLive(page);
  step("a camera that is not there is told, and the picture goes on");
  await end();

  // The next evening: who was enrolled is there, alone, and nothing is explained again.
  const kept = readdirSync(join(home, "data/effigy/identities"));
  assert(kept.includes("Ben _ Example.effigy"), String(kept));
  const next = await start();
  // A browser that knows nothing of the first evening.
  const other = await browser.newContext({ viewport: { width: 1360, height: 940 } });
  other.setDefaultTimeout(120_000);
  const later = await other.newPage();
  await later.goto(next.href);
  await isLive(later);
  await until("one person is there", async () => (await later.locator("#gallery [data-index]").count()) === 1);
  assert.equal(await later.textContent("#gallery .name").then((text) => text.replace(/synthetic$/, "")), "Ben / Example");
  await until("how it looked is remembered", () => pressed(later, '[data-to="blur"]'));
  assert(!(await later.isVisible("#guide")));
  await later.setInputFiles("#photo", join(demo, "portrait_c.png"));
  await later.check("[name=basis][value=synthetic]");
  await later.check("#enroll-sure");
  await later.click("#enroll-go");
  await until("another one is enrolled", shows(later, 1));
  await end();

  // And the evening after that: both.
  const third = await start();
  await later.goto(third.href);
  await isLive(later);
  await until("both are there", async () => (await later.locator("#gallery [data-index]").count()) === 2);
  await other.close();
  await end();
  assert.deepEqual(troubles, [], "the browser complains");
  step("the next starts show who was enrolled");
}

let failure = null;
await main().catch((error) => { failure = error; });
await browser?.close().catch(() => {});
program?.kill("SIGKILL");
rmSync(home, { recursive: true, force: true });
if (failure) { console.error(failure); process.exit(1); }
console.log(`first use: ${step.count} steps passed, screenshots in ${shots}`);
