import { IDisposable } from '@lumino/disposable';
import { Throttler } from '@lumino/polling';
import { Coalesced } from './coalesced';

/** Between two listings that only bring the step at work, which events do not carry. */
const STEP_MS = 2000;
/** Between two listings where it is not known whether what has changed is listed at all. */
const UNLISTED_MS = 500;
/** Safety net under the event bus, which drops what happens while it is disconnected. */
const QUIET_MS = 30000;
/** Until a lost server is asked again; twice as long after each time in vain, up to `QUIET_MS`. */
const LOST_MS = 3000;
/** How often it is asked where nothing is gained by asking: it may have been starting. */
const TRIES_IN_VAIN = 4;

/**
 * When the jobs are listed: one listing is under way and at most one more waits, however often it is asked for; and one
 * follows by itself some time after the last.
 */
export class RefreshSchedule implements IDisposable {
  /**
   * @param _list - Lists the jobs; when it fails, it is tried again soon.
   * @param _onEnd - Called after each listing, whatever became of it.
   * @param _isInVain - Whether a server that failed like this will fail for good; it is asked a few times more.
   */
  constructor(
    private readonly _list: () => Promise<void>,
    private readonly _onEnd: () => void,
    private readonly _isInVain: (error: unknown) => boolean
  ) {
    const throttled = (limit: number) =>
      new Throttler(() => this.soon(), { limit, edge: 'trailing' });
    this._step = throttled(STEP_MS);
    this._unlisted = throttled(UNLISTED_MS);
  }

  get isDisposed(): boolean {
    return this._step.isDisposed;
  }

  dispose(): void {
    clearTimeout(this._timer);
    this._step.dispose();
    this._unlisted.dispose();
  }

  /** List them; resolves when a listing that began after this call has ended, and fails as it does. */
  now(): Promise<void> {
    return this._listing.run();
  }

  /** List them for nobody who waits for it. */
  soon(): void {
    if (!this.isDisposed) {
      this.now().catch(() => undefined);
    }
  }

  /** A listed job is further than it was. */
  afterStep(): void {
    void this._step.invoke();
  }

  /** Something has changed that may not be listed. */
  afterUnlisted(): void {
    void this._unlisted.invoke();
  }

  private async _run(): Promise<void> {
    let next = QUIET_MS;
    try {
      await this._list();
      this._failures = 0;
    } catch (error) {
      next = Math.min(QUIET_MS, LOST_MS * 2 ** this._failures);
      this._failures += 1;
      if (this._isInVain(error) && this._failures >= TRIES_IN_VAIN) {
        next = Infinity;
      }
      throw error;
    } finally {
      if (!this.isDisposed) {
        clearTimeout(this._timer);
        if (next < Infinity) {
          this._timer = setTimeout(() => this.soon(), next);
        }
        this._onEnd();
      }
    }
  }

  private readonly _listing = new Coalesced(() => this._run());
  private readonly _step: Throttler;
  private readonly _unlisted: Throttler;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  /** Listings that failed since the last one that did not. */
  private _failures = 0;
}
