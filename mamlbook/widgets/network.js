/**
 * The network of mamlbook.fewshot, configuration "lineage", in plain JavaScript: four blocks of a
 * 3 x 3 convolution, batch norm with the batch's own statistics, leaky ReLU and 2 x 2 max-pooling,
 * then a linear head; its gradient in closed form, and inner steps. In one function, so that its
 * text alone makes a web worker.
 */
function engine() {
  const [BLOCKS, FILTERS, SIDE, WAYS, EPSILON, SLOPE] = [4, 64, 28, 5, 1e-5, 0.01];

  // The parts of theta, as `Network.shapes` has them: (weights, scale, shift) of each block, head, bias.
  const PARTS = [];
  let SIZE = 0;
  const part = (rows, columns) => {
    PARTS.push({ at: SIZE, rows, columns, size: rows * columns });
    SIZE += rows * columns;
  };
  for (let block = 0; block < BLOCKS; block += 1) {
    part(FILTERS, 9 * (block ? FILTERS : 1));
    part(1, FILTERS);
    part(1, FILTERS);
  }
  part(WAYS, FILTERS);
  part(1, WAYS);
  const piece = (theta, index) => theta.subarray(PARTS[index].at, PARTS[index].at + PARTS[index].size);

  // product.wat, assembled: the product below with four numbers at a time.
  const PRODUCT =
    "AGFzbQEAAAABDwJgAXsBfWAGf39/f39/AAMDAgABBQMBAAEHFAIGbWVtb3J5AgAHcHJvZHVjdAABCuYEAhkAIAD9HwAgAP0f" +
    "AZIgAP0fAiAA/R8DkpILyQQCDH8LeyAFQQJ0IQggBEECdCEJA0BBACEHA0AgACAGIAhsaiEMIAwgCGohDSANIAhqIQ4gDiAI" +
    "aiEPIAEgByAIbGohECAQIAhqIREgDSEK/QwAAAAAAAAAAAAAAAAAAAAAIRX9DAAAAAAAAAAAAAAAAAAAAAAhFv0MAAAAAAAA" +
    "AAAAAAAAAAAAACEX/QwAAAAAAAAAAAAAAAAAAAAAIRj9DAAAAAAAAAAAAAAAAAAAAAAhGf0MAAAAAAAAAAAAAAAAAAAAACEa" +
    "/QwAAAAAAAAAAAAAAAAAAAAAIRv9DAAAAAAAAAAAAAAAAAAAAAAhHANAIBD9AAQAIRIgEf0ABAAhEyAM/QAEACEUIBUgFCAS" +
    "/eYB/eQBIRUgFiAUIBP95gH95AEhFiAN/QAEACEUIBcgFCAS/eYB/eQBIRcgGCAUIBP95gH95AEhGCAO/QAEACEUIBkgFCAS" +
    "/eYB/eQBIRkgGiAUIBP95gH95AEhGiAP/QAEACEUIBsgFCAS/eYB/eQBIRsgHCAUIBP95gH95AEhHCAQQRBqIRAgEUEQaiER" +
    "IA1BEGohDSAOQRBqIQ4gD0EQaiEPIAxBEGoiDCAKSQ0ACyACIAYgCWwgB0ECdGpqIQsgCyAVEAA4AgAgCyAWEAA4AgQgCyAJ" +
    "aiELIAsgFxAAOAIAIAsgGBAAOAIEIAsgCWohCyALIBkQADgCACALIBoQADgCBCALIAlqIQsgCyAbEAA4AgAgCyAcEAA4AgQg" +
    "B0ECaiIHIARJDQALIAZBBGoiBiADSQ0ACws=";
  const quick = (() => {
    try {
      const bytes = Uint8Array.from(atob(PRODUCT), (c) => c.charCodeAt(0));
      return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    } catch {
      return undefined; // a browser without it takes the loop in plain JavaScript
    }
  })();

  /** out[i, j] = sum over k of a[i, k] b[j, k], for a (rows, inner) and b (columns, inner):
   * where a step spends its time. */
  function product(a, b, rows, columns, inner, out) {
    return (quick ? lanes : plainly)(a, b, rows, columns, inner, out);
  }

  function plainly(a, b, rows, columns, inner, out) {
    for (let i = 0; i < rows; i += 1)
      for (let j = 0; j < columns; j += 1) {
        let sum = 0;
        for (let k = 0, [p, q] = [i * inner, j * inner]; k < inner; k += 1) sum += a[p + k] * b[q + k];
        out[i * columns + j] = sum;
      }
    return out;
  }

  function lanes(a, b, rows, columns, inner, out) {
    const four = (size) => (size + 3) & ~3;
    const [wide, high, deep] = [four(columns), four(rows), four(inner)];
    const [second, third] = [high * deep, (high + wide) * deep];
    const more = 4 * (third + high * wide) - quick.memory.buffer.byteLength;
    if (more > 0) quick.memory.grow(Math.ceil(more / 65536));
    const memory = new Float32Array(quick.memory.buffer);
    const put = (from, count, at) => {
      if (deep === inner) memory.set(from, at);
      else {
        memory.fill(0, at, at + count * deep);
        for (let i = 0; i < count; i += 1)
          for (let k = 0; k < inner; k += 1) memory[at + i * deep + k] = from[i * inner + k];
      }
    };
    put(a, rows, 0);
    put(b, columns, second);
    quick.product(0, 4 * second, 4 * third, high, wide, deep);
    if (wide === columns) out.set(memory.subarray(third, third + rows * columns));
    else
      for (let i = 0; i < rows; i += 1)
        for (let j = 0; j < columns; j += 1) out[i * columns + j] = memory[third + i * wide + j];
    return out;
  }

  /** (rows, columns) to (columns, rows). */
  function transposed(a, rows, columns) {
    const out = new Float32Array(a.length);
    for (let i = 0; i < rows; i += 1)
      for (let j = 0; j < columns; j += 1) out[j * rows + i] = a[i * columns + j];
    return out;
  }

  /** The 3 x 3 patches of x (n, side, side, channels), zeros outside: (n side side, 9 channels). */
  function patches(x, n, side, channels) {
    const out = new Float32Array(n * side * side * 9 * channels);
    let to = 0;
    for (let image = 0; image < n; image += 1)
      for (let row = 0; row < side; row += 1)
        for (let column = 0; column < side; column += 1)
          for (let dr = -1; dr <= 1; dr += 1)
            for (let dc = -1; dc <= 1; dc += 1, to += channels) {
              const r = row + dr;
              const c = column + dc;
              if (r < 0 || r >= side || c < 0 || c >= side) continue;
              const from = ((image * side + r) * side + c) * channels;
              for (let k = 0; k < channels; k += 1) out[to + k] = x[from + k];
            }
    return out;
  }

  /** Weights (filters, 9, inputs) for the way back: (inputs, 9 filters), the taps reversed. */
  function reversed(weights, inputs) {
    const out = new Float32Array(weights.length);
    for (let f = 0; f < FILTERS; f += 1)
      for (let tap = 0; tap < 9; tap += 1)
        for (let k = 0; k < inputs; k += 1)
          out[(k * 9 + 8 - tap) * FILTERS + f] = weights[(f * 9 + tap) * inputs + k];
    return out;
  }

  /** Logits (n, ways) of images (n, 28, 28) in [0, 1], and what the way back needs. */
  function forward(theta, images) {
    const n = images.length / SIDE ** 2;
    const tape = [];
    let [x, side, channels] = [images, SIDE, 1];
    for (let block = 0; block < BLOCKS; block += 1) {
      const [weights, scale, shift] = [0, 1, 2].map((k) => piece(theta, 3 * block + k));
      const m = n * side * side;
      const columns = patches(x, n, side, channels);
      const h = product(columns, weights, m, FILTERS, 9 * channels, new Float32Array(m * FILTERS));
      const s = new Float64Array(FILTERS);
      const mean = new Float64Array(FILTERS);
      for (let p = 0; p < h.length; p += FILTERS)
        for (let f = 0; f < FILTERS; f += 1) {
          const value = h[p + f];
          mean[f] += value;
          s[f] += value * value;
        }
      for (let f = 0; f < FILTERS; f += 1) {
        mean[f] /= m;
        s[f] = 1 / Math.sqrt(s[f] / m - mean[f] * mean[f] + EPSILON);
      }
      for (let p = 0; p < h.length; p += FILTERS)
        for (let f = 0; f < FILTERS; f += 1) h[p + f] = (h[p + f] - mean[f]) * s[f];
      const half = side >> 1;
      const output = new Float32Array(n * half * half * FILTERS);
      const where = new Int32Array(output.length);
      let to = 0;
      for (let image = 0; image < n; image += 1)
        for (let row = 0; row < half; row += 1)
          for (let column = 0; column < half; column += 1)
            for (let f = 0; f < FILTERS; f += 1, to += 1) {
              const corner = ((image * side + 2 * row) * side + 2 * column) * FILTERS + f;
              let best = -Infinity;
              let place = corner;
              for (let k = 0; k < 4; k += 1) {
                const from = corner + ((k >> 1) * side + (k & 1)) * FILTERS;
                const y = scale[f] * h[from] + shift[f];
                if (y > best) {
                  best = y;
                  place = from;
                }
              }
              output[to] = best > 0 ? best : SLOPE * best;
              where[to] = place;
            }
      tape.push({ columns, h, s, where, output, side, channels, m });
      [x, side, channels] = [output, half, FILTERS];
    }
    const [head, bias] = [piece(theta, 12), piece(theta, 13)];
    const logits = product(x, head, n, WAYS, FILTERS, new Float32Array(n * WAYS));
    for (let i = 0; i < logits.length; i += 1) logits[i] += bias[i % WAYS];
    return { logits, tape, n, features: x };
  }

  /** Probabilities (n, ways) of logits (n, ways). */
  function softmax(logits) {
    const out = new Float64Array(logits.length);
    for (let i = 0; i < logits.length; i += WAYS) {
      const high = Math.max(...logits.subarray(i, i + WAYS));
      let sum = 0;
      for (let k = i; k < i + WAYS; k += 1) sum += out[k] = Math.exp(logits[k] - high);
      for (let k = i; k < i + WAYS; k += 1) out[k] /= sum;
    }
    return out;
  }

  /** The gradient of the mean cross entropy of `forward`'s logits against labels (n,). */
  function backward(theta, { logits, tape, n, features }, labels) {
    const gradient = new Float32Array(SIZE);
    const d = softmax(logits);
    for (let i = 0; i < n; i += 1) d[i * WAYS + labels[i]] -= 1;
    const [head, dHead, dBias] = [piece(theta, 12), piece(gradient, 12), piece(gradient, 13)];
    let dX = new Float32Array(n * FILTERS);
    for (let i = 0; i < n; i += 1)
      for (let k = 0; k < WAYS; k += 1) {
        const slope = d[i * WAYS + k] / n;
        dBias[k] += slope;
        for (let f = 0; f < FILTERS; f += 1) {
          dHead[k * FILTERS + f] += slope * features[i * FILTERS + f];
          dX[i * FILTERS + f] += slope * head[k * FILTERS + f];
        }
      }
    for (let block = BLOCKS - 1; block >= 0; block -= 1) {
      const { columns, h, s, where, output, side, channels, m } = tape[block];
      const [weights, scale] = [piece(theta, 3 * block), piece(theta, 3 * block + 1)];
      const [dScale, dShift] = [new Float64Array(FILTERS), new Float64Array(FILTERS)];
      const dY = new Float32Array(m * FILTERS); // zero but where a maximum was
      for (let i = 0; i < where.length; i += 1) {
        const slope = output[i] > 0 ? dX[i] : SLOPE * dX[i];
        dY[where[i]] = slope;
        dShift[i % FILTERS] += slope;
        dScale[i % FILTERS] += slope * h[where[i]];
      }
      for (let p = 0; p < dY.length; p += FILTERS)
        for (let f = 0; f < FILTERS; f += 1)
          dY[p + f] = scale[f] * s[f] * (dY[p + f] - (dShift[f] + h[p + f] * dScale[f]) / m);
      piece(gradient, 3 * block + 1).set(dScale);
      piece(gradient, 3 * block + 2).set(dShift);
      const [across, along] = [transposed(dY, m, FILTERS), transposed(columns, m, 9 * channels)];
      const slope = product(along, across, 9 * channels, FILTERS, m, new Float32Array(weights.length));
      piece(gradient, 3 * block).set(transposed(slope, 9 * channels, FILTERS));
      if (block) {
        const around = patches(dY, n, side, FILTERS);
        dX = product(around, reversed(weights, channels), m, channels, 9 * FILTERS, new Float32Array(m * channels));
      }
    }
    return gradient;
  }

  /** theta after `steps` inner steps on a support set; scales and shifts of batch norm stay. */
  function adapt(theta, images, labels, rate, steps) {
    const adapted = theta.slice();
    for (let step = 0; step < steps; step += 1) {
      const gradient = backward(adapted, forward(adapted, images), labels);
      PARTS.forEach(({ at, size }, index) => {
        if (index < 3 * BLOCKS && index % 3) return;
        for (let i = at; i < at + size; i += 1) adapted[i] -= rate * gradient[i];
      });
    }
    return adapted;
  }

  /** The initialization of `Network.initial(seed)`: PyTorch's Mersenne Twister and its uniform. */
  function initial(seed) {
    const state = new Uint32Array(624);
    state[0] = seed;
    for (let i = 1; i < 624; i += 1)
      state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    let next = 624;
    const random = () => {
      if (next === 624) {
        for (let i = 0; i < 624; i += 1) {
          const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
          state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        next = 0;
      }
      let y = state[next++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    };
    const theta = new Float32Array(SIZE);
    const draw = (index, fan) => {
      const own = piece(theta, index);
      const bound = Math.fround(Math.sqrt(6 / fan));
      for (let i = 0; i < own.length; i += 1) own[i] = ((random() & 0xffffff) * 2 ** -24 * 2 - 1) * bound;
    };
    for (let block = 0; block < BLOCKS; block += 1) {
      draw(3 * block, 9 * ((block ? FILTERS : 1) + FILTERS));
      piece(theta, 3 * block + 1).fill(1);
    }
    draw(12, FILTERS + WAYS);
    return theta;
  }

  /** theta of `mamlbook.widgets.weights.encoded`, without its gzip: float16 numbers by their places
   * in order, of some networks those minus the places of the initialization of `seed`. */
  function decoded(bytes, seed) {
    const theta = new Float32Array(SIZE);
    const start = bytes[0] ? new Int32Array(initial(seed).buffer) : undefined;
    for (let i = 0; i < SIZE; i += 1) {
      const code = (bytes[1 + i] << 8) | bytes[1 + SIZE + i];
      let place = (code >> 1) ^ -(code & 1);
      if (start) {
        const near = Math.max(0, (start[i] & 0x7fffffff) - (112 << 23)) >> 13;
        place = ((place + (start[i] < 0 ? -near : near)) << 16) >> 16;
      }
      const [power, rest] = [Math.abs(place) >> 10, Math.abs(place) & 1023];
      theta[i] = Math.sign(place) * (power ? 2 ** (power - 15) * (1 + rest / 1024) : 2 ** -24 * rest);
    }
    return theta;
  }

  // Logits of the query, normalized together with the five of the support set.
  function asked(theta, support, query) {
    const images = new Float32Array(support.length + query.length);
    images.set(support);
    images.set(query, support.length);
    return forward(theta, images).logits.slice(-WAYS);
  }

  // As a worker: networks arrive once, then support sets and queries.
  if (typeof WorkerGlobalScope !== "undefined" && self instanceof WorkerGlobalScope) {
    const networks = {};
    const kept = {};
    self.onmessage = ({ data }) => {
      if (data.network) {
        networks[data.name] = data.network.bytes ? decoded(data.network.bytes, data.network.seed) : initial(data.network.seed);
        return;
      }
      const { id, name, support, query, rate, steps } = data;
      const began = performance.now();
      const key = [support.join(""), rate, steps].join(" ");
      if (kept[name]?.key !== key)
        kept[name] = { key, theta: adapt(networks[name], support, [0, 1, 2, 3, 4], rate, steps) };
      const took = performance.now() - began;
      const think = (theta) => [...softmax(asked(theta, support, query))];
      self.postMessage({ id, name, before: think(networks[name]), after: think(kept[name].theta), took });
    };
  }
  return { adapt, asked, decoded, forward, initial, lanes, plainly, softmax, SIZE };
}
