// What the server sends: one safetensors file of arrays and facts, and sheets of images.

const KINDS = { F32: Float32Array, I32: Int32Array };

/** The arrays and facts of a safetensors file: {arrays: {name: {values, shape}}, facts}. */
export function unpack(bytes) {
  const start = bytes.byteOffset;
  const view = new DataView(bytes.buffer, start, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const arrays = {};
  const { __metadata__: { json }, ...tensors } = header;
  const at = start + 8 + length;
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(tensors)) {
    // A copy, because an array of floats must begin at a multiple of four.
    arrays[name] = { values: new KINDS[dtype](bytes.buffer.slice(at + from, at + to)), shape };
  }
  return { arrays, facts: JSON.parse(json) };
}

/** A sheet of images: the gzipped bytes of (n, height, width, channels), one after another. */
export async function sheet(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const plain = answer.body.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** Write an image into the pixels of a canvas, from bytes or from floats in [0, 1]. */
export function paint(pixels, left, top, source, offset, shape) {
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
