// Sheets of images: all images of a split in one gzipped file.

const sheets = new Map(); // by URL, of this tab: the bytes, or a promise until they have come

/** The bytes of (n, height, width, channels), one image after another, out of a gzipped file. */
export async function fetchSheet(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const plain = response.body.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** The images of all samples: a sheet for each split, fetched when it is first needed. */
export class Sheets {
  /**
   * @param facts {sheets, shape, n_test}: the address of each split's sheet, the shape of an image
   * @param host resolves an address into a URL, see mount.js
   * @param arrived called when a sheet that was asked for here has come, or has not
   */
  constructor({ sheets: addresses, shape, n_test }, host, arrived) {
    this.urls = Object.fromEntries(
      Object.entries(addresses).map(([split, address]) => [split, host.image(address)]));
    this.size = shape ? shape.reduce((product, side) => product * side, 1) : 0;
    this.n_test = n_test;
    this.arrived = arrived;
  }

  /** The pixels of a row, {source, offset}, or null while they are on their way or missing. */
  pixels(row) {
    const [split, number] = row < this.n_test ? ["test", row] : ["train", row - this.n_test];
    const source = this.load(split);
    return source instanceof Uint8Array ? { source, offset: number * this.size } : null;
  }

  /** The bytes of a split's sheet, a promise while they are on their way, null without a sheet. */
  load(split) {
    const url = this.urls[split];
    if (!url) return null;
    if (!sheets.has(url)) {
      sheets.set(url, fetchSheet(url).then(
        (bytes) => sheets.set(url, bytes),
        () => sheets.delete(url), // fetched again when it is next needed
      ).then(() => this.arrived()));
    }
    return sheets.get(url);
  }
}
