// A trained decoder, run in the browser: the layers and weights that `aecore.latent` lists.

const ERF = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
  1.48851587, -0.82215223, 0.17087277];

/** erf by its Chebyshev fit, to 1.2e-7 (Press and others, Numerical Recipes, section 6.2). */
function erf(x) {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  let sum = 0;
  for (let i = ERF.length - 1; i >= 0; i--) sum = ERF[i] + t * sum;
  const tail = t * Math.exp(sum - x * x);
  return x >= 0 ? 1 - tail : tail - 1;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

const ACTIVATIONS = {
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  relu: (x) => (x > 0 ? x : 0),
  "leaky-relu": (x) => (x > 0 ? x : 0.01 * x),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  silu: (x) => x * sigmoid(x),
  sigmoid,
  tanh: Math.tanh,
};

// Each kind of layer: its description and weights -> a function of the values so far. Images are
// channels, rows, columns. Every layer keeps one output of its own, so nothing is allocated anew.
const LAYERS = {
  linear({ weight, bias, n_in, n_out }, weights) {
    const W = weights[weight], b = weights[bias], out = new Float32Array(n_out);
    return (x) => {
      let o = 0;
      // Four outputs together, so that no addition waits for the one before it.
      for (; o + 3 < n_out; o += 4) {
        const first = o * n_in, second = first + n_in, third = second + n_in, fourth = third + n_in;
        let s0 = b[o], s1 = b[o + 1], s2 = b[o + 2], s3 = b[o + 3];
        for (let i = 0; i < n_in; i++) {
          const value = x[i];
          s0 += W[first + i] * value;
          s1 += W[second + i] * value;
          s2 += W[third + i] * value;
          s3 += W[fourth + i] * value;
        }
        out[o] = s0;
        out[o + 1] = s1;
        out[o + 2] = s2;
        out[o + 3] = s3;
      }
      for (; o < n_out; o++) {
        let sum = b[o];
        for (let i = 0, at = o * n_in; i < n_in; i++, at++) sum += W[at] * x[i];
        out[o] = sum;
      }
      return out;
    };
  },

  activation({ name }) {
    const f = ACTIVATIONS[name];
    return (x) => {
      for (let i = 0; i < x.length; i++) x[i] = f(x[i]);
      return x;
    };
  },

  conv({ weight, bias, n_in, n_out, height, width }, weights) {
    const W = weights[weight], b = weights[bias], size = height * width;
    const out = new Float32Array(n_out * size);
    return (x) => {
      for (let o = 0; o < n_out; o++) {
        out.fill(b[o], o * size, (o + 1) * size);
        for (let i = 0; i < n_in; i++) {
          for (let tap = 0; tap < 9; tap++) {
            const down = Math.floor(tap / 3) - 1, right = (tap % 3) - 1;
            const w = W[(o * n_in + i) * 9 + tap];
            const first = Math.max(0, -right), last = width - Math.max(0, right);
            for (let row = Math.max(0, -down); row < height - Math.max(0, down); row++) {
              const to = o * size + row * width;
              const from = i * size + (row + down) * width + right;
              for (let column = first; column < last; column++) {
                out[to + column] += w * x[from + column];
              }
            }
          }
        }
      }
      return out;
    };
  },

  transposed({ weight, bias, n_in, n_out, height, width, out_height, out_width }, weights) {
    const W = weights[weight], b = weights[bias], size = out_height * out_width;
    const out = new Float32Array(n_out * size);
    return (x) => {
      for (let o = 0; o < n_out; o++) out.fill(b[o], o * size, (o + 1) * size);
      for (let i = 0; i < n_in; i++) {
        for (let o = 0; o < n_out; o++) {
          for (let tap = 0; tap < 9; tap++) {
            const w = W[(i * n_out + o) * 9 + tap];
            const down = Math.floor(tap / 3) - 1, right = (tap % 3) - 1;
            for (let row = 0; row < height; row++) {
              const to_row = 2 * row + down;
              if (to_row < 0 || to_row >= out_height) continue;
              for (let column = 0; column < width; column++) {
                const to = 2 * column + right;
                if (to < 0 || to >= out_width) continue;
                out[o * size + to_row * out_width + to] += w * x[(i * height + row) * width + column];
              }
            }
          }
        }
      }
      return out;
    };
  },

  upsample({ channels, height, width, out_height, out_width }) {
    const out = new Float32Array(channels * out_height * out_width);
    return (x) => {
      for (let channel = 0, to = 0; channel < channels; channel++) {
        for (let row = 0; row < out_height; row++) {
          const from = (channel * height + Math.floor((row * height) / out_height)) * width;
          for (let column = 0; column < out_width; column++, to++) {
            out[to] = x[from + Math.floor((column * width) / out_width)];
          }
        }
      }
      return out;
    };
  },

  "channels-last"({ channels, height, width }) {
    const size = height * width, out = new Float32Array(channels * size);
    return (x) => {
      for (let at = 0; at < size; at++) {
        for (let channel = 0; channel < channels; channel++) {
          out[at * channels + channel] = x[channel * size + at];
        }
      }
      return out;
    };
  },
};

/** A function from a code to the decoder's mean; its result is overwritten by the next call. */
export function decoder(layers, weights) {
  const steps = layers.map((layer) => LAYERS[layer.kind](layer, weights));
  return (code) => steps.reduce((values, step) => step(values), Float32Array.from(code));
}
