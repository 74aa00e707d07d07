/** So long the last picture may stay while planes are on their way, before the crosshair goes ahead of them. */
const PATIENCE_MS = 50;

/**
 * When to paint: at the next frame, or a little later where planes are about to come. Each frame keeps the browser busy,
 * and one that shows nothing new holds up the one that does.
 */
export class PaintSchedule {
  constructor(private readonly _paint: () => void) {}

  /** Paint at the next frame. */
  soon(): void {
    clearTimeout(this._timer);
    this._timer = 0;
    if (!this._frame) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this._paint();
      });
    }
  }

  /** Paint when the patience is over, unless it is done sooner for another reason. */
  later(): void {
    if (!this._timer && !this._frame) {
      this._timer = window.setTimeout(() => this.soon(), PATIENCE_MS);
    }
  }

  dispose(): void {
    clearTimeout(this._timer);
    cancelAnimationFrame(this._frame);
  }

  private _timer = 0;
  private _frame = 0;
}
