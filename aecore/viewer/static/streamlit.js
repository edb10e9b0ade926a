// The host of linked maps in a page of Streamlit: a component that draws them, and one that marks
// samples in them.

import { mount } from "./mount.js";

const shown = new Map(); // by element: its maps, and their host
let marked = [];

/** Show the data of a component in its element; returns what takes it away again. */
export function show({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".loupe");
  const before = shown.get(root);
  const host = before?.host ?? { image: (address) => new URL(address, document.baseURI).href };
  host.say = setStateValue; // of this call, which may be another function than that of the last
  const maps = before?.maps ?? mount(root, data, host);
  if (before) maps.update(data);
  else maps.mark(marked);
  shown.set(root, { maps, host });
  return () => {
    maps.close();
    shown.delete(root);
  };
}

/** Ring these rows in the maps of this page, and in those that come. */
export function mark(rows) {
  marked = rows;
  for (const { maps } of shown.values()) maps.mark(rows);
}
