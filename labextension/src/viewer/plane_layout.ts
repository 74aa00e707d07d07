import { Triple } from './affine';
import { PlaneLayout } from './orientation';

/** How much of a plane is seen: `zoom` 1 shows all of it, `shiftXMm` and `shiftYMm` move it to the right and down. */
export interface View {
  readonly zoom: number;
  readonly shiftXMm: number;
  readonly shiftYMm: number;
}

export const WHOLE: View = { zoom: 1, shiftXMm: 0, shiftYMm: 0 };
export const LARGEST_ZOOM = 40;
export const LEAST_ZOOM = 0.25;

/** A point in pixels of the canvas. */
export interface Point {
  x: number;
  y: number;
}

/** A plane on a canvas, in its true proportions. */
export class PlacedPlane {
  /** Pixels of the canvas for one millimetre. */
  readonly pixelsPerMm: number;
  /** Where the picture's upper left corner is. */
  readonly left: number;
  readonly top: number;
  /** Size of the picture. */
  readonly width: number;
  readonly height: number;

  constructor(
    readonly layout: PlaneLayout,
    readonly shape: Triple,
    canvasWidth: number,
    canvasHeight: number,
    view: View
  ) {
    const widthMm = this.columns * layout.widthMm;
    const heightMm = this.rows * layout.heightMm;
    const fitting = Math.min(canvasWidth / widthMm, canvasHeight / heightMm);
    this.pixelsPerMm = fitting * view.zoom;
    this.width = widthMm * this.pixelsPerMm;
    this.height = heightMm * this.pixelsPerMm;
    this.left =
      (canvasWidth - this.width) / 2 + view.shiftXMm * this.pixelsPerMm;
    this.top =
      (canvasHeight - this.height) / 2 + view.shiftYMm * this.pixelsPerMm;
  }

  get rows(): number {
    return this.shape[this.layout.rowAxis];
  }

  get columns(): number {
    return this.shape[this.layout.columnAxis];
  }

  /** Pixels of the canvas for one voxel. */
  get voxelWidth(): number {
    return this.width / this.columns;
  }

  get voxelHeight(): number {
    return this.height / this.rows;
  }

  /** The voxel at a point, the index along the plane's own axis being that of `positionKji`; null outside. */
  voxelAt({ x, y }: Point, positionKji: Triple): Triple | null {
    const across = Math.floor((x - this.left) / this.voxelWidth);
    const down = Math.floor((y - this.top) / this.voxelHeight);
    if (across < 0 || across >= this.columns || down < 0 || down >= this.rows) {
      return null;
    }
    const { rowAxis, columnAxis, flipRows, flipColumns } = this.layout;
    const voxel: [number, number, number] = [...positionKji];
    voxel[rowAxis] = flipRows ? this.rows - 1 - down : down;
    voxel[columnAxis] = flipColumns ? this.columns - 1 - across : across;
    return voxel;
  }

  /** The centre of a voxel on the canvas. */
  pointOf(indexKji: Triple): Point {
    const { rowAxis, columnAxis, flipRows, flipColumns } = this.layout;
    const across = flipColumns
      ? this.columns - 1 - indexKji[columnAxis]
      : indexKji[columnAxis];
    const down = flipRows
      ? this.rows - 1 - indexKji[rowAxis]
      : indexKji[rowAxis];
    return {
      x: this.left + (across + 0.5) * this.voxelWidth,
      y: this.top + (down + 0.5) * this.voxelHeight
    };
  }

  /** Where voxels of a plane, as they come, lie row by row: number of rows and columns. */
  get stored(): { rows: number; columns: number } {
    return this.isTransposed
      ? { rows: this.columns, columns: this.rows }
      : { rows: this.rows, columns: this.columns };
  }

  /** Where a voxel of the plane is among those that came. */
  offsetOf(indexKji: Triple): number {
    const [first, second] = ([0, 1, 2] as const).filter(
      axis => axis !== this.layout.axis
    );
    return indexKji[first] * this.shape[second] + indexKji[second];
  }

  /** The canvas transform that puts a picture of the stored voxels where it belongs. */
  get transform(): [number, number, number, number, number, number] {
    const { flipRows, flipColumns } = this.layout;
    const right = flipColumns ? -this.voxelWidth : this.voxelWidth;
    const down = flipRows ? -this.voxelHeight : this.voxelHeight;
    const x = flipColumns ? this.left + this.width : this.left;
    const y = flipRows ? this.top + this.height : this.top;
    return this.isTransposed
      ? [0, down, right, 0, x, y]
      : [right, 0, 0, down, x, y];
  }

  private get isTransposed(): boolean {
    return this.layout.rowAxis > this.layout.columnAxis;
  }
}

/** A view after zooming about a point, which stays where it is. */
export function zoomedAbout(
  view: View,
  placed: PlacedPlane,
  { x, y }: Point,
  factor: number
): View {
  const zoom = Math.min(LARGEST_ZOOM, Math.max(LEAST_ZOOM, view.zoom * factor));
  const after = placed.pixelsPerMm * (zoom / view.zoom);
  const moved = (point: number, start: number, size: number, shift: number) => {
    const centre = start + size / 2 - shift * placed.pixelsPerMm;
    const fromMiddleMm = (point - start - size / 2) / placed.pixelsPerMm;
    return (point - centre) / after - fromMiddleMm;
  };
  return {
    zoom,
    shiftXMm: moved(x, placed.left, placed.width, view.shiftXMm),
    shiftYMm: moved(y, placed.top, placed.height, view.shiftYMm)
  };
}

/** The longest of 1, 2 and 5 times a power of ten that is at most `longest`. */
export function roundLength(longest: number): number {
  const power = 10 ** Math.floor(Math.log10(longest));
  return (
    [5, 2, 1].map(times => times * power).find(length => length <= longest) ??
    power
  );
}
