// The renderer of the world with dials, as mamlbook.world.renderer has it.

/** The points (x, y) of the stroke of a latent z. */
function stroke({ across, along, bend, points }, z) {
  return Array.from({ length: points }, (_, k) => {
    const t = (k + 0.5) / points;
    let [x, y] = [-0.45 * Math.sin(2 * Math.PI * t), 1.2 * t - 0.6];
    for (let j = 0; j < across; j += 1) x += bend * z[j] * Math.cos(j * Math.PI * t);
    for (let j = 0; j < along; j += 1) y += bend * z[across + j] * Math.cos(j * Math.PI * t);
    return [x, y];
  });
}

/** Its picture, side * side numbers from 0 to 1, row by row. */
function ink(pen, z) {
  const { side, width } = pen;
  const dots = stroke(pen, z);
  const near = (axis) =>
    dots.map((dot) =>
      Float64Array.from({ length: side }, (_, i) => Math.exp(-((dot[axis] - ((2 * i + 1) / side - 1)) ** 2) / (2 * width ** 2))));
  const [x, y] = [near(0), near(1)];
  const picture = new Float64Array(side * side);
  for (let row = 0; row < side; row += 1)
    for (let column = 0; column < side; column += 1) {
      let sum = 0;
      for (let k = 0; k < dots.length; k += 1) sum += x[k][column] * y[k][row];
      picture[row * side + column] = 1 - Math.exp(-0.5 * sum);
    }
  return picture;
}

/** What a network sees at the contrast rho: sqrt(rho) (picture - mean) / scale. */
function seen(pen, z, rho) {
  const root = Math.sqrt(rho);
  return ink(pen, z).map((value, i) => (root * (value - pen.mean[i])) / pen.scale);
}

/** A glyph at the contrast rho as an SVG image in the box (x, y, size): mean + sqrt(rho) (picture - mean). */
function glyph(pen, z, rho, x, y, size) {
  const { side } = pen;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(side, side);
  ink(pen, z).forEach((value, i) => {
    const grey = 255 * (1 - (pen.mean[i] + Math.sqrt(rho) * (value - pen.mean[i])));
    pixels.data.set([grey, grey, grey, 255], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return element("image", { href: canvas.toDataURL(), x, y, width: size, height: size, style: "image-rendering: pixelated" });
}

/** Numbers from base64: float32, or float16 widened. */
function decoded(text, half) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  if (!half) return Float64Array.from(new Float32Array(bytes.buffer));
  return Float64Array.from(new Uint16Array(bytes.buffer), (bits) => {
    const [sign, power, rest] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    return sign * (power ? 2 ** (power - 15) * (1 + rest / 1024) : 2 ** -14 * (rest / 1024));
  });
}

/** Fixed standard normal numbers (Box and Muller, from a small linear congruential generator). */
function normals(count, seed) {
  let state = seed;
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
  return Array.from({ length: count }, () =>
    Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}
