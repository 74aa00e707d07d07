import { VolumeInfo } from '../generated/types';
import { Axis } from './affine';

/** Which plane: the voxels whose index along `axis` is `index`. */
export interface PlanePlace {
  readonly axis: Axis;
  readonly index: number;
}

/** Gets the bytes of some planes in one go, in the order in which they were asked for. */
export type AskForPlanes = (
  places: readonly PlanePlace[],
  signal: AbortSignal
) => Promise<ArrayBuffer[]>;

/** At most so many planes travel together; the server takes no more. */
const MOST_TOGETHER = 6;
/** Planes along an axis that took longer than this hold up no others. */
const SLOW_MS = 100;

interface Asked {
  place: PlanePlace;
  signal: AbortSignal;
  resolve: (bytes: ArrayBuffer) => void;
  reject: (error: unknown) => void;
}

/**
 * Planes that are asked for at one moment travel together, for a request costs more than a plane.
 *
 * Where it is not known that an axis is fast, its planes go alone: of a series that is still being unpacked, slices are
 * there long before the other planes.
 */
export class JoinedPlanes {
  constructor(private readonly _ask: AskForPlanes) {}

  /** The bytes of a plane. Rejects when `signal` aborts it; what travels is given up when nobody waits for any of it. */
  plane(place: PlanePlace, signal: AbortSignal): Promise<ArrayBuffer> {
    return new Promise((resolve, reject) => {
      if (this._asked.push({ place, signal, resolve, reject }) === 1) {
        queueMicrotask(() => this._send());
      }
    });
  }

  private _send(): void {
    const asked = this._asked.filter(({ signal }) => !signal.aborted);
    this._asked = [];
    const fast = asked.filter(({ place }) => this._isFast[place.axis]);
    for (const one of asked.filter(other => !fast.includes(other))) {
      void this._run([one]);
    }
    for (let n = 0; n < fast.length; n += MOST_TOGETHER) {
      void this._run(fast.slice(n, n + MOST_TOGETHER));
    }
  }

  private async _run(together: readonly Asked[]): Promise<void> {
    const abort = new AbortController();
    let waiting = together.length;
    for (const { signal, reject } of together) {
      signal.addEventListener(
        'abort',
        () => {
          reject(new Error('cancelled'));
          waiting -= 1;
          if (waiting === 0) {
            abort.abort();
          }
        },
        { once: true }
      );
    }
    const started = performance.now();
    try {
      const planes = await this._ask(
        together.map(({ place }) => place),
        abort.signal
      );
      const isFast = performance.now() - started <= SLOW_MS;
      together.forEach(({ place, resolve }, n) => {
        this._isFast[place.axis] = isFast;
        resolve(planes[n]);
      });
    } catch (error) {
      if (together.length === 1 || abort.signal.aborted) {
        together.forEach(({ reject }) => reject(error));
        return;
      }
      // one that cannot be had must not take the others with it
      for (const one of together.filter(({ signal }) => !signal.aborted)) {
        void this._run([one]);
      }
    }
  }

  private _asked: Asked[] = [];
  private readonly _isFast: [boolean, boolean, boolean] = [false, false, false];
}

/** The bytes of each of some planes that came one behind the other. */
export function separated(
  bytes: ArrayBuffer,
  places: readonly PlanePlace[],
  { shape: [k, j, i], dtype }: VolumeInfo
): ArrayBuffer[] {
  if (places.length === 1) {
    return [bytes];
  }
  const voxelBytes = dtype.endsWith('16') ? 2 : 4;
  const planeBytes = [j * i, k * i, k * j].map(count => count * voxelBytes);
  let start = 0;
  return places.map(({ axis }) => {
    const end = start + planeBytes[axis];
    const plane = bytes.slice(start, end);
    start = end;
    return plane;
  });
}
