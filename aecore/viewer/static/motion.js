// The bottleneck in motion: the epochs of the training, and the way to each other run's bottleneck.

import { element, fill } from "./dom.js";

const SECONDS_AN_EPOCH = 0.35;
const STEEP = 30; // of the loss's scale: how much finer it is at the lowest loss than at the highest

export class Motion {
  constructor(maps) {
    this.maps = maps;
    this.root = element("div", "loupe-motion");
    this.kind = null;
    this.kinds = []; // those that there are
  }

  show() {
    const { facts, arrays } = this.maps;
    const kinds = [];
    if (facts.epochs && arrays.epochs.shape[0] > 1) kinds.push(["epochs", "Training"]);
    kinds.push(...facts.others.map(({ motion, title }) => [motion, `On to ${title}`]));
    this.kinds = kinds.map(([kind]) => kind);
    // The measures of new content are those of its end; a running training only grows.
    if (facts.mode !== "training") {
      this.stop();
      this.at = null;
    }
    this.root.hidden = !kinds.length;
    if (!this.kinds.includes(this.kind)) {
      this.stop();
      this.kind = kinds[0]?.[0];
      this.at = null;
    }
    if (!kinds.length) return;
    this.play = element("button", "", "▶ Play");
    this.play.onclick = () => (this.timer ? this.stop() : this.start());
    this.range = element("input");
    Object.assign(this.range, { type: "range", min: 0, step: 0.01 });
    this.range.oninput = () => {
      this.stop();
      this.showBottleneck();
      this.go(Number(this.range.value));
    };
    this.text = element("output");
    this.choice = fill(element("select"), kinds, this.kind);
    this.choice.setAttribute("aria-label", "What moves");
    this.choice.hidden = kinds.length < 2;
    this.choice.onchange = () => this.choose(this.choice.value);
    const done = element("button", "", "Final");
    done.title = "Show the final map";
    done.onclick = () => this.finish();
    this.curve = element("canvas", "loupe-curve");
    this.curve.width = 480;
    this.curve.height = 96;
    this.curve.title = "Test loss, and dashed the training loss, on a logarithmic scale above the lowest";
    this.curve.onclick = ({ offsetX }) => {
      this.stop();
      this.go((offsetX / this.curve.clientWidth) * this.last);
    };
    this.title = element("b", "", kinds.length < 2 ? kinds[0][1] : "");
    this.root.replaceChildren(this.title, this.choice, this.play, this.range, done, this.text, this.curve);
    this.fit();
  }

  /** The other run that the bottleneck moves on to, or undefined. */
  get goal() {
    return this.maps.facts.others.find(({ motion }) => motion === this.kind);
  }

  /** Let another thing move, from its rest. */
  choose(kind) {
    this.kind = this.choice.value = kind;
    this.finish();
  }

  /** Show the final map, of all samples and at full strength. */
  finish() {
    this.stop();
    this.at = null;
    this.fit();
  }

  /** Set the slider to what moves now. */
  fit() {
    const { arrays } = this.maps;
    this.last = this.kind === "epochs" ? arrays.epochs.shape[0] - 1 : 1;
    this.range.max = this.last;
    this.range.setAttribute("aria-label", this.kind === "epochs" ? "Epoch" : "Share of the way");
    this.curve.hidden = this.kind !== "epochs";
    this.range.value = this.at ?? this.last;
    this.describe();
    this.maps.paint();
  }

  /** Go to the bottleneck where another pane is shown alone: it is what moves. */
  showBottleneck() {
    const { maps } = this;
    if (!maps.figure.drawn.includes(0)) maps.maximise(maps.narrow ? 0 : null);
  }

  go(at) {
    this.at = Math.min(Math.max(at, 0), this.last);
    this.range.value = this.at;
    this.describe();
    this.maps.paint();
  }

  /** The epoch that is shown; between two of which the codes are kept, a fraction. */
  get epoch() {
    const { kept } = this.maps.facts.epochs;
    const before = Math.floor(this.at), after = Math.ceil(this.at);
    return kept[before] + (this.at - before) * (kept[after] - kept[before]);
  }

  /** Go to an epoch, unless it lies before or behind those of which the codes are kept. */
  goToEpoch(epoch) {
    const { kept } = this.maps.facts.epochs;
    const after = kept.findIndex((other) => other >= epoch);
    if (after < 0 || epoch < kept[0]) return;
    const before = Math.max(after - 1, 0);
    this.go(after && before + (epoch - kept[before]) / (kept[after] - kept[before]));
  }

  start() {
    this.showBottleneck();
    this.play.textContent = "❚❚ Pause";
    let before = performance.now();
    if (this.at === null || this.at >= this.last) this.at = 0;
    const pace = this.kind === "epochs" ? SECONDS_AN_EPOCH : 2.5;
    const frame = (now) => {
      this.go(this.at + (now - before) / 1000 / pace);
      before = now;
      if (this.at < this.last) this.timer = requestAnimationFrame(frame);
      else if (this.kind === "epochs") this.finish();
      else this.stop();
    };
    this.timer = requestAnimationFrame(frame);
  }

