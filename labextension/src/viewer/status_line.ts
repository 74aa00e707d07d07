import { VolumeInfo } from '../generated/types';
import { Triple } from './affine';
import { PlanePane } from './plane_pane';
import { readoutOf } from './readout';

/** The line below the planes: value, place and slice of the voxel under the pointer or else under the crosshair. */
export class StatusLine {
  readonly node = document.createElement('div');

  constructor(private readonly _info: VolumeInfo) {
    this.node.className = 'dlp-Viewer-status';
    for (const part of ['value', 'position', 'slice', 'window']) {
      const span = document.createElement('span');
      span.dataset.part = part;
      this._parts.set(part, span);
    }
    this._error.className = 'dlp-Viewer-error';
    this._error.setAttribute('role', 'alert');
    this.node.append(...this._parts.values(), this._error);
  }

  /** Say why a plane cannot be had; nothing when all can. What is painted on it is cut off, and not read aloud. */
  tell(error: string): void {
    if (this._error.textContent !== error) {
      this._error.textContent = error;
    }
  }

  /** The pointer is over a voxel of a pane, or left it. */
  hover(pane: PlanePane, voxel: Triple | null): void {
    this._hover = voxel && { pane, voxel };
  }

  show(pane: PlanePane, crosshair: Triple, window: string): void {
    const shown = this._hover ?? { pane, voxel: crosshair };
    const value = shown.pane.valueAt(shown.voxel);
    const readout = readoutOf(this._info, shown.voxel, value);
    for (const [part, text] of Object.entries({ ...readout, window })) {
      this._parts.get(part)!.textContent = text;
    }
  }

  private readonly _error = document.createElement('span');
  private readonly _parts = new Map<string, HTMLElement>();
  private _hover: { pane: PlanePane; voxel: Triple } | null = null;
}
