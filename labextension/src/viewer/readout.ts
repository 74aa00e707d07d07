import { VolumeInfo } from '../generated/types';
import { positionLpsMm, Triple } from './affine';

/** What is said of one voxel. */
export interface Readout {
  value: string;
  position: string;
  slice: string;
}

/** A number with at most four significant decimals, and whole numbers whole; a dash where there is none. */
export function formatted(value: number): string {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? '–' : String(value);
  }
  return Number.isInteger(value)
    ? String(value)
    : String(+value.toPrecision(5));
}

/** The value in its unit, the position as millimetres to the patient's left, back and head, the slice and its file. */
export function readoutOf(
  info: VolumeInfo,
  indexKji: Triple,
  value: number | null
): Readout {
  const [x, y, z] = positionLpsMm(info.affine_kji_to_lps, indexKji);
  const [k, j, i] = indexKji;
  const file = info.slice_files[k];
  return {
    value:
      value === null ? '' : `${formatted(value)} ${info.unit ?? ''}`.trimEnd(),
    position: `${side(x, 'L', 'R')} ${side(y, 'P', 'A')} ${side(z, 'H', 'F')} mm`,
    slice: `[${k}, ${j}, ${i}]` + (file ? ` ${file}` : '')
  };
}

function side(mm: number, positive: string, negative: string): string {
  return `${mm < 0 ? negative : positive} ${Math.abs(mm).toFixed(1)}`;
}
