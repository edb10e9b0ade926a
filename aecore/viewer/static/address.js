// The address of the page, which holds the view: a link shows others the same picture.

const DIGITS = 5; // of coordinates
const PAUSE = 400; // milliseconds without a change before the address is written: browsers limit how often
const LAYERS = ["centroids", "ellipses", "prior"];
const NAMES = ["colour", "background", "hidden", "layers", "tool", "alone", "zoom", "epoch", "motion",
  "place", "sample", "select"];

/** Numbers in few digits, parted by commas. */
const join = (numbers) => numbers.map((value) => String(Number(value.toPrecision(DIGITS)))).join(",");

/** The numbers in a text, or null where it holds anything else. */
function split(text, count = null) {
  const numbers = text ? text.split(",").map(Number) : [];
  return numbers.every(Number.isFinite) && (count === null || numbers.length === count) ? numbers : null;
}

export class Address {
  constructor(maps) {
    this.maps = maps;
  }

  /** Whether the page has an address to write to. */
  get used() {
    return Boolean(this.maps.host.address && this.maps.workbench);
  }

  // --- Writing ---

  /** Write the view into the address when it has not changed for a moment. */
  soon() {
    clearTimeout(this.timer);
    if (this.used) this.timer = setTimeout(() => this.write(), PAUSE);
  }

  /** Write nothing more: the address is that of another page by now, or of other maps. */
  stop() {
    clearTimeout(this.timer);
  }

  write() {
    this.stop();
    if (!this.used || this.reading) return;
    const { address } = this.maps.host;
    const query = new URLSearchParams(address.get());
    for (const name of NAMES) query.delete(name);
    for (const [name, value] of Object.entries(this.state())) query.set(name, value);
    if (String(query) !== String(new URLSearchParams(address.get()))) address.set(String(query));
  }

  /** The view by the names of its parts, without those that are as they are at first. */
  state() {
    const { ui, facts, figure, legend, motion, card, place, sample, selection, rows, bounds } = this.maps;
    const { hidden } = legend;
    const limits = [hidden.low ?? null, hidden.high ?? null];
    const zooms = facts.panes.flatMap(({ key, view }) => {
      const own = figure.views.get(view);
      return own ? [`${key}:${join([own.x, own.y, own.width, own.height])}`] : [];
    });
    const { kind, kinds, at } = motion;
    const layers = LAYERS.filter((name) => ui[name]);
    const state = {
      colour: ui.column === facts.columns[0].key ? "" : ui.column,
      background: ui.background,
      hidden: !bounds ? join(hidden) : limits.every((limit) => limit === null) && !hidden.missing
        ? "" : [...limits.map((limit) => (limit === null ? "" : join([limit]))),
          hidden.missing ? "missing" : ""].join("~"),
      layers: String(layers) === "centroids" ? "" : layers.join(",") || "none",
      tool: ui.tool === "explore" ? "" : ui.tool,
      alone: ui.alone ?? "",
      zoom: zooms.join(";"),
      epoch: at === null || kind !== "epochs" ? "" : join([motion.epoch]),
      motion: at === null ? (kind === kinds[0] ? "" : kind) : kind === "epochs" ? "" : `${kind}:${join([at])}`,
      place: place ? join([...place, ...(facts.conditioned ? [Number(card.label.value)] : [])]) : "",
      sample: sample === null ? "" : String(rows[sample]),
      select: this.rule(selection.rule),
    };
    return Object.fromEntries(Object.entries(state).filter(([, value]) => value !== ""));
  }

  rule(rule) {
    if (!rule || typeof rule === "function") return "";
    if ("label" in rule) return `label:${rule.label}`;
    if ("text" in rule) return `text:${encodeURIComponent(rule.text)}`;
    if ("movers" in rule) return `movers:${rule.movers}`;
    if (rule.polygon) return `lasso:${rule.pane}:${join(rule.polygon.flat())}`;
    const ends = rule.box.map((end) => (Number.isFinite(end) ? join([end]) : ""));
    return `box:${rule.pane}:${ends.join("~")}`;
  }

  // --- Reading ---

