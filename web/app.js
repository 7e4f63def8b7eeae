// The control page: state comes in over a socket, commands go out over it.
import { FaceLines, StageChart } from "/chart.js";
import { begin, current, keep, knows, speak, t } from "/words.js";

const $ = (id) => document.getElementById(id);
const BACKGROUNDS = ["own", "blur", "#00b140", "none"];
const BASES = { self: "yourself", subject: "with consent", synthetic: "synthetic", "public-domain": "public domain" };

const MARKED = "Synthetic: every picture carries a visible and an invisible mark that say it was made with AI.";
const MARKED_INVISIBLY = "Synthetic: every picture carries an invisible mark that says it was made with AI. The visible one is off.";

// As a dock of OBS the page is narrow, and OBS shows the picture itself.
const isDock = new URLSearchParams(location.search).has("dock");
document.body.classList.toggle("dock", isDock);
// The token has become a cookie; it need not stand where a shared screen shows it.
if (location.search) history.replaceState(null, "", isDock ? "/?dock" : "/");

// Figures come five times a second: a program that is silent for so long is gone, whatever the socket says.
const SILENCE_MS = 6000;
// Screens draw up to 240 times a second, and a slider that is dragged tells each time.
const COMMAND_EVERY_MS = 33;

let state = null, hello = null, figures = null, socket = null, heardAt = 0, limits = { max_upload_bytes: 16 << 20 }, retry_ms = 500;
const chart = new StageChart($("chart"), $("legend"));
const face = new FaceLines($("lines"));

// --- the socket

function connect() {
  socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/socket");
  socket.binaryType = "arraybuffer";
  heardAt = performance.now();
  socket.onopen = () => { heardAt = performance.now(); retry_ms = 500; $("log").replaceChildren(); watch(); };
  socket.onmessage = ({ data }) => {
    heardAt = performance.now();
    socket.wasHeard = true;
    if (data instanceof ArrayBuffer) return face.take(data);
    const message = JSON.parse(data);
    handlers[message.type]?.(message);
  };
  socket.onclose = lost;
}

async function lost() {
  const { wasHeard } = socket;
  socket = null;
  setStatus("off", t("Not connected"));
  let why = "effigy is not running here any more. This page comes back when it does.";
  if (!wasHeard) {
    const answer = await fetch("/icon.svg", { cache: "no-store", signal: AbortSignal.timeout(1500) }).catch(() => null);
    if (answer?.status === 401) why = "effigy was started again: open the address that it printed.";
    if (answer?.ok) why = "Too many pages of effigy are open: close one.";
  }
  veil(t(why));
  setTimeout(connect, retry_ms);
  retry_ms = Math.min(5000, retry_ms * 1.6);
}

setInterval(() => {
  if (!socket || performance.now() - heardAt < SILENCE_MS) return;
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
  lost();
}, 1000);

/** Sends a command; whether there is somebody to send it to. */
function send(command) {
  const isConnected = socket?.readyState === WebSocket.OPEN;
  if (isConnected) socket.send(JSON.stringify(command)); else say(t("Not connected: nothing was changed."), true);
  return isConnected;
}

/** Carries out what is asked for at most 30 times a second, and what was asked for last in any case. */
function paced(act) {
  let waiting = null, timer = 0;
  const next = () => {
    timer = 0;
    if (waiting) begin(waiting.value);
  };
  const begin = (value) => {
    waiting = null;
    timer = setTimeout(next, COMMAND_EVERY_MS);
    act(value);
  };
  return (value) => { if (timer) waiting = { value }; else begin(value); };
}

