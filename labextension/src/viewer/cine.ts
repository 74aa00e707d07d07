import { Triple } from './affine';
import { PlanePane } from './plane_pane';
import { movedTo, ViewerStore } from './viewer_state';

const FRAMES_PER_SECOND = 15;

/** Runs through the slices of a plane, from the last to the first again; waits for a slice that is not there yet. */
export class Cine {
  constructor(
    private readonly _store: ViewerStore,
    private readonly _shape: Triple,
    private readonly _panes: () => readonly PlanePane[]
  ) {
    _store.listen(({ cine }, before) => {
      if (cine !== before.cine) {
        this._restart(cine !== null);
      }
    });
  }

  dispose(): void {
    this._restart(false);
  }

  private _restart(on: boolean): void {
    clearInterval(this._timer);
    if (on) {
      this._timer = window.setInterval(
        () => this._advance(),
        1000 / FRAMES_PER_SECOND
      );
    }
  }

  private _advance(): void {
    const { state } = this._store;
    const panes = this._panes().filter(
      ({ layout }) => layout.title === state.cine
    );
    if (panes.length > 0 && panes.every(pane => pane.isCurrent(state))) {
      const { axis } = panes[0].layout;
      const next = (state.position[axis] + 1) % this._shape[axis];
      const position = movedTo(state.position, axis, next, this._shape);
      this._store.set({ position });
    }
  }

  private _timer = 0;
}
