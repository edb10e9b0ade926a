// The card beside the panes: the sample under the pointer, and the place that is decoded.

import { decoder } from "./decoder.js";
import { Display, element, fill, formatValue, link } from "./dom.js";
import { nearestCodes, shareBelow } from "./geometry.js";

const NEIGHBORS = 10;

export class Card {
  constructor(maps) {
    this.maps = maps;
    this.original = new Display("original");
    this.reconstructed = new Display("reconstruction");
    this.decoded = new Display("decoded");
    this.nearest = new Display("nearest sample");
    this.about = element("p");
    this.known = element("dl", "loupe-known");
    this.note = element("p");
    this.inputs = ["x", "y"].map((name) => {
      const input = element("input");
      Object.assign(input, { type: "number", step: "any" });
      input.setAttribute("aria-label", `Place to decode, ${name}`);
      input.onchange = () => this.typed();
      input.onkeydown = (event) => event.stopPropagation();
      return input;
    });
    this.label = element("select");
    this.label.onchange = () => {
      if (!this.maps.place) return;
      this.decode(this.maps.place);
      this.sendPlace();
      this.maps.address.soon();
    };
    this.answered = null; // what the host has decoded last: {place: [x, y, label], values}
    this.choice = element("label", "", "as", this.label);
    this.sampleHead = element("h4", "", "Sample");
    this.placeSection = element("section", "", element("h4", "", "Decode a place"),
      element("div", "loupe-pictures", this.decoded.root, this.nearest.root),
      element("div", "loupe-place", ...this.inputs, this.choice), this.note);
    this.root = element("aside", "loupe-card",
      element("section", "", this.sampleHead,
        element("div", "loupe-pictures", this.original.root, this.reconstructed.root), this.about,
        this.known),
      this.placeSection);
  }

  /** Begin with the model and the samples of the payload. */
  show() {
    const { facts, arrays } = this.maps;
    for (const display of [this.original, this.reconstructed, this.decoded, this.nearest]) display.fit(facts);
    const weights = Object.fromEntries(Object.entries(arrays)
      .filter(([name]) => name.startsWith("weight/"))
      .map(([name, { values }]) => [name.slice("weight/".length), values]));
    this.decoder = facts.layers && decoder(facts.layers, weights);
    this.codes = arrays.codes?.values;
    this.decoded.root.hidden = !this.decoder && !this.answered;
    this.reconstructed.root.hidden = !(this.decoder && this.codes);
    this.original.root.hidden = !(facts.shape ? facts.sheets.test : arrays.features);
    this.placeSection.hidden = !facts.decodes || facts.mode === "pick";
    this.inputs[1].hidden = facts.latent_dim === 1;
    this.nearest.root.hidden = !this.trainShown();
    this.choice.hidden = !facts.conditioned;
    if (facts.conditioned) {
      fill(this.label, facts.label_names.map((name, label) => [label, name]), 0);
    }
    this.about.textContent = facts.mode === "pick"
      ? "Point at a sample to see it; click to pick it."
      : "Point at a sample to see it here and in every pane.";
    this.note.textContent = facts.layers
      ? "Click or drag in the bottleneck, also where there is no sample."
      : `${facts.decoder_note} Click in the bottleneck: the server decodes.`;
    this.known.replaceChildren();
    if (this.maps.sample !== null) this.showSample(this.maps.sample);
    if (this.maps.place) this.decode(this.maps.place);
  }

  /** Whether the nearest training sample can be shown. */
  trainShown() {
    const { facts, arrays } = this.maps;
    return Boolean(arrays["train/codes"] && (facts.shape ? facts.sheets.train : arrays["train/features"]));
  }

  // --- The sample ---

  /** Show a sample: its image or features, its reconstruction, and what is known of it. */
  showSample(i) {
    const { maps } = this;
    const error = maps.arrays["column/error"]?.values[i];
    this.root.dataset.sample = maps.rows[i];
    this.sampleHead.textContent = maps.name(i);
    const facts = [`label ${maps.labelOf(i)}`];
    const d = maps.facts.latent_dim;
    if (this.codes && d <= 2) {
      const code = Array.from(this.codes.subarray(i * d, (i + 1) * d), (value) => value.toFixed(2));
      facts.push(`code ${code.join(", ")}`);
    }
    if (error !== undefined) facts.push(`error ${error.toFixed(4)}`);
    if (!["label", "error", "split"].includes(maps.column.key) && !maps.column.known) {
      const said = formatValue(maps.column, maps.arrays[`column/${maps.column.key}`].values[i]);
      if (said) facts.push(`${maps.column.title} ${said}`);
    }
    this.describe(i);
    this.about.textContent = facts.join(" · ");
    this.drawOriginal(i);
    const reconstruction = this.reconstruct(i);
    if (reconstruction) this.reconstructed.draw(reconstruction);
  }

  /** List what the dataset knows of a sample beside its features. */
  describe(i) {
    const { facts, arrays } = this.maps;
    const columns = facts.columns.filter(({ known }) => known).map((column) => [
      column.title, formatValue(column, arrays[`column/${column.key}`].values[i], 6)]);
    const texts = facts.texts.map(({ title, kind, values }) => [
      title, kind === "link" ? link(values[i]) : values[i]]);
    this.known.replaceChildren(...[...columns, ...texts].filter(([, value]) => value !== "")
      .flatMap(([title, value]) => [element("dt", "", title), element("dd", "", value)]));
  }