let isCurrent = false;
const handlers = {
  hello(next) {
    limits = hello = next;
    // Messages of before are sent once more.
    isCurrent = false;
    // Cameras and people of an earlier run may be others.
    [wereListed, cameras, shownGallery] = [false, null, ""];
    $("save").close();
    if (hello.first_use && !isDock && guide.at === null && !guide.wasSeen()) guide.open();
    showProgram();
  },
  state(next) {
    state = next;
    if (state.card) setStatus("card", t(state.panic ? "Hidden" : state.card)); else setStatus("live", t("Live"));
    press($("panic"), state.panic);
    $("panic").querySelector(".text").textContent = t(state.panic ? "Show me again" : "Hide me now");
    press($("mirror"), state.mirror);
    press($("record"), state.recording === true);
    for (const id of ["record", "take-picture"]) $(id).hidden = state.recording == null;
    for (const id of ["vcam", "pipewire"]) { $(id).hidden = state.cameras[id] == null; press($(id), state.cameras[id]); }
    showDriver();
    face.isMirrored = state.mirror;
    for (const slider of Object.values(sliders)) slider.follow(state);
    showFraming();
    showBadge();
    showBackground();
    showGallery();
  },
  figures(next) {
    isCurrent = true;
    figures = next;
    chart.add(figures.stages_ms);
    showFigures();
  },
  message({ warning, text }) {
    const item = document.createElement("li"), log = $("log");
    item.textContent = text;
    item.className = warning ? "warning" : "";
    item.dataset.mark = warning ? t("Warning:") + " " : "";
    // What was asked for on this page, and failed, is told here too: the list of messages may be out of sight.
    if (warning && isCurrent) say(text, true, 20000);
    const isAtEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 30;
    log.append(item);
    while (log.children.length > 100) log.firstChild.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  },
  refused({ why }) {
    say(why, true);
    // What stands on the page is not what holds.
    for (const slider of Object.values(sliders)) slider.forget();
    if (state) handlers.state(state);
  },
};

/** What the program said of itself when the page met it. */
function showProgram() {
  // Folders may say more than a shared screen should show.
  $("source").textContent = hello.source.replace(/^[^,]*[/\\]/, "");
  $("enroll-keep-row").hidden = !hello.keeps;
  $("generator").textContent = t("{} on {}", hello.generator, hello.backend);
  // A tall picture would push everything else out of sight.
  $("picture").parentElement.style.aspectRatio = Math.max(1, hello.frame_px[0] / hello.frame_px[1]);
  $("size").textContent = `${hello.frame_px[0]} × ${hello.frame_px[1]}`;
  $("version").textContent = `effigy ${hello.version}`;
  chart.setStages(hello.stages);
  showFigures();
  face.lines = hello.lines;
}

function showFigures() {
  if (!figures || !hello) return;
  $("age").textContent = figures.age_ms ? figures.age_ms.toFixed(0) : "–";
  $("rate").textContent = figures.fps ? figures.fps.toFixed(1) : "–";
  $("dropped").textContent = figures.dropped;
  const delay_ms = Math.round(figures.audio_delay_ms);
  $("delay").textContent = $("delay-obs").textContent = delay_ms || "–";
  $("delay-pipewire").textContent = delay_ms ? (delay_ms / 1000).toFixed(3) : "SECONDS";
  showMicrophone(figures.microphone);
  const parts = hello.parts.map((name, i) => ({ name, ms: figures.parts_ms[i] })).filter(({ ms }) => ms >= .5).sort((a, b) => b.ms - a.ms);
  setText($("made-of"), parts.length ? t("The age is made of: {}.", parts.map(({ name, ms }) => t("{} {} ms", t(name), ms.toFixed(0))).join(", ")) : "");
  const { confidence } = figures, level = confidence >= .7 ? "good" : confidence >= .4 ? "fair" : confidence > 0 ? "poor" : "no face";
  $("confidence").value = confidence;
  setText($("confidence-value"), `${t(level)}, ${Math.round(confidence * 100)} %`);
  $("confidence").setAttribute("aria-valuetext", $("confidence-value").textContent);
  const advice = figures.troubles.map((name) => t(hello.advice[name])).map((text) => text[0].toUpperCase() + text.slice(1));
  // A list that is written anew is read out anew.
  if (advice.join("\n") !== [...$("advice").children].map((item) => item.textContent).join("\n")) {
    $("advice").replaceChildren(...advice.map((text) => {
      const item = document.createElement("p");
      item.textContent = text;
      return item;
    }));
  }
}

