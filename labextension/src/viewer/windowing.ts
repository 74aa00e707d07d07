import { Plane } from './plane';

/** Values that are shown darkest and brightest. */
export interface Window {
  readonly low: number;
  readonly high: number;
}

export interface WindowPreset {
  name: string;
  window: Window;
}

/** By level and width, as readers of CT name them, in HU. */
const CT_PRESETS: ReadonlyArray<[string, number, number]> = [
  ['Soft tissue', 40, 400],
  ['Lung', -600, 1500],
  ['Bone', 400, 1800],
  ['Brain', 40, 80],
  ['Liver', 60, 160]
];
const SUV_UNITS = ['GML', 'GMML'];
const SAMPLES = 4096;

/** Windows that readers of a modality know; none where values mean nothing by themselves, as in MR. */
export function presetsFor(
  modality: string | null,
  unit: string | null
): WindowPreset[] {
  if (modality === 'CT' && unit === 'HU') {
    return CT_PRESETS.map(([name, level, width]) => ({
      name,
      window: { low: level - width / 2, high: level + width / 2 }
    }));
  }
  if (modality === 'PT' && SUV_UNITS.includes(unit ?? '')) {
    return [5, 10, 20].map(high => ({
      name: `SUV 0–${high}`,
      window: { low: 0, high }
    }));
  }
  return [];
}

/** The window from the 1st to the 99.5th percentile of some values; PET starts at 0. */
export function automaticWindow(plane: Plane, modality: string | null): Window {
  const step = Math.max(1, Math.floor(plane.stored.length / SAMPLES));
  const sample: number[] = [];
  for (let n = 0; n < plane.stored.length; n += step) {
    const value = plane.valueAt(n);
    if (Number.isFinite(value)) {
      sample.push(value);
    }
  }
  if (sample.length === 0) {
    return { low: 0, high: 1 };
  }
  sample.sort((one, other) => one - other);
  const at = (part: number) => sample[Math.round(part * (sample.length - 1))];
  const low = modality === 'PT' ? Math.min(0, at(0.01)) : at(0.01);
  return { low, high: at(0.995) > low ? at(0.995) : low + 1 };
}

/** A window changed by a drag: to the right makes it wider, up makes the picture brighter. */
export function draggedWindow(
  window: Window,
  rightPixels: number,
  upPixels: number
): Window {
  const width = window.high - window.low;
  const level = (window.low + window.high) / 2;
  const step = width / 256;
  const newWidth = Math.max(
    width * Math.exp(rightPixels / 150),
    Number.MIN_VALUE
  );
  const newLevel = level - upPixels * step;
  return { low: newLevel - newWidth / 2, high: newLevel + newWidth / 2 };
}
