import { Colors, labelColor, pixel } from './color_maps';
import { Voxels } from './slice_source';
import { Window } from './windowing';

const INT16_VALUES = 65536;

/** Turns values into pixels. Values of 16 bits go by a table, which is made anew when the window changes. */
export class Shader {
  /** Write a pixel for every value. */
  shade(
    voxels: Voxels,
    window: Window,
    colors: Colors,
    pixels: Uint32Array
  ): void {
    if (voxels instanceof Int16Array) {
      const table = this._tableOf(window, colors);
      for (let n = 0; n < voxels.length; n++) {
        pixels[n] = table[voxels[n] + 32768];
      }
      return;
    }
    const scale = 256 / (window.high - window.low);
    for (let n = 0; n < voxels.length; n++) {
      pixels[n] = colors[shadeOf(voxels[n], window.low, scale)];
    }
  }

  private _tableOf(window: Window, colors: Colors): Uint32Array {
    const { low, high } = window;
    if (
      low !== this._window?.low ||
      high !== this._window.high ||
      colors !== this._colors
    ) {
      const scale = 256 / (high - low);
      for (let n = 0; n < INT16_VALUES; n++) {
        this._table[n] = colors[shadeOf(n - 32768, low, scale)];
      }
      this._window = window;
      this._colors = colors;
    }
    return this._table;
  }

  private readonly _table = new Uint32Array(INT16_VALUES);
  private _window: Window | null = null;
  private _colors: Colors | null = null;
}

/** Which of 256 colours a value has; a value that is no number has the least. */
function shadeOf(value: number, low: number, scale: number): number {
  const shade = (value - low) * scale;
  return shade > 0 ? (shade < 255 ? shade | 0 : 255) : 0;
}

/** After minus before, value by value. */
export function difference(before: Voxels, after: Voxels): Float32Array {
  const result = new Float32Array(before.length);
  for (let n = 0; n < result.length; n++) {
    result[n] = after[n] - before[n];
  }
  return result;
}

/** Pixels of labels: 0 and those that are hidden are clear. Returns the labels that are there. */
export function paintLabels(
  voxels: Voxels,
  hidden: ReadonlySet<number>,
  opacity: number,
  pixels: Uint32Array
): Set<number> {
  const found = new Map<number, number>([[0, 0]]);
  let last = 0;
  let lastPixel = 0;
  for (let n = 0; n < voxels.length; n++) {
    const label = voxels[n];
    if (label !== last) {
      last = label;
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
