// The control page in a real browser, against the real program: loads, moves, switches, enrols, hides, keeps two pages
// in step, and refuses what it must. Started by scripts/page_test.sh.
//   node page.mjs BINARY MODELS_DEMO_FOLDER SCREENSHOT_FOLDER
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkAccess, openBrowser, pressed, stepper, until, untranslated } from "./lib.mjs";

const [binary, demo, shots] = process.argv.slice(2);
const lab = mkdtempSync(join(tmpdir(), "effigy-page-"));
mkdirSync(shots, { recursive: true });

let program = null, browser = null;
const step = stepper();

function run(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args, { cwd: lab, stdio: ["ignore", "ignore", "inherit"] });
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${args[0]} ended with ${code}`))));
  });
}

/// Starts the program and gives the address that it prints.
function start() {
  const args = ["run", "--no-settings", "--identity", "ada.effigy,ben.effigy", "--source", join(demo, "driver.mp4"), "--loop"];
  program = spawn(binary, [...args, "--sink", "http", "--record-to", "clips", "--report", "report.json"], { cwd: lab });
  return new Promise((resolve, reject) => {
    let said = "";
    const patience = setTimeout(() => reject(new Error(`no address within a minute: ${said}`)), 60_000);
    program.stderr.on("data", (chunk) => {
      said += chunk;
      const address = said.match(/control page: (http:\S+)/);
      if (address) { clearTimeout(patience); resolve(new URL(address[1])); }
    });
    program.on("exit", (code) => reject(new Error(`the program ended with ${code}: ${said}`)));
  });
}

/// A request below the browser, where every header can be set.
function ask(url, { headers = {}, method = "GET", body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, setHost: !("Host" in headers) }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    request.on("error", reject);
    request.end(body);
  });
}

/// Some pixels of the live picture.
const pixels = (page) => page.evaluate(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 32;
  const context = canvas.getContext("2d");
  context.drawImage(document.getElementById("picture"), 0, 0, 32, 32);
  return [...context.getImageData(0, 0, 32, 32).data];
});
const difference = (a, b) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;

const shows = (page, index) => async () => (await page.locator(`[data-index="${index}"]`).count()) > 0 && pressed(page, `[data-index="${index}"]`);

/// Drops a file onto the page, as a hand would.
async function drop(page, path, type) {
  const data = readFileSync(path).toString("base64");
  const transfer = await page.evaluateHandle(([data, type]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "Cleo Example.png", { type }));
    return transfer;
  }, [data, type]);
  await page.dispatchEvent("main", "dragenter", { dataTransfer: transfer });
  assert(await page.isVisible("#drop"), "the page does not say that a photo can be dropped");
  await page.dispatchEvent("main", "drop", { dataTransfer: transfer });
}

/// What the verifier for browsers finds in a file, and says of it.
async function verdict(verifier, file) {
  await verifier.evaluate(() => { delete document.body.dataset.found; });
  await verifier.setInputFiles("#file", file);
  await verifier.waitForFunction(() => document.body.dataset.found && document.getElementById("progress").hidden, null, { timeout: 90_000 });
  return { ...JSON.parse(await verifier.getAttribute("body", "data-found")), says: await verifier.textContent("#answer") };
}

async function main() {
  for (const [file, name] of [["portrait_a.png", "ada"], ["portrait_b.png", "ben"]]) {
    await run("enroll", join(demo, file), "-o", `${name}.effigy`, "--consent", "synthetic", "--framing", "keep");
  }
  const address = await start();
  const origin = address.origin, token = address.searchParams.get("token");
  step("the program runs and has printed its address");
  browser = await openBrowser();
  const context = await browser.newContext({ viewport: { width: 1360, height: 940 }, colorScheme: "light" });
  // Sealing is slow by design, and a busy machine is slow at everything.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const troubles = [];
  for (const each of [page]) {
    each.on("pageerror", (error) => troubles.push(String(error)));
    each.on("console", (line) => { if (line.type() === "error") troubles.push(line.text()); });
  }

  // Without the token nothing is shown, with a wrong one neither.
  const shut = await browser.newContext();
  for (const wrong of ["/", "/?token=0123456789abcdef0123456789abcdef", "/stream", "/app.js", "/frame.png"]) {
    assert.equal((await (await shut.newPage()).goto(origin + wrong)).status(), 401, wrong);
  }
  await shut.close();
  step("without the token, or with a wrong one, nothing is shown");

  await page.goto(address.href);
  await until("the status is live", async () => (await page.textContent("#status")) === "Live");
  assert.equal(page.url(), origin + "/", "the token stays in the address bar");
  const [cookie] = await context.cookies();
  assert(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.value !== token, JSON.stringify(cookie));
  await page.waitForFunction(() => document.getElementById("picture").naturalWidth === 512);
  step("the page loads, the token has become a cookie");

  const first = await pixels(page);
  let most = 0;
  await until("the picture moves", async () => (most = Math.max(most, difference(first, await pixels(page)))) > 1);
  await until("figures come", async () => Number(await page.textContent("#age")) > 0);
  await until("the audio delay comes, and how to set it", () => page.evaluate(() => {
    const text = (id) => document.getElementById(id).textContent;
    const delay_ms = Number(text("delay"));
    return delay_ms > 0 && Number(text("delay-obs")) === delay_ms && Math.abs(Number(text("delay-pipewire")) * 1000 - delay_ms) < 0.5;
  }));
  await page.click("#delay-how summary");
  assert(await page.isVisible("#delay-obs") && await page.isVisible("#delay-pipewire"));
  assert((await page.textContent("#source")).includes("driver.mp4"));
  assert.match(await page.textContent("#generator"), /^small on cpu/);
  const inked = (id) => page.evaluate((id) => {
    const canvas = document.getElementById(id);
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
  }, id);
  await until("the driver's lines are drawn", () => inked("lines"));
  await until("the chart is drawn", () => inked("chart"));
  step("the picture moves; figures, chart and lines are there");

  // What the age is made of, how well the driver is seen, and nothing to complain of.
  await until("the parts of the age are named", async () => /^The age is made of: .*generate \d+ ms/.test(await page.textContent("#made-of")));
  await until("the driver is seen well", async () => Number(await page.getAttribute("#confidence", "value") ?? await page.$eval("#confidence", (m) => m.value)) > 0.7);
  assert.match(await page.textContent("#confidence-value"), /^good, \d+ %$/);
  const advised = (await page.locator("#advice p").allTextContents()).filter((text) => !text.includes("keep up"));
  assert.deepEqual(advised, [], "a good clip is complained of");
  step("what the age is made of and the confidence are said in words");

  // Every language, chosen by the browser's or by hand, kept for the next run at another port.
  const english = await untranslated(page);
  for (const language of ["de", "es", "zh", "ja", "ru"]) {
    const abroad = await browser.newContext({ locale: language });
    const guest = await abroad.newPage();
    await guest.goto(address.href);
    await until(`the page speaks ${language}`, () => guest.evaluate((l) => document.documentElement.lang.startsWith(l), language));
    await until("figures have come", async () => Number(await guest.textContent("#age")) > 0);
    const left = (await untranslated(guest)).filter((text) => english.includes(text));
    // A few words are the same in both.
    assert.deepEqual(left.filter((text) => !["Ninguno", "Name", "Calibrar", "Live", "Rate"].includes(text)), [], `not translated to ${language}`);
    await checkAccess(guest, language);
    await guest.screenshot({ path: join(shots, `language-${language}.png`) });
    const { scroll, inner } = await guest.evaluate(() => ({ scroll: document.documentElement.scrollWidth, inner: innerWidth }));
    assert(scroll <= inner, `${language}: ${scroll} pixels wide in a window of ${inner}`);
    await abroad.close();
  }
  await page.selectOption("#language", "de");
  await until("German at once", async () => (await page.textContent("#panic .text")) === "Jetzt verbergen" && (await page.textContent("#made-of")).startsWith("Das Alter"));
  await page.reload();
  await until("German is kept", async () => (await page.textContent("#status")) === "Live" && (await page.textContent("#mirror .text")) === "Spiegeln");
  await page.selectOption("#language", "en");
  await until("English again", async () => (await page.textContent("#panic .text")) === "Hide me now");
  await page.evaluate(() => document.activeElement.blur());
  step("six languages: by the browser's choice, by hand, kept; every text is translated");

  const second = await context.newPage();
  await second.goto(origin + "/");
  await until("the second page is live by its cookie", async () => (await second.textContent("#status")) === "Live");
  assert(await shows(page, 0)());
  const before = await pixels(page);
  await page.click('[data-index="1"]');
  await until("the click has switched", shows(page, 1));
  await until("the second page follows", shows(second, 1));
  await until("another face is in the picture", async () => difference(before, await pixels(page)) > 8);
  await second.bringToFront();
  await second.keyboard.press("1");
  await until("the key has switched", shows(second, 0));
  await until("the first page follows", shows(page, 0));
  await page.bringToFront();
  step("identities are switched by click and by key; two pages stay in step");

  await page.keyboard.press("m");
  await until("mirrored", () => pressed(second, "#mirror"));
  await page.keyboard.press("m");
  await page.click('[data-to="blur"]');
  await until("blurred", () => pressed(second, '[data-to="blur"]'));
  await page.keyboard.press("b");
  await until("green", () => pressed(second, '[data-to="#00b140"]'));
  await page.focus("#strength");
  await page.keyboard.press("End");
  await until("the strength is shared", async () => (await second.textContent("#strength-value")) === "200 %");
  await page.keyboard.press("-");
  await until("less", async () => (await second.textContent("#strength-value")) === "190 %");
  await page.evaluate(() => { const s = document.getElementById("strength"); s.value = 1; s.dispatchEvent(new Event("input")); s.dispatchEvent(new Event("change")); });
  await page.click('[data-to="own"]');
  await page.setInputFiles("#backdrop", join(demo, "people.jpg"));
  await until("a picture is behind", async () => (await second.getAttribute('[data-to="picture"]', "aria-pressed")) === "true");
  await page.click('[data-to="own"]');
  await page.keyboard.press("c");
  await until("calibrated", async () => (await page.textContent("#said")).includes("Calibrated"));
  await page.click("#parts summary");
  await page.evaluate(() => { const s = document.getElementById("mouth"); s.value = 0.5; s.dispatchEvent(new Event("input")); s.dispatchEvent(new Event("change")); });
  await until("a part's strength is shared", async () => (await second.textContent("#mouth-value")) === "50 %");
  await page.evaluate(() => { const s = document.getElementById("keep-expression"); s.value = 0.25; s.dispatchEvent(new Event("input")); s.dispatchEvent(new Event("change")); });
  await until("the kept expression is shared", async () => (await second.textContent("#keep-expression-value")) === "25 %");
  await page.evaluate(() => { const s = document.getElementById("eye-contact"); s.value = 0.5; s.dispatchEvent(new Event("input")); s.dispatchEvent(new Event("change")); });
  await until("eye contact is shared", async () => (await second.textContent("#eye-contact-value")) === "50 %");
  await page.evaluate(() => { for (const [id, value] of [["mouth", 1], ["eye-contact", 0], ["keep-expression", 0]]) { const s = document.getElementById(id); s.value = value; s.dispatchEvent(new Event("input")); s.dispatchEvent(new Event("change")); } });
  step("mirror, background, strength and calibration by page and keys");

  // Whoever does not see the badge is told of it; its corner and language are chosen on the page.
  const live = await page.$eval("#marked", (p) => [p.getAttribute("role"), p.getAttribute("aria-live"), p.textContent]);
  assert.deepEqual(live.slice(0, 2), ["status", "polite"]);
  assert.match(live[2], /^Synthetic: every picture carries a visible and an invisible mark .* made with AI\.$/);
  assert.equal(await page.getAttribute("#picture", "aria-describedby"), "marked");
  const tree = await page.locator(".stage").ariaSnapshot();
  assert(/status.*Synthetic/.test(tree), `screen readers are not told: ${tree}`);
  // A text that is written again is read out again: other changes must leave it alone.
  await page.evaluate(() => { window.rewritten = 0; new MutationObserver((all) => { window.rewritten += all.length; }).observe(document.getElementById("marked"), { childList: true, characterData: true, subtree: true }); });
  const corner = (page, x, y) => page.evaluate(([x, y]) => {
    const canvas = document.createElement("canvas"), picture = document.getElementById("picture");
    canvas.width = canvas.height = 512;
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(x, y, 92, 46);
    let n_ink = 0;
    for (let i = 0; i < data.length; i += 4) n_ink += data[i] > 200 && data[i + 1] > 200 && data[i + 2] > 200;
    return n_ink;
  }, [x, y]);
  const inkBefore = await corner(page, 0, 0);
  await page.selectOption("#badge-place", "top-left");
  await until("the second page shows the corner", async () => (await second.inputValue("#badge-place")) === "top-left");
  await until("the badge is at the upper left", async () => (await corner(page, 0, 0)) > inkBefore + 50);
  const inkShort = await corner(page, 0, 0);
  await page.selectOption("#badge-language", "ja");
  await until("the second page shows the language", async () => (await second.inputValue("#badge-language")) === "ja");
  await until("the longer word is there", async () => (await corner(page, 0, 0)) > inkShort + 40);
  await page.screenshot({ path: join(shots, "badge-ja.png") });
  await page.selectOption("#badge-place", "bottom-right");
  await page.selectOption("#badge-language", "en");
  await until("back", async () => (await second.inputValue("#badge-place")) === "bottom-right" && (await second.inputValue("#badge-language")) === "en");
  assert.equal(await page.evaluate(() => window.rewritten), 0, "the announcement was written anew");
  step("the stream is announced as synthetic; the badge's corner and language by the page");

  const lively = await pixels(page);
  await page.keyboard.press("p");
  await until("hidden", async () => (await second.textContent("#status")) === "Hidden");
  await until("the card is in the picture", async () => difference(lively, await pixels(page)) > 15);
  await page.screenshot({ path: join(shots, "hidden.png") });
  await second.click("#panic");
  await until("shown again", async () => (await page.textContent("#status")) === "Live");
  const dispatch = (key, code) => page.evaluate(([key, code]) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, code, bubbles: true })), [key, code]);
  await dispatch("з", "KeyP");
  await until("hidden by the key's place", async () => (await second.textContent("#status")) === "Hidden");
  await dispatch("з", "KeyP");
  await until("shown once more", async () => (await page.textContent("#status")) === "Live");
  step("panic by key, in another script too, back by click on the other page");

  // Steps that follow each other faster than the program tells of them add up.
  await page.focus("#strength");
  await page.keyboard.press("Home");
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press("ArrowRight");
    await page.waitForTimeout(30);
  }
  await until("twenty steps have arrived", async () => (await second.inputValue("#strength")) === "1");
  await page.evaluate(() => document.activeElement.blur());
  step("twenty quick steps of a slider add up");

  await drop(page, join(demo, "portrait_c.png"), "image/png");
  await page.waitForSelector("#enroll[open]");
  assert.equal(await page.inputValue("#enroll-name"), "Cleo Example");
  await page.click("#enroll-go");
  assert(await page.isVisible("#enroll[open]"), "it was enrolled without an answer to the consent question");
  await page.check("[name=basis][value=subject]");
  assert(await page.isVisible("#enroll-by"));
  await checkAccess(page, "enrolling");
  await page.screenshot({ path: join(shots, "enroll.png") });
  await page.check("[name=basis][value=synthetic]");
  await page.check("#enroll-sure");
  await page.click("#enroll-go");
  await until("the new identity is shown", shows(page, 2), 60_000);
  await until("on the second page too", shows(second, 2));
  const save = async (passphrase, again, name) => {
    await page.click("#gallery .save");
    await page.fill("#save-passphrase", passphrase);
    await page.fill("#save-again", again);
    const [file] = await Promise.all([page.waitForEvent("download"), page.click("#save-go")]);
    await file.saveAs(join(lab, name));
    assert.equal(file.suggestedFilename(), "Cleo_Example.effigy");
    await until("the question is gone", async () => !(await page.isVisible("#save[open]")));
  };
  await save("", "", "cleo.effigy");
  await run("verify", "cleo.effigy");
  step("a photo is dropped, the consent question answered, the identity shown, saved and verified");

  await page.click("#gallery .save");
  await page.fill("#save-passphrase", "three green words");
  await page.fill("#save-again", "three green word");
  await page.click("#save-go");
  assert.match(await page.textContent("#save-error"), /differ/);
  // What is typed into a dialog steers nothing, whatever has the focus.
  await page.focus("#save-go");
  await page.keyboard.type("r1p");
  await checkAccess(page, "saving");
  assert(await shows(page, 2)() && !(await pressed(page, "#record")));
  assert.equal(await page.textContent("#status"), "Live");
  await page.screenshot({ path: join(shots, "save.png") });
  await page.click("#save-cancel");
  await save("three green words", "three green words", "sealed.effigy");
  writeFileSync(join(lab, "words.txt"), "three green words\n");
  await run("unseal", "sealed.effigy", "--passphrase-file", "words.txt");
  await run("verify", "sealed.effigy");
  step("saved once more, sealed to a passphrase that opens it");

  // Two faces of a size: the page shows both, and a click says which one is meant.
  const two = await page.evaluate(async (sides) => {
    const pictures = await Promise.all(sides.map((side) => createImageBitmap(new Blob([Uint8Array.from(atob(side), (c) => c.charCodeAt(0))]))));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * pictures[0].width, pictures[0].height];
    pictures.forEach((picture, i) => canvas.getContext("2d").drawImage(picture, i * picture.width, 0));
    return canvas.toDataURL("image/png").split(",")[1];
  }, ["portrait_a.png", "portrait_b.png"].map((file) => readFileSync(join(demo, file)).toString("base64")));
  writeFileSync(join(lab, "two.png"), Buffer.from(two, "base64"));
  await drop(page, join(lab, "two.png"), "image/png");
  await page.check("[name=basis][value=synthetic]");
  await page.check("#enroll-sure");
  await page.click("#enroll-go");
  await page.waitForSelector("#enroll-faces button >> nth=1", { timeout: 60_000 });
  assert.equal(await page.locator("#enroll-faces button").count(), 2);
  await page.waitForFunction(() => document.getElementById("enroll-photo").naturalWidth > 0);
  const boxes = await page.locator("#enroll-faces button").evaluateAll((all) => all.map((b) => b.getBoundingClientRect().toJSON()));
  const whole = await page.$eval("#enroll-photo", (img) => img.getBoundingClientRect().toJSON());
  assert(boxes[0].right < boxes[1].left, "the boxes are not where the faces are");
  for (const box of boxes) assert(box.left >= whole.left - 1 && box.right <= whole.right + 1 && box.bottom <= whole.bottom + 1 && box.width > 20);
  await checkAccess(page, "choosing a face");
  await page.screenshot({ path: join(shots, "choose.png") });
  await page.click("#enroll-faces button >> nth=1");
  await page.click("#enroll-go");
  await until("the chosen face is shown", shows(page, 3), 60_000);
  step("of two faces in a photo a click chooses one");

  // A photo that may look bad is not taken without a word.
  const dim = await page.evaluate(async (file) => {
    const picture = await createImageBitmap(new Blob([Uint8Array.from(atob(file), (c) => c.charCodeAt(0))]));
    const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    context.filter = "brightness(0.25)";
    context.drawImage(picture, 0, 0);
    return canvas.toDataURL("image/png").split(",")[1];
  }, readFileSync(join(demo, "portrait_a.png")).toString("base64"));
  writeFileSync(join(lab, "dim.png"), Buffer.from(dim, "base64"));
  await drop(page, join(lab, "dim.png"), "image/png");
  await page.check("[name=basis][value=synthetic]");
  await page.check("#enroll-sure");
  await page.click("#enroll-go");
  await page.waitForSelector("#enroll-error:visible", { timeout: 60_000 });
  assert.match(await page.textContent("#enroll-error"), /may look bad: The face is dark; take the photo in more light/);
  assert.equal(await page.locator("[data-index]").count(), 4, "it was enrolled without an answer");
  await page.screenshot({ path: join(shots, "doubt.png") });
  await page.click("#enroll-go");
  await until("the dark photo is taken on a second word", shows(page, 4), 60_000);
  step("a dark photo is warned of, and taken when it is wanted all the same");

  // An identity file is no photo: it is said where such a file goes.
  await page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(8)], "ann.effigy"));
    document.querySelector("main").dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer }));
  });
  await until("it is said that it cannot be opened here", async () => /sealed ones too, are opened when effigy starts/.test(await page.textContent("#said")));

  await drop(page, join(demo, "driver.mp4"), "image/png");
  await page.check("[name=basis][value=self]");
  await page.check("#enroll-sure");
  await page.click("#enroll-go");
  await page.waitForSelector("#enroll-error:visible");
  assert((await page.textContent("#enroll-error")).includes("JPEG, PNG, WebP, HEIC"));
  await page.click("#enroll-cancel");
  // The refused upload is the one thing that the console may complain of.
  const others = troubles.filter((text) => !text.includes("422"));
  assert.deepEqual(others, [], "the browser complains");
  step("what is no photo is refused with a reason");

  // Below the browser: every header as an attacker's page would have it.
  const cookies = { Cookie: `${cookie.name}=${cookie.value}` };
  const host = address.host, card = JSON.stringify({ do: "card", on: true });
  const upgrade = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };
  const post = (headers) => ask(origin + "/command", { method: "POST", body: card, headers: { ...cookies, ...headers } });
  assert.equal(await ask(origin + "/", { headers: cookies }), 200);
  assert.equal(await ask(origin + "/", { headers: { ...cookies, Host: "rebound.example:" + address.port } }), 421);
  assert.equal(await ask(origin + "/", { headers: { ...cookies, Host: "127.0.0.1:1" } }), 421);
  assert.equal(await ask(origin + "/socket", { headers: { ...cookies, ...upgrade, Origin: "http://evil.example" } }), 403);
  assert.equal(await ask(origin + "/socket", { headers: { ...cookies, ...upgrade } }), 403);
  assert.equal(await ask(origin + "/stream", { headers: { ...cookies, "Sec-Fetch-Site": "same-site" } }), 403);
  assert.equal(await post({ Origin: "http://evil.example" }), 403);
  assert.equal(await post({ Origin: `http://127.0.0.1:${Number(address.port) + 1}` }), 403);
  assert.equal(await post({}), 403);
  assert.equal(await page.textContent("#status"), "Live", "a refused command was carried out");
  assert.equal(await post({ Origin: `http://${host}` }), 204);
  await until("the right command is carried out", async () => (await page.textContent("#status")) === "Hidden");
  await page.keyboard.press("p");

  // A foreign page in the same browser, cookie and all.
  const foreign = http.createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<p>evil</p>"));
  await new Promise((ready) => foreign.listen(0, "127.0.0.1", ready));
  const evil = await context.newPage();
  await evil.goto(`http://127.0.0.1:${foreign.address().port}/`);
  const harvest = await evil.evaluate(async ([origin, ws]) => {
    const picture = (src) => new Promise((done) => { const i = new Image(); i.onload = () => done(true); i.onerror = () => done(false); i.src = src; setTimeout(() => done(false), 3000); });
    const socket = () => new Promise((done) => { const s = new WebSocket(ws); s.onopen = () => done(true); s.onerror = () => done(false); });
    await fetch(origin + "/command", { method: "POST", mode: "no-cors", credentials: "include", body: '{"do":"card","on":true}' }).catch(() => {});
    return { picture: await picture(origin + "/frame.jpg"), stream: await picture(origin + "/stream"), socket: await socket() };
  }, [origin, origin.replace("http", "ws") + "/socket"]);
  assert.deepEqual(harvest, { picture: false, stream: false, socket: false });
  await until("still live", async () => (await page.textContent("#status")) === "Live");
  await evil.close();
  foreign.close();
  step("wrong Host, Origin and site are refused, for a real foreign page too");

  const view = await context.newPage();
  await view.setViewportSize({ width: 640, height: 360 });
  await view.goto(`${origin}/view?token=${token}`);
  await view.waitForFunction(() => document.getElementById("picture").naturalWidth === 512);
  let n_loads = 0;
  view.on("load", () => n_loads++);
  await view.waitForTimeout(4500);
  assert.equal(n_loads, 0, "the view starts again although nothing has ended");
  assert(await view.isVisible("#picture"));
  await view.close();
  await second.close();

  await page.click('[data-index="0"]');
  await page.waitForTimeout(4000);
  for (const [name, colorScheme, width, height] of [
    ["wide-light", "light", 1360, 940], ["wide-dark", "dark", 1360, 940], ["middle-dark", "dark", 900, 1200],
    ["narrow-light", "light", 390, 844], ["narrow-dark", "dark", 390, 844],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    await page.waitForTimeout(600);
    const { scroll, inner } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, inner: innerWidth }));
    assert(scroll <= inner, `${name}: ${scroll} pixels wide in a window of ${inner}`);
    await checkAccess(page, name);
    await page.screenshot({ path: join(shots, name + ".png"), fullPage: true });
  }
  step("nothing sticks out at any width, light and dark; axe-core finds nothing");

  // As a dock of OBS: narrow, without the picture, which OBS shows itself.
  const dock = await context.newPage();
  await dock.setViewportSize({ width: 320, height: 700 });
  await dock.goto(`${origin}/?token=${token}&dock`);
  await until("the dock is live", async () => (await dock.textContent("#status")) === "Live");
  assert.equal(dock.url(), origin + "/?dock", "the dock forgets that it is one, or shows the token");
  assert(!(await dock.isVisible("#picture")) && (await dock.isVisible("#panic")));
  assert.equal(await dock.$eval("#picture", (picture) => picture.src), "", "the dock fetches a picture that nobody sees");
  assert(await dock.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the dock sticks out");
  await checkAccess(dock, "dock");
  await dock.screenshot({ path: join(shots, "dock.png") });
  await dock.close();
  step("as a dock of OBS");

  // By keyboard alone: every control is reached and shows it.
  await page.setViewportSize({ width: 1360, height: 940 });
  await page.evaluate(() => document.activeElement?.blur());
  const reached = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.dataset.index || document.activeElement.dataset.to));
  }
  for (const control of ["language", "panic", "calibrate", "mirror", "0", "2", "strength", "own", "blur", "colour", "picture", "badge-place", "badge-language", "log"]) {
    assert(reached.has(control), `${control} is not reached by Tab: ${[...reached]}`);
  }
  const contrasts = await page.evaluate(checkContrast);
  await page.emulateMedia({ colorScheme: "light" });
  const poor = [...contrasts, ...(await page.evaluate(checkContrast))];
  assert.deepEqual(poor, [], "text with a contrast below 4.5");
  step("every control is reached by keyboard; all text has a contrast of 4.5 or more");

  // A recording by the page's button, and a picture by its key.
  const recordings = () => existsSync(join(lab, "clips")) ? readdirSync(join(lab, "clips")) : [];
  await page.click("#record");
  await until("a recording goes on", () => pressed(page, "#record"));
  await until("its file is there", () => recordings().some((name) => name.endsWith(".mp4")));
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("s");
  await until("a picture is there", () => recordings().some((name) => name.endsWith(".png")));
  await page.waitForTimeout(1500);
  await page.click("#record");
  await until("the recording has ended", async () => (await page.textContent("#log")).includes("recorded: "));
  assert(!(await pressed(page, "#record")));
  step("a recording begins and ends by the page, a picture is taken by its key");

  const still = await context.request.get(`${origin}/frame.png`);
  assert.equal(still.status(), 200);
  const stillFile = { name: "still.png", mimeType: "image/png", buffer: await still.body() };

  // A program that stands still is noticed, and so is that nothing can be asked of it.
  program.kill("SIGSTOP");
  await until("the page has noticed", async () => (await page.textContent("#status")) === "Not connected");
  await page.keyboard.press("c");
  assert.match(await page.textContent("#said"), /nothing was changed/);
  await page.selectOption("#language", "de");
  assert.equal(await page.textContent("#status"), "Nicht verbunden");
  await page.selectOption("#language", "en");
  await page.evaluate(() => document.activeElement?.blur());
  program.kill("SIGCONT");
  await until("it is there again", async () => (await page.textContent("#status")) === "Live");
  step("a program that stands still is noticed, and is there again when it goes on");

  program.removeAllListeners("exit");
  const ended = new Promise((resolve) => program.on("exit", resolve));
  program.kill("SIGTERM");
  assert.equal(await ended, 130);
  program = null;
  await until("the page says that the run has ended", async () => (await page.textContent("#veil")).includes("not running"));
  const report = JSON.parse(readFileSync(join(lab, "report.json")));
  step(`the run ends cleanly and the page says so; age p50 ${report.age_ms.p50.toFixed(1)} ms, p99 ${report.age_ms.p99.toFixed(1)}`);

  // The verifier for browsers, a file on the disk: it finds what the program put in, and as much as `effigy verify` does.
  await run("run", "--no-settings", "--identity", "ada.effigy", "--source", join(demo, "driver.mp4"), "--every-frame", "--duration", "2", "--sink", "file:marked.mp4");
  const told = spawnSync(binary, ["verify", "--json", "marked.mp4"], { cwd: lab, encoding: "utf8" });
  const verifier = await browser.newPage();
  await verifier.goto(new URL("../../web/verify/index.html", import.meta.url).href);
  const clip = await verdict(verifier, join(lab, "marked.mp4"));
  assert(clip.marked && clip.says.startsWith("Made with effigy"), JSON.stringify(clip));
  assert.equal(told.status, 0, told.stderr);
  assert.equal(clip.run, JSON.parse(told.stdout).run);
  const picture = await verdict(verifier, stillFile);
  assert(picture.marked, JSON.stringify(picture));
  const unmarked = await verdict(verifier, join(demo, "driver.mp4"));
  assert(!unmarked.marked && unmarked.says.startsWith("No mark found"), JSON.stringify(unmarked));
  const torn = await verdict(verifier, { name: "torn.mp4", mimeType: "video/mp4", buffer: Buffer.from("no clip") });
  assert(torn.says.startsWith("This file cannot be read"), JSON.stringify(torn));
  await verifier.close();
  step(`the verifier for browsers finds the mark in a clip (score ${clip.score.toFixed(0)}) and in a still (${picture.score.toFixed(0)}), none in the driver's clip (${unmarked.score.toFixed(1)}), and refuses what is no clip`);
}

/// Every text whose colour stands out too little from what is behind it (WCAG 2, contrast ratio below 4.5).
function checkContrast() {
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > .75) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.closest("script, .skip, [aria-hidden=true] , :disabled")) continue;
    let [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    if (a < b) [a, b] = [b, a];
    if ((a + .05) / (b + .05) < 4.5) poor.push(`${node.textContent.trim().slice(0, 30)}: ${((a + .05) / (b + .05)).toFixed(2)}`);
  }
  return poor;
}

let failure = null;
await main().catch((error) => { failure = error; });
await browser?.close().catch(() => {});
program?.kill("SIGKILL");
rmSync(lab, { recursive: true, force: true });
if (failure) { console.error(failure); process.exit(1); }
console.log(`page: ${step.count} steps passed, screenshots in ${shots}`);