  async drawOriginal(i) {
    const { maps } = this;
    if (!maps.facts.shape) {
      const features = maps.arrays.features;
      if (features) this.original.draw(features.values, i * features.shape[1]);
      return;
    }
    const row = maps.rows[i];
    const pixels = maps.sheets.pixels(row);
    if (pixels) {
      this.original.draw(pixels.source, pixels.offset);
      return;
    }
    this.original.clear();
    await maps.sheets.load(row < maps.facts.n_test ? "test" : "train");
    if (maps.sample === i && maps.sheets.pixels(row)) this.drawOriginal(i);
  }

  /** The decoder's output for the code of a sample, or null where either is missing. */
  reconstruct(i) {
    if (!this.decoder || !this.codes) return null;
    const d = this.maps.facts.latent_dim;
    const code = this.codes.subarray(i * d, (i + 1) * d);
    return this.decoder(this.conditioned(code, this.maps.arrays["column/label"].values[i]));
  }

  /** A code as the decoder takes it: followed by its label, where the model is conditioned. */
  conditioned(code, label) {
    if (!this.maps.facts.conditioned) return code;
    const oneHot = this.maps.facts.label_names.map((_, other) => Number(other === Number(label)));
    return [...code, ...oneHot];
  }

  // --- A place ---

  /** The code at a place of the plane: mean + place @ axes. */
  embed([x, y]) {
    const { arrays } = this.maps;
    const mean = arrays["plane/mean"].values, axes = arrays["plane/axes"].values;
    return mean.map((value, j) => value + x * axes[j] + y * axes[mean.length + j]);
  }

  /** Decode a place in the next frame, once however often it moves before. */
  decodeSoon(place) {
    const { maps } = this;
    maps.place = place;
    this.scheduled ??= requestAnimationFrame(() => {
      this.scheduled = null;
      // Not in `decode`, which an image that arrives calls while a number is being typed.
      maps.place.forEach((value, axis) => {
        this.inputs[axis].value = Number(value.toPrecision(4));
      });
      this.decode(maps.place);
      maps.point();
    });
  }

  /** Decode a place, and look up its nearest training sample. */
  decode(place) {
    const { maps } = this;
    const code = this.embed(place);
    if (this.decoder) {
      this.decoded.draw(this.decoder(this.conditioned(code, this.label.value)));
      this.root.dataset.decoded = place.join(" ");
    } else this.drawAnswer();
    const train = maps.arrays["train/codes"];
    if (train) this.showNearest(code, train.values);
  }

  /** Show the training sample whose code is nearest, and how empty it is around the place. */
  showNearest(code, train) {
    const { maps } = this;
    const neighbors = nearestCodes(train, code.length, code, NEIGHBORS);
    const [best, distance] = neighbors[0];
    const row = maps.arrays["train/rows"].values[best];
    const words = [`Nearest training sample: #${row}`];
    const label = maps.arrays["train/labels"]?.values[best];
    if (label !== undefined && maps.facts.label_names.length) {
      words[0] += ` (${maps.facts.label_names[label]})`;
    }
    words[0] += `, ${distance.toPrecision(2)} away.`;
    const reach = maps.arrays["train/reach"]?.values;
    if (reach && neighbors.length === NEIGHBORS) {
      const share = shareBelow(reach, neighbors[NEIGHBORS - 1][1]);
      words.push(share >= 0.99
        ? "No training samples are near (sparser than around 99 % of them)."
        : `${share > 0.5 ? "Few" : "Many"} training samples are near (sparser than around ` +
          `${Math.round(100 * share)} % of them).`);
    }
    this.note.textContent = words.join(" ");
    if (!this.trainShown()) return;
    if (!maps.facts.shape) {
      const { values, shape } = maps.arrays["train/features"];
      this.nearest.draw(values, best * shape[1]);
      return;
    }
    const pixels = maps.sheets.pixels(maps.facts.n_test + row);
    if (pixels) this.nearest.draw(pixels.source, pixels.offset);
    else {
      this.nearest.clear();
      Promise.resolve(maps.sheets.load("train")).then(() => {
        if (maps.place && maps.sheets.load("train") instanceof Uint8Array) this.decode(maps.place);
      });
    }
  }

  /** Take what the host has decoded, {place, values}, or null. */
  answer(answer) {
    this.answered = answer;
    this.drawAnswer();
  }

  /** Draw what the host has decoded, unless that is another place than the one shown. */
  drawAnswer() {
    const { maps: { place }, answered, decoder, decoded } = this;
    if (decoder) return;
    decoded.root.hidden = !answered;
    if (!answered || !place) return;
    if (String(answered.place) !== String([...place, Number(this.label.value)])) return decoded.clear();
    decoded.draw(Float32Array.from(answered.values));
    this.root.dataset.decoded = place.join(" ");
  }

  /** Send the place to the host, where the decoder is not in the browser. */
  sendPlace() {
    const { maps } = this;
    if (!this.decoder && maps.place) maps.say("place", [...maps.place, Number(this.label.value)]);
  }

  typed() {
    const place = this.inputs.map(({ value }) => Number(value || 0));
    this.decodeSoon(place);
    this.sendPlace();
  }
}
