import { Axis } from './affine';
import { Plane } from './plane';

/** Planes that were fetched; those not looked at for longest go when there is no room. */
export class SliceCache {
  /**
   * @param _maxBytes - How much there is room for.
   * @param _isWanted - Whether a plane has to stay even so.
   */
  constructor(
    private readonly _maxBytes: number,
    private readonly _isWanted: (axis: Axis, index: number) => boolean = () =>
      false
  ) {}

  get(axis: Axis, index: number): Plane | undefined {
    const key = keyOf(axis, index);
    const plane = this._planes.get(key);
    if (plane) {
      this._planes.delete(key);
      this._planes.set(key, plane); // a Map keeps the order of insertion
    }
    return plane;
  }

  has(axis: Axis, index: number): boolean {
    return this._planes.has(keyOf(axis, index));
  }

  add(axis: Axis, index: number, plane: Plane): void {
    const key = keyOf(axis, index);
    this._bytes += bytesOf(plane) - bytesOf(this._planes.get(key));
    this._planes.delete(key);
    this._planes.set(key, plane);
    for (const [oldest, other] of this._planes) {
      if (this._bytes <= this._maxBytes || oldest === key) {
        break;
      }
      if (!this._isWanted((oldest % 3) as Axis, Math.floor(oldest / 3))) {
        this._planes.delete(oldest);
        this._bytes -= bytesOf(other);
      }
    }
  }

  get bytes(): number {
    return this._bytes;
  }

  private readonly _planes = new Map<number, Plane>();
  private _bytes = 0;
}

function keyOf(axis: Axis, index: number): number {
  return index * 3 + axis;
}

function bytesOf(plane: Plane | undefined): number {
  return plane?.stored.byteLength ?? 0;
}
