// Elements, pictures in them, and what a tab remembers.

/** A new element of a class, with these children. */
export function element(kind, name = "", ...children) {
  const created = document.createElement(kind);
  if (name) created.className = name;
  if (kind === "button") created.type = "button";
  created.append(...children);
  return created;
}

/** An element and all that it is in. */
export function lineage(root) {
  return root instanceof Element ? [root, ...lineage(root.parentNode)] : [];
}

/** What terms mean, a paragraph each. */
export function definitions({ glossary }, terms) {
  return terms.map((term) => `${term}: ${glossary[term]}`).join("\n\n");
}

/** A select box with these [value, title] options. */
export function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, title]) => new Option(title, value)));
  select.value = chosen;
  return select;
}

/** A button, and a menu that it opens over the page. */
export function menu(title, ...children) {
  const list = element("div", "loupe-menu", ...children);
  const button = element("button", "", `${title} ▾`);
  list.popover = "auto";
  button.popoverTargetElement = list;
  list.addEventListener("beforetoggle", () => place(list, button));
  return element("span", "", button, list);
}

/** Put a popover below the button that opens it. */
export function place(list, button) {
  const { left, right, bottom } = button.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  // Towards the middle of the window, where there is room.
  Object.assign(list.style, left + right < width
    ? { left: `${left}px`, right: "auto" } : { left: "auto", right: `${width - right}px` });
  list.style.top = `${bottom + 4}px`;
}

/** A number in few digits: 0.123, 1230, -2.5e-7. */
export function formatNumber(value, digits = 3) {
  return Number(value.toPrecision(digits)).toString();
}

/** A value of a column as text: a number, the name of a category, or a date; "" where unknown. */
export function formatValue({ names, origin }, value, digits = 3) {
  if (names) return names[value] ?? "";
  if (!Number.isFinite(value)) return "";
  if (origin === undefined) return formatNumber(value, digits);
  // Single precision holds days over centuries, and seconds over some months.
  const date = new Date((origin + value) * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const text = date.toISOString();
  return text.slice(11, 19) === "00:00:00" ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ");
}

/**
 * The columns of a table's sample as [name, text], from its features at an offset: in the units of
 * their file where these are known, or as the features are.
 */
export function inUnits({ features, units }, source, offset) {
  if (!units) return features.map((name, j) => [name, source[offset + j].toFixed(2)]);
  return units.map(({ name, start, names, offset: zero, scale, log }) => {
    const at = offset + start;
    if (names) {
      // A category is the one of its largest feature.
      let best = 0;
      for (let j = 1; j < names.length; j++) if (source[at + j] > source[at + best]) best = j;
      return [name, names[best]];
    }
    const value = source[at] * scale + zero;
    return [name, formatNumber(log ? Math.expm1(value) : value, 4)];
  });
}

/** A link to an address of the web, which opens without saying where from; else its text alone. */
export function link(address) {
  if (!/^https?:\/\/[^\s"'<>\\]+$/.test(address) || !URL.canParse(address)) return address;
  const anchor = element("a", "", address.replace(/^https?:\/\//, ""));
  Object.assign(anchor, {
    href: address, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer", title: address,
  });
  return anchor;
}

/** An object whose values last as long as this tab, over changes of page and reloads. */
export function remembered(key, defaults) {
  const stored = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  return new Proxy({ ...defaults, ...stored }, {
    set(values, name, value) {
      values[name] = value;
      sessionStorage.setItem(key, JSON.stringify(values));
      return true;
    },
  });
}

/** Black or white, whichever is better read on a colour #rrggbb. */
export function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  // Contrast is (lighter + 0.05) / (darker + 0.05): equal for both at this luminance.
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > Math.sqrt(1.05 * 0.05) - 0.05
    ? "black" : "white";
}

/** Write an image into the pixels of a canvas, from bytes or from floats in [0, 1]. */
export function writeImage(pixels, left, top, source, offset, shape) {
  const [height, width, channels = 1] = shape;
  const scale = source instanceof Uint8Array ? 1 : 255;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = offset + (y * width + x) * channels;
      const to = ((top + y) * pixels.width + left + x) * 4;
      for (let channel = 0; channel < 3; channel++) {
        // Clamped and rounded by the array itself.
        pixels.data[to + channel] = source[from + (channels === 1 ? 0 : channel)] * scale;
      }
      pixels.data[to + 3] = 255;
    }
  }
}

/** One sample as a picture, or as a list of its features. */
export class Display {
  constructor(caption) {
    this.canvas = element("canvas");
    this.list = element("dl");
    this.caption = element("figcaption", "", caption);
    this.root = element("figure", "", this.canvas, this.list, this.caption);
  }

  /** Make it fit for images of this shape, or for features with these names. */
  fit(facts) {
    const { shape } = facts;
    this.shape = shape;
    this.facts = facts;
    this.canvas.hidden = !shape;
    this.list.hidden = Boolean(shape);
    if (shape) {
      [this.canvas.height, this.canvas.width] = shape;
      this.pixels = this.canvas.getContext("2d").createImageData(shape[1], shape[0]);
    }
    this.clear();
  }

  clear() {
    if (this.shape) this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    else this.list.replaceChildren();
  }

  draw(source, offset = 0) {
    if (this.shape) {
      writeImage(this.pixels, 0, 0, source, offset, this.shape);
      this.canvas.getContext("2d").putImageData(this.pixels, 0, 0);
      return;
    }
    const most = 12;
    const columns = inUnits(this.facts, source, offset);
    const lines = columns.slice(0, most).flatMap(([name, text]) => [
      element("dt", "", name), element("dd", "", text),
    ]);
    if (columns.length > most) {
      lines.push(element("dt", "", `and ${columns.length - most} more`));
    }
    this.list.replaceChildren(...lines);
  }
}
