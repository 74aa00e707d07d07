import { Triple } from './affine';
import { Colors } from './color_maps';
import { Picture } from './picture';
import { Plane } from './plane';
import { PlacedPlane } from './plane_layout';
import { difference, paintLabels, Shader } from './raster';
import { SliceLoader } from './slice_loader';
import { ViewerState } from './viewer_state';
import { Window } from './windowing';

/** A voxel is drawn as a square, and no longer smoothed, when it is larger than this on the screen. */
const SMOOTHED_UP_TO_PIXELS = 3;

/** Which of two volumes a pane shows, or how both. */
export type PaneRole = 'before' | 'after' | 'swipe' | 'difference';

/** What the pictures of one viewer are made of. */
export interface PictureContent {
  before: SliceLoader;
  after: SliceLoader | null;
  labels: SliceLoader | null;
  shader: Shader;
  differenceShader: Shader;
  colors: () => Colors;
  differenceColors: Colors;
  differenceWindow: () => Window;
  onLabels: (labels: ReadonlySet<number>) => void;
}

/** The pictures of one pane: voxels become pixels when they or their colours change, and are drawn at their size. */
export class PlanePictures {
  constructor(
    private readonly _role: PaneRole,
    private readonly _content: PictureContent
  ) {}

  /**
   * Draw the plane that the state asks for; where it is not there, the last one.
   *
   * @param swipeX - Where the second volume begins, when swiping.
   * @returns Whether all of it is there.
   */
  draw(
    context: CanvasRenderingContext2D,
    placed: PlacedPlane,
    state: ViewerState,
    swipeX: number
  ): boolean {
    const { before, after } = this._content;
    const first = planeOf(before, placed, state.position);
    const second = after ? planeOf(after, placed, state.position) : undefined;
    let isThere: boolean;
    if (this._role === 'difference') {
      isThere = this._paintDifference(placed, first, second);
      drawPicture(context, placed, this._picture);
    } else {
      const shown = this._role === 'after' ? second : first;
      isThere = this._shade(placed, this._picture, shown, state);
      drawPicture(context, placed, this._picture);
    }
    if (this._role === 'swipe') {
      isThere =
        this._shade(placed, this._secondPicture, second, state) && isThere;
      this._drawBeyond(context, placed, swipeX);
    }
    return this._drawLabels(context, placed, state) && isThere;
  }

  private _drawBeyond(
    context: CanvasRenderingContext2D,
    placed: PlacedPlane,
    swipeX: number
  ): void {
    const { width, height } = context.canvas; // at least what it is in CSS pixels
    context.save();
    context.beginPath();
    context.rect(swipeX, 0, width, height);
    context.clip();
    context.fillRect(0, 0, width, height);
    drawPicture(context, placed, this._secondPicture);
    context.restore();
  }

  /** Returns whether there are none to wait for. */
  private _drawLabels(
    context: CanvasRenderingContext2D,
    placed: PlacedPlane,
    state: ViewerState
  ): boolean {
    const { labels, onLabels } = this._content;
    if (!labels) {
      return true;
    }
    const plane = planeOf(labels, placed, state.position);
    if (!plane) {
      return false;
    }
    const { rows, columns } = placed.stored;
    const { hiddenLabels, labelOpacity } = state;
    this._labelPicture.paint(
      columns,
      rows,
      [plane, hiddenLabels, labelOpacity],
      pixels => onLabels(paintLabels(plane, hiddenLabels, labelOpacity, pixels))
    );
    drawPicture(context, placed, this._labelPicture, false);
    return true;
  }

  private _shade(
    placed: PlacedPlane,
    picture: Picture,
    plane: Plane | undefined,
    state: ViewerState
  ): boolean {
    if (!plane) {
      return false;
    }
    const { rows, columns } = placed.stored;
    const window = state.window!;
    const colors = this._content.colors();
    picture.paint(columns, rows, [plane, window, colors], pixels =>
      this._content.shader.shade(plane, window, colors, pixels)
    );
    return true;
  }

  private _paintDifference(
    placed: PlacedPlane,
    before: Plane | undefined,
    after: Plane | undefined
  ): boolean {
    if (!before || !after) {
      return false;
    }
    const { rows, columns } = placed.stored;
    const { differenceColors: colors, differenceShader } = this._content;
    const window = this._content.differenceWindow();
    this._picture.paint(columns, rows, [before, after, window], pixels =>
      differenceShader.shade(difference(before, after), window, colors, pixels)
    );
    return true;
  }

  private readonly _picture = new Picture();
  private readonly _secondPicture = new Picture();
  private readonly _labelPicture = new Picture();
}

function planeOf(
  loader: SliceLoader,
  { layout }: PlacedPlane,
  position: Triple
): Plane | undefined {
  return loader.get(layout.axis, position[layout.axis]);
}

function drawPicture(
  context: CanvasRenderingContext2D,
  placed: PlacedPlane,
  picture: Picture,
  mayBeSmooth = true
): void {
  if (picture.canvas.width === 0) {
    return;
  }
  context.save();
  context.transform(...placed.transform);
  context.imageSmoothingEnabled =
    mayBeSmooth &&
    Math.max(placed.voxelWidth, placed.voxelHeight) <= SMOOTHED_UP_TO_PIXELS;
  context.drawImage(picture.canvas, 0, 0);
  context.restore();
}