function setText(element, text) { if (element.textContent !== text) element.textContent = text; }

// --- the picture

function veil(text) { $("veil").textContent = text; $("veil").hidden = !text; }

function watch() {
  veil("");
  if (!document.hidden && !isDock) $("picture").src = "/stream?" + Date.now();
}

$("picture").onerror = () => { if (socket?.readyState === WebSocket.OPEN && !document.hidden) setTimeout(watch, 1000); };
document.addEventListener("visibilitychange", () => {
  // A page that nobody looks at costs the pipeline nothing.
  if (document.hidden) $("picture").removeAttribute("src"); else if (socket?.readyState === WebSocket.OPEN) watch();
});

function setStatus(kind, text) { $("status").dataset.kind = kind; $("status").textContent = text; }
function press(button, isOn) { button.setAttribute("aria-pressed", String(Boolean(isOn))); }

let saidUntil = 0;
function say(text, isBad = false, for_ms = 6000) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", isBad);
  clearTimeout(saidUntil);
  saidUntil = setTimeout(() => { $("said").textContent = ""; }, for_ms);
}

// --- steering

const actions = {
  panic() { send({ do: "card", on: !state?.panic }); },
  calibrate() { if (send({ do: "calibrate" })) say(t("Calibrated: this is your face at rest.")); },
  mirror() { send({ do: "mirror", on: !state?.mirror }); },
  record() { if (state?.recording != null) send({ do: "record", on: !state.recording }); },
  takePicture() { if (state?.recording != null) send({ do: "take-picture" }); },
  identity(index) { if (index < (state?.identities.length ?? 0)) send({ do: "identity", index }); },
  background(to) { send({ do: "background", to }); },
  nextBackground() {
    const at = BACKGROUNDS.indexOf(state?.background);
    actions.background(BACKGROUNDS[(at + 1) % BACKGROUNDS.length]);
  },
  framing(to) { send({ do: "framing", to }); },
  nextFraming() {
    const all = ["head", "photo", "fill"];
    actions.framing(all[(all.indexOf(state?.framing) + 1) % all.length]);
  },
  strength(value) { sliders.strength.set(value); },
};

// --- what drives

// "cameras" is what was found; before that nothing is said about it.
let cameras = null, wereListed = false, listTrouble = "";

function showDriver() {
  const { driver } = state;
  $("driver-choice").hidden = !driver;
  if (!driver) return;
  $("source").textContent = driver.changing ? t("Changing…") : driver.name || t("Nothing");
  if (!wereListed) listCameras();
  const found = cameras ?? [];
  const own = { value: "pattern", text: t("The program’s own clip") };
  const list = [...found.map(({ source, name, trouble }) => ({ value: source, text: name, disabled: Boolean(trouble) })), own];
  const used = found.find(({ index }) => index === driver.camera);
  const now = used?.source ?? driver.source;
  // Nothing can be chosen again only when something else was chosen before.
  if (!driver.name && !driver.changing) list.unshift({ value: "", text: t("Nothing") });
  // What was begun with may be called by another name.
  else if (!list.some(({ value }) => value === now)) list.unshift({ value: now, text: driver.name || now });
  fill($("camera"), list, driver.name || driver.changing ? now : "");
  const formats = (used?.formats ?? []).map((format) => ({ value: format, text: format }));
  const auto = { value: "auto", text: driver.delivers ? t("By itself: {}", driver.delivers) : t("By itself") };
  fill($("camera-format"), [auto, ...formats], formats.some(({ value }) => value === driver.format) ? driver.format : "auto");
  // A list that has the focus would lose it.
  $("camera-format").disabled = !formats.length && document.activeElement !== $("camera-format");
  const troubles = [listTrouble, ...found.map(({ trouble }) => trouble)].filter(Boolean);
  setText($("camera-trouble"), troubles.length || found.length || !cameras ? troubles.join(" ") : t("No camera is found: plug one in, then look again."));
}

