import { Triple } from './affine';
import { ColorMapName } from './color_maps';
import { PlaneTitle } from './orientation';
import { View } from './plane_layout';
import { Window } from './windowing';

export type Shown = 'all' | PlaneTitle;
/** How two volumes are compared; with one, it is "before". */
export type Comparison = 'before' | 'after' | 'side' | 'swipe' | 'difference';
/** What a drag with the first button does. */
export type Tool = 'crosshair' | 'window' | 'pan' | 'zoom';

/** All that decides what a viewer shows. */
export interface ViewerState {
  /** The voxel under the crosshair, (k, j, i). */
  position: Triple;
  /** Null until the first slice tells what is there. */
  window: Window | null;
  colorMap: ColorMapName;
  inverted: boolean;
  shown: Shown;
  views: Readonly<Record<PlaneTitle, View>>;
  tool: Tool;
  hasCrosshair: boolean;
  comparison: Comparison;
  /** How much of the width shows the first volume when swiping, 0 to 1. */
  swipe: number;
  labelOpacity: number;
  hiddenLabels: ReadonlySet<number>;
  /** The plane that cine runs through; null when it does not. */
  cine: PlaneTitle | null;
}

/** Holds the state; who changes it says what is new, and all who listen are told. */
export class ViewerStore {
  constructor(private _state: ViewerState) {}

  get state(): ViewerState {
    return this._state;
  }

  set(change: Partial<ViewerState>): void {
    const before = this._state;
    this._state = { ...before, ...change };
    this._listeners.forEach(listener => listener(this._state, before));
  }

  listen(listener: (state: ViewerState, before: ViewerState) => void): void {
    this._listeners.push(listener);
  }

  private readonly _listeners: Array<
    (state: ViewerState, before: ViewerState) => void
  > = [];
}

/** The position with another index along an axis, within the volume. */
export function movedTo(
  position: Triple,
  axis: number,
  index: number,
  shape: Triple
): Triple {
  const moved: [number, number, number] = [...position];
  moved[axis] = Math.min(shape[axis] - 1, Math.max(0, Math.round(index)));
  return moved;
}
