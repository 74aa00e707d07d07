import { VolumeInfo } from '../generated/types';

export type Voxels = Int16Array | Uint16Array | Int32Array | Float32Array;

/** The voxels of a plane, row by row, as they came; the real value of one is stored × slope + intercept. */
export class Plane {
  constructor(
    readonly stored: Voxels,
    readonly slope = 1,
    readonly intercept = 0
  ) {}

  /** The real value at a place in the row of all voxels. */
  valueAt(offset: number): number {
    return this.stored[offset] * this.slope + this.intercept;
  }

  /** The stored value that means a real one. */
  storedOf(value: number): number {
    return (value - this.intercept) / this.slope;
  }
}

/** Bytes as they travel, as a plane. */
export function planeOf(
  bytes: ArrayBuffer,
  { dtype, slope, intercept }: VolumeInfo
): Plane {
  return new Plane(numbersOf(bytes, dtype), slope, intercept);
}

function numbersOf(bytes: ArrayBuffer, dtype: VolumeInfo['dtype']): Voxels {
  switch (dtype) {
    case 'int16':
      return new Int16Array(bytes);
    case 'uint16':
      return new Uint16Array(bytes);
    case 'int32':
      return new Int32Array(bytes);
    case 'float32':
      return new Float32Array(bytes);
  }
}