/// Gives a list other entries only when they have changed: one that is open stays open.
function fill(select, entries, now) {
  const key = JSON.stringify(entries);
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...entries.map(({ value, text, disabled }) => Object.assign(document.createElement("option"), { value, textContent: text, disabled: disabled === true })));
  }
  if (select.value !== now) select.value = now;
}

async function listCameras() {
  wereListed = true;
  try {
    const answer = await fetch("/cameras", { cache: "no-store" });
    // Another page is asking at this moment.
    if (answer.status === 429) return setTimeout(listCameras, 1000);
    const text = await answer.text();
    let found;
    try { found = JSON.parse(text); } catch { found = { error: text }; }
    cameras = found.cameras ?? [];
    listTrouble = found.error ?? "";
    showDriver();
  } catch {
    say(t("effigy could not be reached."), true);
  }
}
$("cameras-again").onclick = listCameras;
$("camera").addEventListener("change", () => send({ do: "source", to: $("camera").value }));
$("camera-format").addEventListener("change", () => send({ do: "camera-format", to: $("camera-format").value }));

// --- where it goes

for (const id of ["vcam", "pipewire"]) $(id).onclick = () => send({ do: id, on: !state?.cameras[id] });
$("copy-view").onclick = async () => {
  try {
    await navigator.clipboard.writeText(hello.view);
    say(t("Copied: paste it into the browser source."));
  } catch {
    // Browsers give the clipboard to pages of this computer and encrypted ones only.
    say(t("The browser does not let this page copy: take the address for OBS that effigy printed."), true);
  }
};

// --- the first steps

const guide = {
  STEPS: [
    { card: "people", focus: "guide-photo", text: "Choose a photo of who shall be shown, or one of the program’s own people. Nothing leaves this computer." },
    { card: "driver", focus: "guide-next", text: "Choose your camera. You are seen as lines only: move, and the picture moves. When your face is at rest, press C." },
    { card: "look", focus: "guide-next", text: "Choose what is in the frame and what is behind the person." },
    { card: "outputs", focus: "guide-next", text: "Begin a camera for your call, or copy the address for OBS. R records. Then you are ready." },
  ],
  at: null,
  wasSeen: () => document.cookie.includes("effigy_guided=1"),
  open() { guide.go(0); },
  go(at) {
    guide.at = at;
    $("guide").hidden = false;
    document.body.classList.add("guided");
    const { card, focus } = guide.STEPS[at];
    guide.show();
    document.querySelector(`.${card}`).scrollIntoView({ block: "start", behavior: "smooth" });
    $(focus).focus({ preventScroll: true });
    if (card === "driver" && state?.driver) listCameras();
  },
  show() {
    if (guide.at === null) return;
    const { card, text } = guide.STEPS[guide.at], isLast = guide.at === guide.STEPS.length - 1;
    setText($("guide-text"), t(text));
    setText($("guide-next").querySelector(".text"), t(isLast ? "Done" : "Next"));
    $("guide-photo").hidden = card !== "people";
    [...$("guide-steps").children].forEach((item, i) => {
      item.classList.toggle("done", i < guide.at);
      if (i === guide.at) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
    });
    for (const element of document.querySelectorAll(".card")) element.classList.toggle("spot", element.classList.contains(card));
  },
  next() {
    if (guide.at + 1 < guide.STEPS.length) guide.go(guide.at + 1); else guide.close();
  },
  close() {
    guide.at = null;
    document.cookie = "effigy_guided=1; Path=/; Max-Age=31536000; SameSite=Strict";
    $("guide").hidden = true;
    document.body.classList.remove("guided");
    for (const element of document.querySelectorAll(".spot")) element.classList.remove("spot");
    $("panic").focus({ preventScroll: true });
  },
};
$("guide-next").onclick = guide.next;
$("guide-close").onclick = guide.close;
$("guide-photo").onclick = () => $("photo").click();
$("guide-again").onclick = guide.open;

