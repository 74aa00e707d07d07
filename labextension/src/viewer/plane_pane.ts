import { Triple } from './affine';
import { Annotations } from './annotations';
import { PlaneLayout } from './orientation';
import { Plane } from './plane';
import { PlacedPlane, Point } from './plane_layout';
import { PaneRole, PictureContent, PlanePictures } from './plane_pictures';
import { SliceLoader } from './slice_loader';
import { Translate } from './translate';
import { ViewerState } from './viewer_state';

/** What panes of one viewer have in common. */
export interface PaneContent extends PictureContent {
  /** What the two volumes are called. */
  names: readonly [string, string];
  translate: Translate;
}

/** One plane on a canvas. */
export class PlanePane {
  readonly canvas = document.createElement('canvas');

  constructor(
    readonly layout: PlaneLayout,
    readonly role: PaneRole,
    private readonly _content: PaneContent
  ) {
    this._pictures = new PlanePictures(role, _content);
    this.canvas.className = 'dlp-Viewer-plane';
    this.canvas.tabIndex = 0;
    this.canvas.dataset.plane = layout.title;
    this.canvas.dataset.role = role;
    const { top, right, bottom, left } = layout.letters;
    this.canvas.dataset.letters = [top, right, bottom, left].join(' ');
    this.canvas.setAttribute('role', 'slider');
    this.canvas.setAttribute('aria-valuemin', '1');
    this.canvas.setAttribute('aria-valuemax', String(this._shape[layout.axis]));
  }

  /** Where the plane is on the canvas; null before it was painted. */
  get placed(): PlacedPlane | null {
    return this._placed;
  }

  /** Whether the pane has painted the slice that the state asks for. */
  isCurrent(state: ViewerState): boolean {
    return this._paintedIndex === state.position[this.layout.axis];
  }

  /** The value at a voxel; null where it is not there yet. */
  valueAt(voxel: Triple): number | null {
    const { before, after } = this._content;
    const plane = this._plane(
      this.role === 'after' || this._isSwipedAway(voxel) ? after! : before,
      voxel
    );
    const offset = this._placed?.offsetOf(voxel);
    if (!plane || offset === undefined) {
      return null;
    }
    if (this.role === 'difference') {
      const second = this._plane(after!, voxel);
      return second ? second.valueAt(offset) - plane.valueAt(offset) : null;
    }
    return plane.valueAt(offset);
  }

  /** Whether a voxel is shown as the second volume has it. */
  private _isSwipedAway(voxel: Triple): boolean {
    return (
      this.role === 'swipe' &&
      this._placed !== null &&
      this._placed.pointOf(voxel).x > this._paintedSwipeX
    );
  }

  /** Where the swipe line is. */
  swipeX(state: ViewerState): number {
    return state.swipe * this.canvas.clientWidth;
  }

  /** Paint the slice that the state asks for, if it is there; else the last one stays. */
  paint(state: ViewerState): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0 || state.window === null) {
      return;
    }
    const context = this._sized(width, height);
    const placed = (this._placed = new PlacedPlane(
      this.layout,
      this._shape,
      width,
      height,
      state.views[this.layout.title]
    ));
    this._paintedSwipeX = this.swipeX(state);
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    const isThere = this._pictures.draw(
      context,
      placed,
      state,
      this._paintedSwipeX
    );
    this._annotate(context, placed, state, width, height);
    this._tell(state, isThere);
  }

  private _annotate(
    context: CanvasRenderingContext2D,
    placed: PlacedPlane,
    state: ViewerState,
    width: number,
    height: number
  ): void {
    const { translate, before, after, names } = this._content;
    const annotations = new Annotations(context, width, height);
    if (state.hasCrosshair) {
      annotations.crosshair(placed, state.position);
    }
    if (this.role === 'swipe') {
      annotations.swipeLine(this.swipeX(state));
    }
    annotations.letters(this.layout.letters);
    annotations.scaleBar(placed);
    const { axis, title, obliqueDegrees } = this.layout;
    const oblique = obliqueDegrees >= 3 ? ` ${translate('oblique')}` : '';
    annotations.titles(
      [
        `${translate(title)}${oblique}`,
        `${state.position[axis] + 1} / ${this._shape[axis]}`
      ],
      this._nameOf(names)
    );
    const error = before.error ?? after?.error;
    if (error) {
      annotations.message(error);
    }
  }

  private _nameOf(names: readonly [string, string]): string {
    switch (this.role) {
      case 'before':
        return this._content.after ? names[0] : '';
      case 'after':
        return names[1];
      case 'swipe':
        return `${names[0]} | ${names[1]}`;
      case 'difference':
        return `${names[1]} − ${names[0]}`;
    }
  }

  /** Say what is painted, to screen readers and to who waits for it. */
  private _tell(state: ViewerState, isThere: boolean): void {
    const index = state.position[this.layout.axis];
    if (index !== this._toldIndex) {
      this._toldIndex = index;
      this.canvas.setAttribute('aria-valuenow', String(index + 1));
      this.canvas.setAttribute('aria-label', this._label(index));
    }
    if (isThere) {
      this._paintedIndex = index;
      this.canvas.dataset.index = String(index);
    }
  }

  private _label(index: number): string {
    const { axis, title, letters } = this.layout;
    const { translate } = this._content;
    const plane = translate(
      '%1 plane, slice %2 of %3',
      translate(title),
      String(index + 1),
      String(this._shape[axis])
    );
    const sides = translate(
      'top %1, right %2, bottom %3, left %4',
      letters.top,
      letters.right,
      letters.bottom,
      letters.left
    );
    return `${plane}; ${sides}`;
  }

  private _plane(loader: SliceLoader, position: Triple): Plane | undefined {
    const { axis } = this.layout;
    return loader.get(axis, position[axis]);
  }

  /** The canvas at the screen's own resolution, so that lines and letters are sharp; one unit is a CSS pixel. */
  private _sized(width: number, height: number): CanvasRenderingContext2D {
    const ratio = window.devicePixelRatio || 1;
    const context = this.canvas.getContext('2d', { alpha: false })!;
    const [across, down] = [width * ratio, height * ratio].map(Math.round);
    if (this.canvas.width !== across || this.canvas.height !== down) {
      this.canvas.width = across;
      this.canvas.height = down;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  private get _shape(): Triple {
    return this._content.before.source.info.shape;
  }

  /** The voxel at a point of the canvas; null outside. */
  voxelAt(point: Point, state: ViewerState): Triple | null {
    return this._placed?.voxelAt(point, state.position) ?? null;
  }

  private readonly _pictures: PlanePictures;
  private _placed: PlacedPlane | null = null;
  private _paintedIndex = -1;
  private _toldIndex = -1;
  private _paintedSwipeX = 0;
}
