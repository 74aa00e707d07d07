import { Axis } from './affine';
import { Voxels } from './slice_source';

/** Planes that were fetched; those not looked at for longest go when there is no room. */
export class SliceCache {
  constructor(private readonly _maxBytes: number) {}

  get(axis: Axis, index: number): Voxels | undefined {
    const key = keyOf(axis, index);
    const voxels = this._planes.get(key);
    if (voxels) {
      this._planes.delete(key);
      this._planes.set(key, voxels); // a Map keeps the order of insertion
    }
    return voxels;
  }

  has(axis: Axis, index: number): boolean {
    return this._planes.has(keyOf(axis, index));
  }

  add(axis: Axis, index: number, voxels: Voxels): void {
    const key = keyOf(axis, index);
    this._bytes += voxels.byteLength - (this._planes.get(key)?.byteLength ?? 0);
    this._planes.delete(key);
    this._planes.set(key, voxels);
    for (const [oldest, plane] of this._planes) {
      if (this._bytes <= this._maxBytes || oldest === key) {
        break;
      }
      this._planes.delete(oldest);
      this._bytes -= plane.byteLength;
    }
  }

  get bytes(): number {
    return this._bytes;
  }

  private readonly _planes = new Map<number, Voxels>();
  private _bytes = 0;
}

function keyOf(axis: Axis, index: number): number {
  return index * 3 + axis;
}
