import { t } from "/words.js";

// Canvases: the time of each stage over the last minute, and the driver's face as lines.

/// Samples kept: five a second for a minute.
const MAX_SAMPLES = 300;
const COLOURS = ["#8f98a8", "#4a90e2", "#b077e0", "#ee8434", "#35b07c"];

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/// Brings a canvas to the screen's own pixels; gives its context and its size in CSS pixels.
function prepare(canvas) {
  const scale = devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
  const w = Math.max(1, Math.round(width * scale)), h = Math.max(1, Math.round(height * scale));
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

export class StageChart {
  constructor(canvas, legend) { Object.assign(this, { canvas, legend, samples: [], names: [] }); }

  setStages(names) {
    if (this.names.join() !== names.join()) this.samples = [];
    this.names = names;
    this.legend.replaceChildren(...names.map((name, i) => {
      const item = document.createElement("li"), mark = document.createElement("i"), value = document.createElement("b");
      mark.style.background = COLOURS[i % COLOURS.length];
      value.textContent = "–";
      item.append(mark, t(name) + " ", value);
      return item;
    }));
  }

  add(stages_ms) {
    this.samples.push(stages_ms);
    if (this.samples.length > MAX_SAMPLES) this.samples.shift();
    stages_ms.forEach((ms, i) => {
      const value = this.legend.children[i]?.querySelector("b");
      if (value) value.textContent = ms.toFixed(1) + " ms";
    });
    this.draw();
  }

  draw() {
    const { context, width, height } = prepare(this.canvas);
    const left = 34, top = 6, right = width - 2, bottom = height - 20;
    const sums = this.samples.map((sample) => sample.reduce((a, b) => a + b, 0));
    // One slow moment, such as a start, shall not flatten all others: it is cut off.
    const most = Math.max(8, [...sums].sort((a, b) => a - b)[Math.floor(sums.length * .97)] ?? 0) * 1.25;
    const step = [2, 5, 10, 20, 50, 100, 200, 500, 1000].find((ms) => most / ms <= 5) ?? 2000;
    const y = (ms) => bottom - (bottom - top) * Math.min(1, ms / most);
    const x = (i) => right - (right - left) * (this.samples.length - 1 - i) / (MAX_SAMPLES - 1);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let ms = 0; ms <= most; ms += step) {
      context.strokeStyle = css("--line");
      context.beginPath();
      context.moveTo(left, Math.round(y(ms)) + .5);
      context.lineTo(right, Math.round(y(ms)) + .5);
      context.stroke();
      context.fillStyle = css("--soft");
      context.fillText(String(ms), left - 7, y(ms));
    }
    context.textAlign = "left";
    context.fillText(t("a minute ago"), left, height - 7);
    context.textAlign = "right";
    context.fillText(t("ms of work a frame, now"), right, height - 7);
    if (this.samples.length < 2) return;
    const below = this.samples.map(() => 0);
    this.names.forEach((_, stage) => {
      context.fillStyle = COLOURS[stage % COLOURS.length];
      context.beginPath();
      this.samples.forEach((_, i) => context.lineTo(x(i), y(below[i])));
      for (let i = this.samples.length - 1; i >= 0; i--) {
        below[i] += this.samples[i][stage] ?? 0;
        context.lineTo(x(i), y(below[i]));
      }
      context.fill();
    });
  }
}

export class FaceLines {
  constructor(canvas) { Object.assign(this, { canvas, lines: [], isMirrored: false, face: null }); }

  /// Takes a message of the server: 1, aspect in thousandths, points as 16-bit pairs.
  take(buffer) {
    const view = new DataView(buffer);
    if (view.byteLength < 3 || view.getUint8(0) !== 1) return;
    const points = [];
    for (let at = 3; at + 4 <= view.byteLength; at += 4) {
      points.push([view.getUint16(at, true) / 65536 * 2 - .5, view.getUint16(at + 2, true) / 65536 * 2 - .5]);
    }
    this.face = { aspect: view.getUint16(1, true) / 1000 || 1, points };
    this.draw();
  }

  draw() {
    const { context, width, height } = prepare(this.canvas);
    if (!this.face || this.face.points.length === 0) {
      context.fillStyle = css("--soft");
      context.font = "14px system-ui, sans-serif";
      context.textAlign = "center";
      context.fillText(t("No face seen"), width / 2, height / 2);
      return;
    }
    const { aspect, points } = this.face;
    const scale = Math.min(width / aspect, height) - 8;
    const left = (width - scale * aspect) / 2, top = (height - scale) / 2;
    context.strokeStyle = css("--line");
    context.strokeRect(left, top, scale * aspect, scale);
    context.strokeStyle = css("--accent");
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    let at = 0;
    for (const [n, isClosed] of this.lines) {
      context.beginPath();
      for (const [px, py] of points.slice(at, at + n)) {
        const x = this.isMirrored ? 1 - px : px;
        context.lineTo(left + x * scale * aspect, top + py * scale);
      }
      if (isClosed) context.closePath();
      context.stroke();
      at += n;
    }
  }
}
