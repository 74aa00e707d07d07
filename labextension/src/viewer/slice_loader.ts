import { Axis, AXES } from './affine';
import { likelyNext } from './prefetch';
import { SliceCache } from './slice_cache';
import { SliceSource, Voxels } from './slice_source';

const MAX_CACHE_BYTES = 192 * 2 ** 20;
const PREFETCHES_AT_ONCE = 2;
/** A request for a plane this far from the one now wanted is of no use any more. */
const STALE_DISTANCE = 4;

interface Request {
  index: number;
  abort: AbortController;
}

interface AxisRequests {
  wanted: number | null;
  direction: -1 | 0 | 1;
  underWay: Request | null;
  prefetches: Request[];
  lastMs: number;
}

/**
 * Gets planes from a source: for each axis one request is under way, the newest wish comes next, stale ones are
 * cancelled, and when nothing is waited for, neighbours are fetched.
 */
export class SliceLoader {
  /**
   * @param source - Where planes come from; disposed with this object.
   * @param onChange - Called when a wanted plane is there, or cannot be had.
   */
  constructor(
    readonly source: SliceSource,
    private readonly _onChange: () => void
  ) {}

  /** Why the last wanted plane cannot be had; null if it can. */
  get error(): string | null {
    return this._error;
  }

  /** The plane, if it is there. */
  get(axis: Axis, index: number): Voxels | undefined {
    return this._cache.get(axis, index);
  }

  /** Ask for a plane, which takes the place of an earlier wish for the axis. */
  want(axis: Axis, index: number): void {
    const requests = this._requests[axis];
    if (requests.wanted === index) {
      return;
    }
    requests.direction =
      requests.wanted === null ? 0 : index > requests.wanted ? 1 : -1;
    requests.wanted = index;
    const { underWay } = requests;
    if (underWay && Math.abs(underWay.index - index) > STALE_DISTANCE) {
      underWay.abort.abort();
      requests.underWay = null;
    }
    this._fetchNext(axis);
  }

  dispose(): void {
    this._isDisposed = true;
    for (const { underWay, prefetches } of this._requests) {
      underWay?.abort.abort();
      prefetches.forEach(({ abort }) => abort.abort());
    }
    this.source.dispose();
  }

  private _fetchNext(axis: Axis): void {
    const requests = this._requests[axis];
    const { wanted, underWay, prefetches } = requests;
    if (this._isDisposed || wanted === null || underWay) {
      return;
    }
    if (this._cache.has(axis, wanted)) {
      this._prefetch(axis);
      return;
    }
    const early = prefetches.find(({ index }) => index === wanted);
    for (const prefetch of prefetches) {
      if (prefetch !== early) {
        prefetch.abort.abort();
      }
    }
    requests.prefetches = [];
    if (early) {
      requests.underWay = early; // it tells of its end itself
      return;
    }
    requests.underWay = this._begin(axis, wanted);
  }

  private _prefetch(axis: Axis): void {
    const requests = this._requests[axis];
    const { wanted, direction, prefetches, lastMs } = requests;
    const count = this.source.info.shape[axis];
    for (const index of likelyNext(wanted ?? 0, count, direction, lastMs)) {
      if (prefetches.length >= PREFETCHES_AT_ONCE) {
        return;
      }
      if (
        !this._cache.has(axis, index) &&
        !prefetches.some(prefetch => prefetch.index === index)
      ) {
        prefetches.push(this._begin(axis, index));
      }
    }
  }

  private _begin(axis: Axis, index: number): Request {
    const request = { index, abort: new AbortController() };
    void this._run(axis, request);
    return request;
  }

  private async _run(axis: Axis, request: Request): Promise<void> {
    const { index, abort } = request;
    const requests = this._requests[axis];
    const started = performance.now();
    let failed = false;
    try {
      this._cache.add(
        axis,
        index,
        await this.source.plane(axis, index, abort.signal)
      );
      requests.lastMs = performance.now() - started;
      this._error = null;
    } catch (error) {
      if (abort.signal.aborted) {
        return;
      }
      failed = true;
      if (requests.wanted === index) {
        this._error = error instanceof Error ? error.message : String(error);
      }
    }
    if (this._isDisposed) {
      return;
    }
    requests.prefetches = requests.prefetches.filter(one => one !== request);
    if (requests.underWay === request) {
      requests.underWay = null;
    }
    if (requests.wanted === index) {
      if (failed) {
        requests.wanted = null; // so that it can be asked for again
      }
      this._onChange();
    }
    if (!failed) {
      this._fetchNext(axis);
    }
  }

  private readonly _cache = new SliceCache(MAX_CACHE_BYTES);
  private readonly _requests: AxisRequests[] = AXES.map(() => ({
    wanted: null,
    direction: 0,
    underWay: null,
    prefetches: [],
    lastMs: 0
  }));
  private _error: string | null = null;
  private _isDisposed = false;
}