/** A slider, of a share in per cent unless it says its text itself: shows what holds, and does not move under the hand that holds it. Its command gets the value, or is made of it. */
class Slider {
  constructor(id, command, valueIn, textOf = (value) => `${Math.round(value * 100)} %`) {
    this.input = $(id);
    this.output = $(`${id}-value`);
    this.valueIn = valueIn;
    this.textOf = textOf;
    this.isHeld = false;
    // What this page set last, and until when the program may still tell of what held before.
    this.own = this.ownUntil = 0;
    this.tell = paced((value) => send(typeof command === "function" ? command(value) : { ...command, value }));
    this.input.addEventListener("pointerdown", () => { this.isHeld = true; });
    for (const event of ["pointerup", "pointercancel", "change", "blur"]) this.input.addEventListener(event, () => { this.isHeld = false; });
    this.input.addEventListener("input", () => this.set(Number(this.input.value)));
  }
  show(value) {
    this.input.value = value;
    this.output.textContent = this.textOf(value);
  }
  follow(state) {
    const now = this.valueIn(state);
    if (this.isHeld || (performance.now() < this.ownUntil && Math.abs(now - this.own) > 1e-3)) return;
    this.forget();
    this.show(now);
  }
  /** From now on what the program tells holds. */
  forget() {
    clearTimeout(this.timer);
    this.ownUntil = 0;
  }
  set(value) {
    const { min, max, step } = this.input;
    const clamped = Math.min(Number(max), Math.max(Number(min), Math.round(value / Number(step)) * Number(step)));
    this.show(clamped);
    this.forget();
    this.own = clamped;
    this.ownUntil = performance.now() + 1500;
    this.timer = setTimeout(() => { this.forget(); if (state) this.follow(state); }, 1500);
    this.tell(clamped);
  }
}
const sliders = {
  strength: new Slider("strength", { do: "strength" }, (state) => state.strengths.whole),
  eyeContact: new Slider("eye-contact", { do: "eye-contact" }, (state) => state.eyeContact),
  predict: new Slider("predict", { do: "predict" }, (state) => state.predictMs, (value) => `${Math.round(value)} ms`),
  keepExpression: new Slider("keep-expression", { do: "keep-expression" }, (state) => state.keepExpression),
};
sliders.zoom = new Slider("zoom", { do: "zoom" }, (state) => state.zoom);
sliders.offsetX = new Slider("offset-x", (x) => ({ do: "offset", x, y: Number($("offset-y").value) }), (state) => state.offset[0]);
sliders.offsetY = new Slider("offset-y", (y) => ({ do: "offset", x: Number($("offset-x").value), y }), (state) => state.offset[1]);
for (const part of ["head", "gaze", "lids", "brows", "mouth"]) {
  sliders[part] = new Slider(part, { do: "strength", part }, (state) => state.strengths[part]);
}
$("panic").onclick = actions.panic;
$("calibrate").onclick = actions.calibrate;
$("mirror").onclick = actions.mirror;
$("record").onclick = actions.record;
$("take-picture").onclick = actions.takePicture;
$("framings").addEventListener("click", ({ target }) => {
  const to = target.closest("button")?.dataset.to;
  if (to) actions.framing(to);
});
$("backgrounds").addEventListener("click", ({ target }) => {
  const to = target.closest("button")?.dataset.to;
  if (to === "picture") $("backdrop").click(); else if (to) actions.background(to);
});
for (const id of ["badge-place", "badge-language"]) $(id).addEventListener("change", () => send({ do: id, to: $(id).value }));
const tellColour = paced(actions.background);
$("colour").addEventListener("input", () => tellColour($("colour").value));
$("backdrop").addEventListener("change", () => { const [file] = $("backdrop").files; $("backdrop").value = ""; if (file) sendBackdrop(file); });

function showMicrophone(microphone) {
  $("microphone").hidden = !microphone;
  if (!microphone) return;
  $("microphone-name").textContent = microphone.name;
  const heard = { drives: "Moves the mouth", listening: "Listening", recorded: state?.panic ? "Silenced" : "Recorded" }[microphone.use];
  setText($("microphone-state"), t(microphone.is_heard ? heard : "Not heard"));
  $("microphone-level").value = microphone.level;
}

