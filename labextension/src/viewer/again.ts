const FIRST_MS = 2000;
const LAST_MS = 60000;

/** Tries something again after it failed: soon at first, then each time after twice as long. */
export class Again {
  constructor(private readonly _work: () => void) {}

  failed(): void {
    if (!this._timer) {
      this._timer = window.setTimeout(() => {
        this._timer = 0;
        this._work();
      }, this._nextMs);
      this._nextMs = Math.min(2 * this._nextMs, LAST_MS);
    }
  }

  succeeded(): void {
    this.dispose();
    this._nextMs = FIRST_MS;
  }

  dispose(): void {
    clearTimeout(this._timer);
    this._timer = 0;
  }

  private _timer = 0;
  private _nextMs = FIRST_MS;
}
