import { Colors, labelColor, pixel } from './color_maps';
import { Plane } from './plane';
import { Window } from './windowing';

const TABLE_LENGTH = 65536;

/** Turns values into pixels. Values of 16 bits go by a table, which is made anew when the window changes. */
export class Shader {
  /** Write a pixel for every value. */
  shade(
    plane: Plane,
    window: Window,
    colors: Colors,
    pixels: Uint32Array
  ): void {
    const { stored } = plane;
    const low = plane.storedOf(window.low);
    const high = plane.storedOf(window.high);
    if (stored instanceof Int16Array || stored instanceof Uint16Array) {
      const isSigned = stored instanceof Int16Array;
      const table = this._tableOf(low, high, colors, isSigned);
      const bits = isSigned
        ? new Uint16Array(stored.buffer, stored.byteOffset, stored.length)
        : stored;
      for (let n = 0; n < bits.length; n++) {
        pixels[n] = table[bits[n]];
      }
      return;
    }
    const scale = 256 / (high - low);
    for (let n = 0; n < stored.length; n++) {
      pixels[n] = colors[shadeOf(stored[n], low, scale)];
    }
  }

  /** The pixel of every value, by its 16 bits. */
  private _tableOf(
    low: number,
    high: number,
    colors: Colors,
    isSigned: boolean
  ): Uint32Array {
    const key = [low, high, colors, isSigned];
    if (key.some((part, n) => part !== this._key[n])) {
      this._key = key;
      // the negative values, of which the bits are the greater numbers, and the others
      if (isSigned) {
        const half = TABLE_LENGTH / 2;
        fill(this._table.subarray(0, half), 0, low, high, colors);
        fill(this._table.subarray(half), -half, low, high, colors);
      } else {
        fill(this._table, 0, low, high, colors);
      }
    }
    return this._table;
  }

  private readonly _table = new Uint32Array(TABLE_LENGTH);
  private _key: readonly unknown[] = [];
}

/** Write the pixels of whole numbers from `first` on; those outside the window are all the same. */
function fill(
  table: Uint32Array,
  first: number,
  low: number,
  high: number,
  colors: Colors
): void {
  const within = (value: number) =>
    Math.min(table.length, Math.max(0, Math.ceil(value) - first));
  const [start, end] = [within(low), within(high)];
  const scale = 256 / (high - low);
  table.fill(colors[0], 0, start);
  for (let n = start; n < end; n++) {
    table[n] = colors[shadeOf(n + first, low, scale)];
  }
  table.fill(colors[255], end);
}

/** Which of 256 colours a value has; a value that is no number has the least. */
function shadeOf(value: number, low: number, scale: number): number {
  const shade = (value - low) * scale;
  return shade > 0 ? (shade < 255 ? shade | 0 : 255) : 0;
}

/** After minus before, value by value; none where one of them has no value. */
export function difference(before: Plane, after: Plane): Plane {
  const result = new Float32Array(before.stored.length);
  const [from, to] = [before.stored, after.stored];
  const constant = after.intercept - before.intercept;
  for (let n = 0; n < result.length; n++) {
    const change = to[n] * after.slope - from[n] * before.slope + constant;
    result[n] = Number.isNaN(change) ? 0 : change;
  }
  return new Plane(result);
}

/** Pixels of labels: 0 and those that are hidden are clear. Returns the labels that are there. */
export function paintLabels(
  plane: Plane,
  hidden: ReadonlySet<number>,
  opacity: number,
  pixels: Uint32Array
): Set<number> {
  const { stored } = plane;
  const found = new Map<number, number>([[0, 0]]);
  let last = plane.storedOf(0);
  let lastPixel = 0;
  for (let n = 0; n < stored.length; n++) {
    if (stored[n] !== last) {
      last = stored[n];
      const label = plane.valueAt(n);
      let known = found.get(label);
      if (known === undefined) {
        const alpha = hidden.has(label) ? 0 : Math.round(opacity * 255);
        known = alpha ? pixel(...labelColor(label), alpha) : 0;
        found.set(label, known);
      }
      lastPixel = known;
    }
    pixels[n] = lastPixel;
  }
  found.delete(0);
  return new Set(found.keys());
}
