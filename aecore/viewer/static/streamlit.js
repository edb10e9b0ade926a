// The host of linked maps in a page of Streamlit: a component that draws them, one that marks samples
// and places in them, and one that brings what the server has decoded.

import { mount } from "./mount.js";

const shown = new Map(); // by element: its maps, and their host
let marked = { rows: [], places: {} };
let answered = null;

/** Show the data of a component in its element; returns what takes it away again. */
export function show({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".loupe");
  const before = shown.get(root);
  const host = before?.host ?? {
    image: (address) => new URL(address, document.baseURI).href,
    address: {
      get: () => window.location.search,
      set: (query) => window.history.replaceState(window.history.state, "", `?${query}`),
    },
    files: ["CSV", "Parquet"],
    download: (kind) => download(kind, host.selected),
  };
  host.say = (name, value) => {
    if (name === "selection") host.selected = value?.when;
    setStateValue(name, value); // of this call, which may be another function than that of the last
  };
  const maps = before?.maps ?? mount(root, data, host);
  if (before) maps.update(data);
  else {
    maps.mark(marked);
    maps.answer(answered);
  }
  shown.set(root, { maps, host });
  return () => {
    maps.close();
    shown.delete(root);
  };
}

/** Press the page's own button for a file of a selection, as soon as the server has sent it. */
function download(kind, when, patience = 100) {
  const button = document.querySelector(`.st-key-export-${Math.floor(when)}-${kind} button`);
  if (button) button.click();
  else if (patience) setTimeout(() => download(kind, when, patience - 1), 100);
}

/** Mark these rows and places in the maps of this page, and in those that come. */
export function mark(marks) {
  marked = marks;
  for (const { maps } of shown.values()) maps.mark(marks);
}

/** Show what the server has decoded in the maps of this page, and in those that come. */
export function answer(decoded) {
  answered = decoded;
  for (const { maps } of shown.values()) maps.answer(decoded);
}
