/**
 * Runs something as often as it takes, and not more: however often it is asked for, one run is under way and at most
 * one more waits, which starts after the last request.
 */
export class Coalesced {
  constructor(private readonly _work: () => Promise<void>) {}

  /** Resolves when a run that began after this call has ended, and fails as it does. */
  run(): Promise<void> {
    if (!this._underWay) {
      this._underWay = this._work().finally(() => {
        this._underWay = null;
      });
      return this._underWay;
    }
    this._waiting ??= this._underWay
      .catch(() => undefined)
      .then(() => {
        this._waiting = null;
        return this.run();
      });
    return this._waiting;
  }

  private _underWay: Promise<void> | null = null;
  private _waiting: Promise<void> | null = null;
}
