import { Axis, AXES } from './affine';
import { Plane } from './plane';
import { likelyNext } from './prefetch';
import { SliceCache } from './slice_cache';
import { SliceSource } from './slice_source';

const MAX_CACHE_BYTES = 192 * 2 ** 20;
/** Neighbours under way at once, along all axes; they travel together. */
const PREFETCHES_AT_ONCE = 4;
/** Neighbours are fetched some together, unless the next one that is not there is as near as this. */
const NEAR = 4;
/** A request for a plane this far from the one now wanted is of no use any more. */
const STALE_DISTANCE = 4;

interface Request {
  axis: Axis;
  index: number;
  abort: AbortController;
}

interface AxisRequests {
  wanted: number | null;
  direction: -1 | 0 | 1;
  underWay: Request | null;
  lastMs: number;
}

/**
 * Gets planes from a source: for each axis one request is under way, the newest wish comes next, stale ones are
 * cancelled, and when nothing is waited for, neighbours can be fetched.
 */
export class SliceLoader {
  /**
   * @param source - Where planes come from; disposed with this object.
   * @param _onChange - Called when a wanted plane is there, or cannot be had.
   * @param _maxCacheBytes - How much planes may take that are not wanted now.
   */
  constructor(
    readonly source: SliceSource,
    private readonly _onChange: () => void,
    private readonly _maxCacheBytes = MAX_CACHE_BYTES
  ) {
    this._cache = new SliceCache(
      _maxCacheBytes,
      (axis, index) => this._requests[axis].wanted === index
    );
  }

  /** Why the last wanted plane cannot be had; null if it can. */
  get error(): string | null {
    return this._error;
  }

  /** The plane, if it is there. */
  get(axis: Axis, index: number): Plane | undefined {
    return this._cache.get(axis, index);
  }

  has(axis: Axis, index: number): boolean {
    return this._cache.has(axis, index);
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
    this._lastMoved = [axis, ...this._lastMoved.filter(one => one !== axis)];
    const { underWay } = requests;
    if (underWay && Math.abs(underWay.index - index) > STALE_DISTANCE) {
      underWay.abort.abort();
      requests.underWay = null;
    }
    this._fetchWanted(axis);
  }

  /** Fetch neighbours of what is wanted, now and when these are there, as long as nothing is waited for. */
  prefetch(): void {
    if (this._isDisposed || this._isWaiting) {
      return;
    }
    for (const axis of this._lastMoved) {
      const { wanted, direction, lastMs } = this._requests[axis];
      if (wanted === null) {
        continue;
      }
      const count = this.source.info.shape[axis];
      const missing = likelyNext(wanted, count, direction, lastMs)
        .slice(0, this._neighboursAlong(axis, wanted))
        .filter(
          index => !this._cache.has(axis, index) && !this._early(axis, index)
        );
      const isNear = missing.some(index => Math.abs(index - wanted) <= NEAR);
      const room = PREFETCHES_AT_ONCE - this._prefetches.length;
      if (isNear || missing.length >= PREFETCHES_AT_ONCE) {
        for (const index of missing.slice(0, room)) {
          this._prefetches.push(this._begin(axis, index));
        }
      }
    }
  }

  dispose(): void {
    this._isDisposed = true;
    for (const { underWay } of this._requests) {
      underWay?.abort.abort();
    }
    this._prefetches.forEach(({ abort }) => abort.abort());
    this.source.dispose();
  }

  private get _isWaiting(): boolean {
    return this._requests.some(({ underWay }) => underWay !== null);
  }

  /** How many there is room for, so that those along one axis do not drive out those along another. */
  private _neighboursAlong(axis: Axis, wanted: number): number {
    const bytes = this._cache.get(axis, wanted)?.stored.byteLength ?? 0;
    const room = this._maxCacheBytes / AXES.length;
    return bytes === 0 ? 0 : Math.max(0, Math.floor(room / bytes) - 1);
  }

  private _early(axis: Axis, index: number): Request | undefined {
    return this._prefetches.find(
      one => one.axis === axis && one.index === index
    );
  }

  private _fetchWanted(axis: Axis): void {
    const requests = this._requests[axis];
    const { wanted, underWay } = requests;
    if (
      this._isDisposed ||
      wanted === null ||
      underWay ||
      this._cache.has(axis, wanted)
    ) {
      return;
    }
    const early = this._early(axis, wanted);
    if (early) {
      // it tells of its end itself; the others travel with it, and are likely to be wanted next
      this._prefetches = this._prefetches.filter(one => one !== early);
      requests.underWay = early;
      return;
    }
    this._prefetches.forEach(({ abort }) => abort.abort());
    this._prefetches = [];
    requests.underWay = this._begin(axis, wanted);
  }

  private _begin(axis: Axis, index: number): Request {
    const request = { axis, index, abort: new AbortController() };
    void this._run(request);
    return request;
  }

  private async _run(request: Request): Promise<void> {
    const { axis, index, abort } = request;
    const requests = this._requests[axis];
    const started = performance.now();
    let failed = false;
    try {
      const plane = await this.source.plane(axis, index, abort.signal);
      this._cache.add(axis, index, plane);
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
    const wasEarly = this._prefetches.includes(request);
    this._prefetches = this._prefetches.filter(one => one !== request);
    if (requests.underWay === request) {
      requests.underWay = null;
    }
    if (requests.wanted === index) {
      if (failed) {
        requests.wanted = null; // so that it can be asked for again
      }
      this._onChange();
    }
    // something else may be wanted by now, also where this one failed
    this._fetchWanted(axis);
    if (!failed && wasEarly && this._prefetches.length === 0) {
      this.prefetch();
    }
  }

  private readonly _cache: SliceCache;
  private readonly _requests: AxisRequests[] = AXES.map(() => ({
    wanted: null,
    direction: 0,
    underWay: null,
    lastMs: 0
  }));
  private _prefetches: Request[] = [];
  /** The axes that were asked about, the last one first. */
  private _lastMoved: readonly Axis[] = [];
  private _error: string | null = null;
  private _isDisposed = false;
}
