import { Colors, colorsOf } from './color_maps';
import { ViewerState } from './viewer_state';
import { Window } from './windowing';

/** Colours and windows that follow from the state; the same objects as long as it asks for the same. */
export class Shades {
  readonly differenceColors: Colors = colorsOf('difference');

  colors({ colorMap, inverted }: ViewerState): Colors {
    const key = `${colorMap} ${inverted}`;
    if (key !== this._key) {
      this._colors = colorsOf(colorMap, inverted);
      this._key = key;
    }
    return this._colors;
  }

  /** As wide as half of the window, about 0. */
  differenceWindow({ window }: ViewerState): Window {
    const half = window ? (window.high - window.low) / 4 : 1;
    if (this._difference.high !== half) {
      this._difference = { low: -half, high: half };
    }
    return this._difference;
  }

  /** Level and width; of a difference, how much of it is seen. */
  windowText(state: ViewerState): string {
    if (!state.window) {
      return '';
    }
    const short = (value: number) => String(+value.toPrecision(4));
    const { low, high } = state.window;
    return state.comparison === 'difference'
      ? `± ${short(this.differenceWindow(state).high)}`
      : `L ${short((low + high) / 2)} W ${short(high - low)}`;
  }

  private _colors: Colors = colorsOf('gray');
  private _key = 'gray false';
  private _difference: Window = { low: -1, high: 1 };
}
