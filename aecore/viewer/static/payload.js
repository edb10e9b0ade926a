// The payload that the maps draw: one safetensors file of arrays and facts (`aecore.pack`).

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
