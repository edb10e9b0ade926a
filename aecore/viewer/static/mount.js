// The entrance: linked maps in any page. Nothing from here on knows what shows the page, a server, a
// file or a notebook: what only that can do is asked of the host.

import { LinkedMaps } from "./maps.js";

/**
 * Show linked maps in an element, in a page with `style.css`.
 *
 * @param root the inner one of `<div class="loupe-frame"><div class="loupe" role="group">`; the
 *   layout follows the width of the frame
 * @param bytes the payload, a Uint8Array
 * @param host what the page can do:
 *   `say(name, value)` takes what a reader did:
 *     "selection", {samples, mask, when} or null: the selected samples;
 *     "place", [x, y, label]: a place to decode, where the payload has no decoder;
 *     "picked", [{sample} or {samples, mask}, each with `when`]: in the mode "pick", the last picks;
 *   `image(address)` returns the URL of a gzipped sheet of images, by its address in the payload
 *   `address`, optional: `get()` and `set(query)` of what follows the ? of the page's address, which
 *     then holds the view
 *   `files`, optional: the kinds of files of the selected samples that `download(kind)` writes
 * @returns `update(bytes)` shows another payload, `mark({rows, places})` rings samples, and marks a
 *   place [x, y] in the pane of each key, `answer({place, values})` shows what was decoded of a "place",
 *   the features of a sample, or nothing for null, `close()` stops everything that runs; the element stays as it is
 */
export function mount(root, bytes, host) {
  const maps = new LinkedMaps(root, host);
  root.loupe = maps; // for measurements
  const update = (content) => {
    maps.show(content).catch((error) => {
      console.error(error);
      root.textContent = `The maps could not be drawn: ${error.message}. Reload the page.`;
    });
  };
  update(bytes);
  return {
    update,
    mark: (marks) => maps.mark(marks),
    answer: (answer) => maps.card.answer(answer),
    close: () => maps.close(),
  };
}
