import { Triple } from './affine';
import { Point, WHOLE, zoomedAbout } from './plane_layout';
import { PlanePane } from './plane_pane';
import { movedTo, Tool, ViewerStore } from './viewer_state';
import { draggedWindow } from './windowing';

/** A wheel's turn by so many pixels is one slice, whatever the device reports. */
const WHEEL_PIXELS = 40;
const SWIPE_REACH = 12;
const PAGE = 10;

interface Drag {
  tool: Tool | 'swipe';
  last: Point;
  start: Point;
}

/** What pointer, wheel and keys do in one pane. */
export class PaneInput {
  constructor(
    private readonly _pane: PlanePane,
    private readonly _store: ViewerStore,
    private readonly _shape: Triple,
    private readonly _onHover: (voxel: Triple | null) => void
  ) {
    const { canvas } = _pane;
    canvas.addEventListener('pointerdown', event => this._onDown(event));
    canvas.addEventListener('pointermove', event => this._onMove(event));
    canvas.addEventListener('pointerup', () => (this._drag = null));
    canvas.addEventListener('pointercancel', () => (this._drag = null));
    canvas.addEventListener('pointerleave', () => this._onHover(null));
    canvas.addEventListener('wheel', event => this._onWheel(event), {
      passive: false
    });
    canvas.addEventListener('keydown', event => this._onKey(event));
    canvas.addEventListener('dblclick', () => this._resetView());
    canvas.addEventListener('contextmenu', event => event.preventDefault());
  }

  private _onDown(event: PointerEvent): void {
    const point = pointOf(event);
    const { state } = this._store;
    const isAtSwipe =
      this._pane.role === 'swipe' &&
      Math.abs(point.x - this._pane.swipeX(state)) < SWIPE_REACH;
    this._drag = {
      tool: isAtSwipe ? 'swipe' : toolOf(event, state.tool),
      last: point,
      start: point
    };
    this._pane.canvas.setPointerCapture(event.pointerId);
    this._pane.canvas.focus({ preventScroll: true });
    event.preventDefault();
    this._moveTo(point, 0, 0);
  }

  private _onMove(event: PointerEvent): void {
    const point = pointOf(event);
    this._onHover(this._pane.voxelAt(point, this._store.state));
    if (this._drag) {
      const { last } = this._drag;
      this._drag.last = point;
      this._moveTo(point, point.x - last.x, point.y - last.y);
    }
  }

  private _moveTo(point: Point, right: number, down: number): void {
    const { state } = this._store;
    const { placed, layout } = this._pane;
    if (!this._drag || !placed) {
      return;
    }
    const view = state.views[layout.title];
    switch (this._drag.tool) {
      case 'crosshair': {
        const voxel = this._pane.voxelAt(point, state);
        if (voxel) {
          this._store.set({ position: voxel });
        }
        return;
      }
      case 'window':
        if (state.window && (right || down)) {
          this._store.set({
            window: draggedWindow(state.window, right, -down)
          });
        }
        return;
      case 'pan':
        this._setView({
          zoom: view.zoom,
          shiftXMm: view.shiftXMm + right / placed.pixelsPerMm,
          shiftYMm: view.shiftYMm + down / placed.pixelsPerMm
        });
        return;
      case 'zoom':
        this._setView(
          zoomedAbout(view, placed, this._drag.start, Math.exp(-down / 100))
        );
        return;
      case 'swipe':
        this._store.set({
          swipe: Math.min(
            1,
            Math.max(0, point.x / this._pane.canvas.clientWidth)
          )
        });
    }
  }

  private _onWheel(event: WheelEvent): void {
    event.preventDefault();
    const { placed, layout } = this._pane;
    const pixels =
      event.deltaMode === WheelEvent.DOM_DELTA_PIXEL
        ? event.deltaY
        : event.deltaY * WHEEL_PIXELS;
    if (event.ctrlKey && placed) {
      const view = this._store.state.views[layout.title];
      this._setView(
        zoomedAbout(view, placed, pointOf(event), Math.exp(-pixels / 300))
      );
      return;
    }
    this._wheel += pixels;
    const steps = Math.trunc(this._wheel / WHEEL_PIXELS);
    this._wheel -= steps * WHEEL_PIXELS;
    this._step(steps);
  }

  private _onKey(event: KeyboardEvent): void {
    if (event.altKey || event.metaKey || event.ctrlKey) {
      return;
    }
    const { state } = this._store;
    const { axis, title } = this._pane.layout;
    const { placed } = this._pane;
    const middle = {
      x: this._pane.canvas.clientWidth / 2,
      y: this._pane.canvas.clientHeight / 2
    };
    const zoom = (factor: number) => {
      if (placed) {
        this._setView(zoomedAbout(state.views[title], placed, middle, factor));
      }
    };
    const actions: Record<string, () => void> = {
      ArrowUp: () => this._step(-1),
      ArrowLeft: () => this._step(-1),
      ArrowDown: () => this._step(1),
      ArrowRight: () => this._step(1),
      PageUp: () => this._step(-PAGE),
      PageDown: () => this._step(PAGE),
      Home: () => this._step(-state.position[axis]),
      End: () => this._step(this._shape[axis]),
      '+': () => zoom(1.25),
      '=': () => zoom(1.25),
      '-': () => zoom(0.8),
      '0': () => this._resetView(),
      i: () => this._store.set({ inverted: !state.inverted }),
      x: () => this._store.set({ hasCrosshair: !state.hasCrosshair }),
      ' ': () => this._store.set({ cine: state.cine === title ? null : title })
    };
    const action = actions[event.key];
    if (action) {
      event.preventDefault();
      event.stopPropagation();
      action();
    }
  }

  private _step(steps: number): void {
    const { state } = this._store;
    const { axis } = this._pane.layout;
    const position = movedTo(
      state.position,
      axis,
      state.position[axis] + steps,
      this._shape
    );
    if (position[axis] !== state.position[axis]) {
      this._store.set({ position });
    }
  }

  private _resetView(): void {
    this._setView(WHOLE);
  }

  private _setView(view: typeof WHOLE): void {
    const { views } = this._store.state;
    this._store.set({ views: { ...views, [this._pane.layout.title]: view } });
  }

  private _drag: Drag | null = null;
  private _wheel = 0;
}

/** The second button sets the window, the middle one and the shift key pan, whatever tool is chosen. */
function toolOf(event: PointerEvent, chosen: Tool): Tool {
  if (event.button === 2) {
    return 'window';
  }
  return event.button === 1 || event.shiftKey ? 'pan' : chosen;
}

function pointOf(event: MouseEvent): Point {
  return { x: event.offsetX, y: event.offsetY };
}