  stop() {
    if (this.timer) cancelAnimationFrame(this.timer);
    this.timer = null;
    if (this.play) this.play.textContent = "▶ Play";
  }

  /** Where the samples are now, {points, members, color}, or null at the end of the motion. */
  points() {
    if (this.at === null || this.root.hidden || !this.kind) return null;
    const { arrays, panes, facts } = this.maps;
    if (this.goal) {
      const from = panes[0], to = panes[this.goal.pane];
      return this.between(from, to, this.at, (i) => this.maps.color(i), (i) => this.maps.visible(i));
    }
    const { values, shape: [epochs, m] } = arrays.epochs;
    const first = Math.min(Math.floor(this.at), epochs - 2);
    const from = values.subarray(first * m * 2, (first + 1) * m * 2);
    const to = values.subarray((first + 1) * m * 2, (first + 2) * m * 2);
    const { colors } = facts.columns.find(({ key }) => key === "label");
    const labels = arrays["epochs/labels"].values;
    const color = colors ? (i) => colors[labels[i]] : (i) => facts.ramp[arrays["epochs/steps"].values[i]];
    // They are the first test samples, of which the subset may show others or none.
    const numbers = this.numbers(m);
    return this.between(from, to, this.at - first, color,
      (i) => numbers[i] < 0 || this.maps.visible(numbers[i]));
  }

  /** The numbers of the first m rows among the samples shown, -1 for those that are not. */
  numbers(m) {
    const { rows } = this.maps;
    if (this.numbered?.rows !== rows || this.numbered.of.length !== m) {
      const of = new Int32Array(m).fill(-1);
      rows.forEach((row, i) => {
        if (row < m) of[row] = i;
      });
      this.numbered = { rows, of };
    }
    return this.numbered.of;
  }

  /** Where a sample is while the bottleneck moves: [points, its number among them], or null. */
  follow(sample) {
    const moving = this.points();
    if (!moving) return null;
    const { rows } = this.maps;
    // Only the first test samples are kept of every epoch: the others are nowhere.
    return [moving.points, this.goal ? sample : rows[sample]];
  }

  /** Where the bottleneck is, in words; null at the end of the motion. */
  where() {
    if (this.at === null || this.root.hidden) return null;
    if (this.goal) return `${Math.round(100 * this.at)} % of the way`;
    const { kept, loss } = this.maps.facts.epochs;
    return `after epoch ${kept[Math.round(this.at)]} of ${loss.length}`;
  }

  between(from, to, share, color, visible) {
    const points = new Float32Array(from.length);
    for (let i = 0; i < from.length; i++) points[i] = from[i] + (to[i] - from[i]) * share;
    const members = [];
    for (let i = 0; i < points.length / 2; i++) if (visible(i)) members.push(i);
    return { points, members, color };
  }

  /** Write where the motion is. */
  describe() {
    if (this.root.hidden || !this.kind) return;
    const { facts, arrays, n } = this.maps;
    this.maps.titles.describe();
    if (this.goal) {
      const share = this.at ?? 0;
      this.range.value = share;
      this.text.textContent = `${Math.round(100 * share)} % of the way; ${this.goal.note}`;
      this.text.title = this.text.textContent;
      return;
    }
    const { kept: epochs, loss, train_loss } = facts.epochs;
    const epoch = epochs[Math.round(this.at ?? this.last)];
    const now = loss[epoch - 1];
    const kept = arrays.epochs.shape[1];
    const more = (now === undefined ? "" : `, test loss ${now.toPrecision(4)}`) +
      (this.at === null || kept === n ? "" : ` · the first ${kept.toLocaleString("en")} test samples`);
    this.text.replaceChildren(`Epoch ${epoch} of ${loss.length}`, element("span", "", more));
    this.text.title = this.text.textContent;
    this.drawCurve(loss, train_loss, epoch);
  }

  /** The loss on both splits, with a mark at this epoch. */
  drawCurve(loss, train, epoch) {
    const draw = this.curve.getContext("2d"), { width, height } = this.curve;
    const style = getComputedStyle(this.maps.root);
    const accent = style.getPropertyValue("--loupe-accent");
    const values = [...loss, ...train].filter(Number.isFinite);
    const low = Math.min(...values), high = Math.max(...values);
    const x = (i) => 9 + (i / Math.max(loss.length - 1, 1)) * (width - 18);
    // The first epoch can be so high that on a linear scale all others would lie on one line.
    const share = (v) => Math.log1p((STEEP * (v - low)) / (high - low || 1)) / Math.log1p(STEEP);
    const y = (v) => 9 + (1 - share(v)) * (height - 18);
    draw.clearRect(0, 0, width, height);
    for (const [series, color, dash] of [[train, "#94a4a2", [5, 5]], [loss, accent, []]]) {
      draw.beginPath();
      series.forEach((value, i) => draw.lineTo(x(i), y(value)));
      Object.assign(draw, { strokeStyle: color, lineWidth: 3 });
      draw.setLineDash(dash);
      draw.stroke();
    }
    draw.setLineDash([]);
    draw.beginPath();
    draw.arc(x(epoch - 1), y(loss[epoch - 1]), 7, 0, 2 * Math.PI);
    draw.fillStyle = accent;
    draw.fill();
  }
}