  /** Take the choices out of the address of a page that is opened; returns what else it holds. */
  choices() {
    if (this.read || !this.used) return null;
    this.read = true;
    const query = new URLSearchParams(this.maps.host.address.get());
    const given = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
    if (!Object.values(given).some(Boolean)) return null;
    const { ui, facts } = this.maps;
    const known = (list, value, otherwise) => (list.includes(value) ? value : otherwise);
    const columns = facts.columns.map(({ key }) => key);
    ui.column = known(columns, given.colour, columns[0]);
    ui.background = known(facts.backgrounds, given.background, "");
    ui.tool = known(["move", "lasso", "box"], given.tool, "explore");
    ui.alone = known(facts.panes.map(({ key }) => key), given.alone, null);
    const layers = given.layers ? given.layers.split(",") : ["centroids"];
    for (const name of LAYERS) ui[name] = layers.includes(name);
    for (const part of given.zoom.split(";")) {
      const [key, text] = part.split(":");
      const pane = facts.panes.find((each) => each.key === key);
      const [x, y, width, height] = split(text ?? "", 4) ?? [];
      if (pane && width > 0 && height > 0) {
        this.maps.figure.views.set(pane.view, { x, y, width, height });
      }
    }
    this.reading = true;
    return given;
  }

  /** What is hidden by the address, once the column and its bounds are known. */
  hide({ hidden }) {
    const { maps } = this;
    if (!maps.bounds) return split(hidden) ?? [];
    const [low, high, missing] = hidden.split("~");
    const limit = (text) => (text && Number.isFinite(Number(text)) ? Number(text) : null);
    return { low: limit(low), high: limit(high), missing: missing === "missing" };
  }

  /** Go to the rest of the view, once the maps are drawn. */
  async apply(given) {
    const { maps } = this;
    const { facts, selection, motion } = maps;
    const [x, y, label] = split(given.place) ?? [];
    if (y !== undefined && facts.decodes) {
      if (facts.label_names[label] !== undefined) maps.card.label.value = label;
      maps.card.decodeSoon([x, y]);
      maps.card.sendPlace();
    }
    const sample = given.sample === "" ? -1 : maps.rows.indexOf(Number(given.sample));
    if (sample >= 0 && maps.visible(sample)) maps.highlight(sample);
    const [kind, key, text] = given.select.split(":");
    const rule = { label: () => this.labelled(key), text: () => this.searched(key), lasso: () => this.drawn(key, text),
      box: () => this.boxed(key, text), movers: () => this.moved(key) }[kind]?.();
    if (rule) selection.select(rule);
    const [moves, share] = given.motion.split(":");
    if (motion.kinds.includes(moves)) motion.choose(moves);
    if (moves === motion.goal?.motion && split(share, 1)) motion.go(Number(share));
    if (split(given.epoch, 1) && motion.kind === "epochs") motion.goToEpoch(Number(given.epoch));
    this.reading = false;
    this.sayLost(given);
  }

  /** Name the parts of an address that these maps do not show. */
  sayLost(given) {
    const usual = { colour: this.maps.facts.columns[0].key, tool: "explore", layers: "centroids" };
    const shown = { ...usual, ...this.state() };
    const lost = NAMES.filter((name) => given[name] && given[name] !== (shown[name] ?? ""));
    if (!lost.length) return;
    const parts = lost.map((name) => `${name}=${given[name].slice(0, 40)}`);
    this.maps.toolbar.setStatus(`Not shown of the address: ${parts.join(", ")}`);
  }

  labelled(text) {
    const label = Number(text);
    return this.maps.facts.label_names[label] === undefined ? null : { label };
  }

  searched(text) {
    try {
      const wanted = decodeURIComponent(text);
      return wanted && this.maps.toolbar.describing() ? { text: wanted } : null;
    } catch {
      return null; // no text of an address
    }
  }

  moved(text) {
    const movers = Number(text);
    return this.maps.arrays["column/moved"] && movers > 0 ? { movers } : null;
  }

  drawn(pane, text = "") {
    const numbers = split(text);
    if (!numbers || numbers.length < 6 || numbers.length % 2) return null;
    return { pane, polygon: numbers.flatMap((x, i) => (i % 2 ? [] : [[x, numbers[i + 1]]])) };
  }

  boxed(pane, text = "") {
    const box = text.split("~").map((end, i) => (end ? Number(end) : [-1, 1][i % 2] * Infinity));
    return box.length === 4 && !box.some(Number.isNaN) ? { pane, box } : null;
  }
}

/** A polygon in the digits that an address holds, so that a link selects the same samples. */
export function rounded(polygon) {
  return polygon.map((point) => point.map((value) => Number(value.toPrecision(DIGITS))));
}