function showFraming() {
  for (const button of $("framings").children) press(button, button.dataset.to === state.framing);
  $("view").hidden = state.framing !== "fill";
}

function showBadge() {
  $("badge").hidden = !state.badge;
  for (const [id, now] of [["badge-place", state.badgePlace], ["badge-language", state.badgeLanguage]]) $(id).value = now;
  // Written anew only when it changes: a text that is written is read out.
  setText($("marked"), t(state.badge ? MARKED : MARKED_INVISIBLY));
}

function showBackground() {
  const now = state.background, isColour = now.startsWith("#") && !BACKGROUNDS.includes(now);
  for (const item of $("backgrounds").children) {
    const to = item.dataset.to, isOn = to === now || (to === "colour" && isColour);
    if (item.tagName === "BUTTON") press(item, isOn); else item.classList.toggle("on", isOn);
  }
  if (isColour && document.activeElement !== $("colour")) $("colour").value = now;
  $("transparent").hidden = now !== "none";
}

async function sendBackdrop(file) {
  if (file.size > limits.max_upload_bytes) return say(tooLarge(), true);
  const answer = await upload("/background", file);
  if (answer.error) say(answer.error, true);
}

let shownGallery = "";
function showGallery() {
  const key = JSON.stringify([state.identities, state.enrolling, current()]);
  if (key !== shownGallery) {
    shownGallery = key;
    const focused = document.activeElement?.dataset?.index;
    $("gallery").replaceChildren(...state.identities.map(tile), adder());
    if (focused !== undefined) $("gallery").querySelector(`[data-index="${focused}"]`)?.focus();
  }
  for (const button of $("gallery").querySelectorAll("[data-index]")) {
    const index = Number(button.dataset.index);
    press(button, index === state.identity);
    button.classList.toggle("wanted", index === state.wanted);
  }
}

function tile({ index, name, basis, unsaved }) {
  const item = document.createElement("li"), button = document.createElement("button");
  const picture = document.createElement("img"), label = document.createElement("span"), small = document.createElement("span");
  button.dataset.index = index;
  button.title = name;
  picture.src = `/thumbnail/${index}`;
  picture.alt = "";
  label.className = "name";
  small.className = "basis";
  small.textContent = t(BASES[basis] ?? basis);
  label.append(name, small);
  button.append(picture, label);
  if (index < 9) {
    const key = document.createElement("kbd");
    key.textContent = index + 1;
    button.append(key);
  }
  button.onclick = () => actions.identity(index);
  item.append(button);
  if (unsaved) {
    const save = document.createElement("button");
    save.className = "save";
    save.textContent = t("Save its file");
    save.onclick = () => askToSave(index, name);
    item.append(save);
  }
  return item;
}

// --- saving

let saved = { index: 0, name: "" };
function askToSave(index, name) {
  saved = { index, name };
  $("save").querySelector("form").reset();
  $("save-error").hidden = true;
  $("save").showModal();
}
$("save-cancel").onclick = () => $("save").close();
$("save").querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const passphrase = $("save-passphrase").value;
  const refuse = (text) => {
    $("save-error").textContent = text;
    $("save-error").hidden = false;
  };
  if (passphrase !== $("save-again").value) {
    $("save-again").select();
    return refuse(t("The two passphrases differ."));
  }
  $("save-go").disabled = true;
  try {
    const sealed = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ passphrase }) };
    const answer = await fetch(`/identity/${saved.index}`, passphrase ? sealed : {});
    if (!answer.ok) return refuse(errorOf(await answer.text()));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = saved.name.replace(/[^A-Za-z0-9]/g, "_") + ".effigy";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    $("save").close();
  } catch {
    refuse(t("effigy could not be reached."));
  } finally {
    $("save-go").disabled = false;
  }
});

function adder() {
  const item = document.createElement("li"), button = document.createElement("button");
  button.className = "add" + (state.enrolling ? " busy" : "");
  button.textContent = t(state.enrolling ? "Enrolling" : "Drop a photo or choose one");
  button.disabled = state.enrolling;
  button.onclick = () => $("photo").click();
  item.append(button);
  return item;
}

