// The card beside the panes: the sample under the pointer, and the place that is decoded.

import { decoder } from "./decoder.js";
import { nearestCodes, shareBelow } from "./geometry.js";
import { Display, element, fill } from "./parts.js";

const NEIGHBORS = 10;

export class Card {
  constructor(maps) {
    this.maps = maps;
    this.original = new Display("original");
    this.back = new Display("reconstruction");
    this.decoded = new Display("decoded");
    this.near = new Display("nearest training sample");
    this.about = element("p");
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
    this.label.onchange = () => this.maps.place && this.decode(this.maps.place);
    this.choice = element("label", "", "as", this.label);
    this.sampleHead = element("h4", "", "Sample");
    this.place = element("section", "", element("h4", "", "Decode a place"),
      element("div", "loupe-pictures", this.decoded.root, this.near.root),
      element("div", "loupe-place", ...this.inputs, this.choice), this.note);
    this.root = element("aside", "loupe-card",
      element("section", "", this.sampleHead,
        element("div", "loupe-pictures", this.original.root, this.back.root), this.about),
      this.place);
  }

  /** Begin with the model and the samples of these facts. */
  show() {
    const { facts, arrays } = this.maps;
    for (const display of [this.original, this.back, this.decoded, this.near]) display.fit(facts);
    const weights = Object.fromEntries(Object.entries(arrays)
      .filter(([name]) => name.startsWith("weight/"))
      .map(([name, { values }]) => [name.slice("weight/".length), values]));
    this.decoder = facts.layers && decoder(facts.layers, weights);
    this.codes = arrays.codes?.values;
    this.decoded.root.hidden = !this.decoder;
    this.back.root.hidden = !(this.decoder && this.codes);
    this.original.root.hidden = !(facts.shape ? facts.sheets.test : arrays.features);
    this.place.hidden = !facts.decodes || facts.mode === "pick";
    this.inputs[1].hidden = facts.latent_dim === 1;
    this.near.root.hidden = !this.trainShown();
    this.choice.hidden = !facts.conditioned;
    if (facts.conditioned) {
      fill(this.label, facts.label_names.map((name, label) => [label, name]), 0);
    }
    this.about.textContent = facts.mode === "pick"
      ? "Point at a sample to see it; click to pick it."
      : "Point at a sample to see it here and in every pane.";
    this.note.textContent = facts.layers
      ? "Click or drag in the bottleneck, also where there is no sample."
      : `${facts.decoder_note} Click in the bottleneck: the server decodes, below the maps.`;
    if (this.maps.sample !== null) this.sample(this.maps.sample);
    if (this.maps.place) this.decode(this.maps.place);
  }

  trainShown() {
    const { facts, arrays } = this.maps;
    return Boolean(arrays["train/codes"] && (facts.shape ? facts.sheets.train : arrays["train/features"]));
  }

  // --- The sample ---

  sample(i) {
    const { maps } = this;
    const error = maps.arrays["column/error"]?.values[i];
    this.root.dataset.sample = maps.rows[i];
    this.sampleHead.textContent = maps.name(i);
    const facts = [`label ${maps.labelOf(i)}`];
    if (error !== undefined) facts.push(`error ${error.toFixed(4)}`);
    if (!["label", "error", "split"].includes(maps.column.key)) {
      const value = maps.arrays[`column/${maps.column.key}`].values[i];
      if (Number.isFinite(value)) facts.push(`${maps.column.title} ${value.toPrecision(3)}`);
    }
    this.about.textContent = facts.join(" · ");
    this.drawOriginal(i);
    const back = this.reconstruction(i);
    if (back) this.back.draw(back);
  }

  async drawOriginal(i) {
    const { maps } = this;
    if (!maps.facts.shape) {
      const features = maps.arrays.features;
      if (features) this.original.draw(features.values, i * features.shape[1]);
      return;
    }
    const row = maps.rows[i];
    const found = maps.sheets.pixels(row);
    if (found) {
      this.original.draw(found.source, found.offset);
      return;
    }
    this.original.clear();
    await maps.sheets.of(row < maps.facts.n_test ? "test" : "train");
    if (maps.sample === i && maps.sheets.pixels(row)) this.drawOriginal(i);
  }

  /** The decoder's answer to the code of a sample, or null where either is missing. */
  reconstruction(i) {
    if (!this.decoder || !this.codes) return null;
    const d = this.maps.facts.latent_dim;
    const code = this.codes.subarray(i * d, (i + 1) * d);
    return this.decoder(this.conditioned(code, this.maps.arrays["column/label"].values[i]));
  }

  conditioned(code, label) {
    if (!this.maps.facts.conditioned) return code;
    const oneHot = this.maps.facts.label_names.map((_, other) => Number(other === Number(label)));
    return [...code, ...oneHot];
  }

  // --- A place ---

  /** The code that belongs to a place of the plane: mean + place @ axes. */
  lift([x, y]) {
    const { mean, axes } = this.plane();
    return mean.map((value, j) => value + x * axes[j] + y * axes[mean.length + j]);
  }

  plane() {
    const { arrays } = this.maps;
    return { mean: arrays["plane/mean"].values, axes: arrays["plane/axes"].values };
  }

  decode(place) {
    const { maps } = this;
    place.forEach((value, axis) => (this.inputs[axis].value = Number(value.toPrecision(4))));
    const code = this.lift(place);
    if (this.decoder) {
      this.decoded.draw(this.decoder(this.conditioned(code, this.label.value)));
      this.root.dataset.decoded = place.join(" ");
    }
    const train = maps.arrays["train/codes"];
    if (train) this.nearest(code, train.values);
  }

  nearest(code, train) {
    const { maps } = this;
    const found = nearestCodes(train, code.length, code, NEIGHBORS);
    const [best, distance] = found[0];
    const row = maps.arrays["train/rows"].values[best];
    const words = [`Nearest training sample: #${row}`];
    const label = maps.arrays["train/labels"]?.values[best];
    if (label !== undefined && maps.facts.label_names.length) {
      words[0] += ` (${maps.facts.label_names[label]})`;
    }
    words[0] += `, ${distance.toPrecision(2)} away.`;
    const reach = maps.arrays["train/reach"]?.values;
    if (reach && found.length === NEIGHBORS) {
      const share = shareBelow(reach, found[NEIGHBORS - 1][1]);
      words.push(share >= 0.99
        ? "Outside the data: emptier than around 99 % of training samples."
        : `Emptier than around ${Math.round(100 * share)} % of training samples.`);
    }
    this.note.textContent = words.join(" ");
    if (!this.trainShown()) return;
    if (!maps.facts.shape) {
      const { values, shape } = maps.arrays["train/features"];
      this.near.draw(values, best * shape[1]);
      return;
    }
    const pixels = maps.sheets.pixels(maps.facts.n_test + row);
    if (pixels) this.near.draw(pixels.source, pixels.offset);
    else {
      this.near.clear();
      Promise.resolve(maps.sheets.of("train")).then(() => {
        if (maps.place && maps.sheets.of("train") instanceof Uint8Array) this.decode(maps.place);
      });
    }
  }

  /** The pointer was let go: where the decoder is not here, the server is asked. */
  settled() {
    const { maps } = this;
    if (!this.decoder && maps.place) maps.say("place", [...maps.place, Number(this.label.value)]);
  }

  typed() {
    const place = this.inputs.map(({ value }) => Number(value || 0));
    this.maps.decodeSoon(place);
    this.maps.place = place;
    this.settled();
  }
}
