import { colorsOf, pixel } from '../color_maps';
import { Plane } from '../plane';
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
      new Shader().shade(new Plane(voxels), WINDOW, GRAY, pixels);
      expect([...pixels]).toEqual([0, 0, 0, 100, 255, 255, 255].map(gray));
    }
  );

  it('shows what is no number as the least', () => {
    const pixels = new Uint32Array(2);
    const plane = new Plane(Float32Array.of(NaN, 156));
    new Shader().shade(plane, WINDOW, GRAY, pixels);
    expect([...pixels]).toEqual([gray(0), gray(255)]);
  });

  it('follows a change of window and of colours', () => {
    const shader = new Shader();
    const pixels = new Uint32Array(1);
    const plane = new Plane(Int16Array.of(28));
    shader.shade(plane, WINDOW, GRAY, pixels);
    expect(pixels[0]).toBe(gray(128));
    shader.shade(plane, { low: 28, high: 100 }, GRAY, pixels);
    expect(pixels[0]).toBe(gray(0));
    shader.shade(plane, { low: 28, high: 100 }, colorsOf('gray', true), pixels);
    expect(pixels[0]).toBe(gray(255));
  });
});

describe('values that travel as they are stored', () => {
  it.each([
    ['without a sign', Uint16Array.of(0, 924, 1024, 1179, 65535)],
    ['with a sign', Int16Array.of(-32768, 924, 1024, 1179, 32767)]
  ])('are shaded by what they mean, %s', (_, stored) => {
    const pixels = new Uint32Array(5);
    const plane = new Plane(stored, 1, -1024);
    new Shader().shade(plane, WINDOW, GRAY, pixels);
    expect([...pixels]).toEqual([0, 0, 100, 255, 255].map(gray));
  });

  it('are shaded anew when the same shader gets the other kind', () => {
    const shader = new Shader();
    const pixels = new Uint32Array(1);
    shader.shade(new Plane(Int16Array.of(-1)), WINDOW, GRAY, pixels);
    expect(pixels[0]).toBe(gray(99));
    shader.shade(new Plane(Uint16Array.of(65535)), WINDOW, GRAY, pixels);
    expect(pixels[0]).toBe(gray(255));
  });

  it('are labels by what they mean', () => {
    const plane = new Plane(Uint16Array.of(0, 10, 11), 1, -10);
    const pixels = new Uint32Array(3);
    expect([...paintLabels(plane, new Set([-10]), 1, pixels)]).toEqual([
      -10, 1
    ]);
    expect(pixels[1]).toBe(0);
  });
});

test('a difference is after minus before, as real values, and does not overflow', () => {
  const before = new Plane(Int16Array.of(-30000, 5));
  const after = new Plane(Int16Array.of(30000, 3));
  expect([...difference(before, after).stored]).toEqual([60000, -2]);
  const stored = new Plane(Uint16Array.of(65535, 10), 0.5, -1000);
  expect([...difference(before, stored).stored]).toEqual([61767.5, -1000]);
  const partly = new Plane(Float32Array.of(NaN, 6));
  expect([...difference(before, partly).stored]).toEqual([0, 1]);
});

test('labels are painted but for those hidden and 0, and all are told', () => {
  const pixels = new Uint32Array(5);
  const found = paintLabels(
    new Plane(Int16Array.of(0, 1, 1, 2, 0)),
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