// --- enrolling

const tooLarge = () => t("The picture is larger than {} MB.", limits.max_upload_bytes >> 20);
let photo = null, photoUrl = null, chosenFace = 0, isWarned = false, n_asked = 0;

/** What an answer that is no success says. */
function errorOf(text) {
  try { return JSON.parse(text).error; } catch { return text; }
}

async function upload(address, file) {
  try {
    const headers = { "Content-Type": file.type.startsWith("image/") ? file.type : "image/x-photo" };
    const answer = await fetch(address, { method: "POST", headers, body: file });
    if (answer.status === 204) return {};
    const text = await answer.text();
    try { return JSON.parse(text); } catch { return { error: text }; }
  } catch {
    // Browsers do not send a file that is another one than when it was chosen.
    const isThere = await file.slice(0, 1).arrayBuffer().then(() => true, () => false);
    return { error: t(isThere ? "effigy could not be reached." : "The file has changed or is gone: choose it again.") };
  }
}

function ask(file) {
  if (/\.effigy$/i.test(file.name)) return say(t("Identity files, sealed ones too, are opened when effigy starts: end it and start it with --identity."), true);
  // Browsers do not know the types of all the photos that effigy reads.
  if (!/^image\//.test(file.type) && !/\.(jpe?g|png|webp|hei[cf]|avif|tiff?|bmp|gif)$/i.test(file.name)) return say(t("A photo is a JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF."), true);
  if (file.size > limits.max_upload_bytes) return say(tooLarge(), true);
  if (state?.enrolling) return say(t("Another picture is being worked on."), true);
  photo = file;
  n_asked++;
  chosenFace = 0;
  isWarned = false;
  showPhoto(file);
  $("enroll-faces").hidden = true;
  $("enroll").classList.remove("choosing");
  $("enroll").querySelector("form").reset();
  $("enroll-name").value = file.name.replace(/\.[^.]*$/, "").slice(0, 64);
  $("enroll-by-row").hidden = true;
  $("enroll-error").hidden = true;
  $("enroll-go").textContent = t("Enrol and show");
  if (!$("enroll").open) $("enroll").showModal();
}

$("photo").addEventListener("change", () => { const [file] = $("photo").files; $("photo").value = ""; if (file) ask(file); });
$("enroll").addEventListener("change", () => {
  const isSubject = $("enroll").querySelector("[name=basis]:checked")?.value === "subject";
  $("enroll-by-row").hidden = !isSubject;
  $("enroll-by").required = isSubject;
});
$("enroll-cancel").onclick = () => $("enroll").close();
$("enroll").querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const basis = $("enroll").querySelector("[name=basis]:checked").value;
  const query = new URLSearchParams({ name: $("enroll-name").value, basis });
  if (basis === "subject") query.set("by", $("enroll-by").value);
  if (chosenFace) query.set("face", chosenFace);
  if (!isWarned) query.set("ask", "true");
  if (hello?.keeps && $("enroll-keep").checked) query.set("keep", "true");
  const go = $("enroll-go"), asked = n_asked, name = $("enroll-name").value;
  go.disabled = true;
  go.textContent = t("Enrolling…");
  $("enroll-error").hidden = true;
  const { index, choose, ask: doubts, remarks, error } = await upload("/enroll?" + query, photo);
  go.disabled = false;
  go.textContent = t("Enrol and show");
  // Who went away meanwhile does not want to see it.
  if (asked !== n_asked || !$("enroll").open) {
    if (index !== undefined) say(t("{} was enrolled, and is not shown.", name));
    return;
  }
  if (error) return complain(error);
  if (choose) return letChoose(choose);
  if (doubts) {
    isWarned = true;
    go.textContent = t("Enrol all the same");
    return complain(t("This photo may look bad: {}", sentences(doubts)));
  }
  $("enroll").close();
  send({ do: "identity", index });
  if (guide.at === 0) guide.next();
  if (!isWarned) say(sentences(remarks), false, 20000);
});

