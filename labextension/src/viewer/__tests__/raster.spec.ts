import { colorsOf, pixel } from '../color_maps';
import { difference, paintLabels, Shader } from '../raster';

const GRAY = colorsOf('gray');
const WINDOW = { low: -100, high: 156 };

function gray(value: number): number {
  return pixel(value, value, value);
}

describe('Shader', () => {
  it.each([
    ['16 bits', Int16Array],
    ['32 bits', Int32Array],
    ['floats', Float32Array]
  ])(
    'maps the window to 256 colours and clips the rest, in %s',
    (_, Values) => {
      const voxels = Values.of(-32768, -101, -100, 0, 155, 156, 32767);
      const pixels = new Uint32Array(7);
      new Shader().shade(voxels, WINDOW, GRAY, pixels);
      expect([...pixels]).toEqual([0, 0, 0, 100, 255, 255, 255].map(gray));
    }
  );

  it('shows what is no number as the least', () => {
    const pixels = new Uint32Array(2);
    new Shader().shade(Float32Array.of(NaN, 156), WINDOW, GRAY, pixels);
    expect([...pixels]).toEqual([gray(0), gray(255)]);
  });

  it('follows a change of window and of colours', () => {
    const shader = new Shader();
    const pixels = new Uint32Array(1);
    const voxels = Int16Array.of(28);
    shader.shade(voxels, WINDOW, GRAY, pixels);
    expect(pixels[0]).toBe(gray(128));
    shader.shade(voxels, { low: 28, high: 100 }, GRAY, pixels);
    expect(pixels[0]).toBe(gray(0));
    shader.shade(
      voxels,
      { low: 28, high: 100 },
      colorsOf('gray', true),
      pixels
    );
    expect(pixels[0]).toBe(gray(255));
  });
});

test('a difference is after minus before and does not overflow', () => {
  const before = Int16Array.of(-30000, 5);
  const after = Int16Array.of(30000, 3);
  expect([...difference(before, after)]).toEqual([60000, -2]);
});

test('labels are painted but for those hidden and 0, and all are told', () => {
  const pixels = new Uint32Array(5);
  const found = paintLabels(
    Int16Array.of(0, 1, 1, 2, 0),
    new Set([2]),
    0.5,
    pixels
  );
  expect([...found]).toEqual([1, 2]);
  expect(pixels[0]).toBe(0);
  expect(pixels[1]).toBe(pixels[2]);
  expect(pixels[1] >>> 24).toBe(128);
  expect(pixels[3]).toBe(0);
});
