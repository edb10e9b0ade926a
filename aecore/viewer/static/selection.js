// Which samples are selected or picked, and what the host hears of it.

import { SelectionPanel } from "./selection_panel.js";

const BATCH = 5000; // milliseconds in which picks are sent together

export class Selection {
  constructor(maps) {
    this.maps = maps;
    this.panel = new SelectionPanel(maps);
    this.reset();
  }

  /** Forget everything, because other samples are shown. */
  reset() {
    this.members = null; // the numbers of the selected samples, in order, or null
    this.picks = []; // what was last picked
  }

  /** Fill the panel: the decoder and the panes to choose from may be others. */
  show() {
    this.panel.show(this.members ?? []);
  }

  /** Select the samples for which `condition` holds; null for none. */
  select(condition) {
    const { maps } = this;
    const mask = new Uint8Array(maps.n);
    const members = [];
    if (condition) {
      for (let i = 0; i < maps.n; i++) {
        if (condition(i)) {
          mask[i] = 1;
          members.push(i);
        }
      }
    }
    const { samples, mode } = maps.facts;
    if (mode === "pick") {
      maps.paint(); // they are marked when the host has taken them
      maps.toolbar.setStatus(`${members.length.toLocaleString("en")} samples selected`);
      if (members.length) this.sendPick({ samples, mask: packMask(mask) });
      return;
    }
    this.members = members.length ? members : null;
    maps.paint();
    this.show();
    maps.say("selection", members.length ? { samples, mask: packMask(mask) } : null);
  }

  /** Send the sample that was clicked, -1 for none. */
  pick(i) {
    const { maps } = this;
    if (i < 0) return maps.toolbar.setStatus("No sample here: click on one");
    maps.highlight(i); // a finger does not point before it clicks
    maps.toolbar.setStatus(`Clicked ${maps.name(i)}`);
    this.sendPick({ sample: maps.rows[i] });
  }

  /** Send one sample, or the mask of some, as an event: the same may be picked again. */
  sendPick(pick) {
    const when = performance.now();
    // Of what is sent while a server is busy it hears only the last, so the last few go together.
    const recent = this.picks.filter((other) => when - other.when < BATCH);
    this.picks = [...recent, { ...pick, when }];
    this.maps.say("picked", this.picks);
  }
}

/** A mask as base64 of its bits, the first sample in the highest bit: 1 KB for 8,000 samples. */
export function packMask(mask) {
  const bytes = new Uint8Array(Math.ceil(mask.length / 8));
  mask.forEach((on, i) => (bytes[i >> 3] |= on << (7 - (i & 7))));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