// In English the program's own words, which hold its measures; otherwise what the table says of the kind.
const sentences = (remarks) => remarks.map(({ kind, text }) => {
  const said = current() !== "en" && knows(`photo ${kind}`) ? t(`photo ${kind}`) : text;
  return said[0].toUpperCase() + said.slice(1) + (current() === "zh" || current() === "ja" ? "。" : ".");
}).join(" ");

function complain(text) {
  $("enroll-error").textContent = text;
  $("enroll-error").hidden = false;
}

$("enroll-photo").onerror = () => { $("enroll-photo").alt = t("This browser cannot show the photo. That does no harm."); };

function showPhoto(blob) {
  $("enroll-photo").alt = t("The photo to enrol");
  if (photoUrl) URL.revokeObjectURL(photoUrl);
  photoUrl = URL.createObjectURL(blob);
  $("enroll-photo").src = photoUrl;
}

// Several faces: each gets a box, and a click says which one is meant.
function letChoose({ faces, photo }) {
  showPhoto(new Blob([Uint8Array.from(atob(photo), (c) => c.charCodeAt(0))], { type: "image/jpeg" }));
  $("enroll").classList.add("choosing");
  $("enroll-faces").replaceChildren(...faces.map((box, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = i + 1;
    button.setAttribute("aria-label", t("Face {} of {}, counted from the left", i + 1, faces.length));
    ["left", "top", "width", "height"].forEach((side, k) => { button.style[side] = `${100 * box[k]}%`; });
    button.onclick = () => {
      chosenFace = i + 1;
      isWarned = false;
      for (const other of $("enroll-faces").children) press(other, other === button);
      $("enroll-error").hidden = true;
    };
    press(button, false);
    return button;
  }));
  $("enroll-faces").hidden = false;
  complain(t("There is more than one face in the photo: click the one that is meant, then enrol."));
  $("enroll-faces").firstChild.focus();
}

let dragDepth = 0;
const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragenter", (event) => { if (hasFiles(event)) { dragDepth++; $("drop").hidden = false; } });
addEventListener("dragleave", () => { dragDepth = Math.max(0, dragDepth - 1); $("drop").hidden = dragDepth === 0; });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  dragDepth = 0;
  $("drop").hidden = true;
  const [file] = event.dataTransfer?.files ?? [];
  if (file) ask(file);
});

// --- keys

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=range], [type=color])")) return;
  let key = event.key.toLowerCase();
  // In another script the key's place counts.
  if (/^[^\x00-\x7f]/.test(key)) key = event.code.replace(/^Key/, "").toLowerCase();
  // A list looks for its entries by letters; to hide does not wait until another thing has the focus.
  if (key !== "p" && event.target.matches("select")) return;
  // A key that is held down shall not flicker: only motion repeats.
  if (event.repeat && !"+-=".includes(key)) return;
  if (key === "p") actions.panic();
  else if (key === "c") actions.calibrate();
  else if (key === "m") actions.mirror();
  else if (key === "b") actions.nextBackground();
  else if (key === "v") actions.nextFraming();
  else if (key === "r") actions.record();
  else if (key === "s") actions.takePicture();
  else if (key === "+" || key === "=") actions.strength(Number($("strength").value) + .1);
  else if (key === "-") actions.strength(Number($("strength").value) - .1);
  else {
    // Some layouts have digits with Shift only.
    const digit = /^[1-9]$/.test(key) ? key : event.shiftKey ? null : event.code.match(/^Digit([1-9])$/)?.[1];
    if (!digit) return;
    actions.identity(Number(digit) - 1);
  }
  event.preventDefault();
});

for (const redraw of [chart, face]) {
  new ResizeObserver(() => redraw.draw()).observe(redraw.canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw.draw());
}

// --- the language

await begin();
$("language").value = current();
$("language").addEventListener("change", () => {
  speak($("language").value);
  keep();
  // What the program last said is said again.
  if (hello) showProgram();
  if (state) handlers.state(state);
  if (socket?.readyState !== WebSocket.OPEN) setStatus("off", t("Not connected"));
  guide.show();
  chart.draw();
  face.draw();
});
connect();
