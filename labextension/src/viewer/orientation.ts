import { Affine, Axis, AXES, spacingMm, stepLpsMm, Triple } from './affine';

export type PlaneTitle = 'axial' | 'coronal' | 'sagittal';

export const PLANE_TITLES: readonly PlaneTitle[] = [
  'axial',
  'coronal',
  'sagittal'
];

/** Patient directions at the edges of a picture; an oblique one has several letters, the nearest first. */
export interface EdgeLetters {
  top: string;
  right: string;
  bottom: string;
  left: string;
}

/**
 * How one plane of a volume is shown to a reader of images: the patient's right on the left, anterior at the top of an
 * axial plane, the head at the top of the others, anterior on the left of a sagittal one.
 */
export interface PlaneLayout {
  title: PlaneTitle;
  /** The index axis that stands still. */
  axis: Axis;
  /** The index axes that run down and across the picture. */
  rowAxis: Axis;
  columnAxis: Axis;
  /** Whether they run up and to the left instead. */
  flipRows: boolean;
  flipColumns: boolean;
  /** Size of a voxel in the picture. */
  heightMm: number;
  widthMm: number;
  letters: EdgeLetters;
  /** Largest angle between an axis of the volume and the patient's nearest, in degrees. */
  obliqueDegrees: number;
}

const PATIENT_LETTERS = [
  ['R', 'L'],
  ['A', 'P'],
  ['F', 'H']
] as const;

/** A direction that is farther from a patient axis than this (75.5 degrees) does not get its letter. */
const LEAST_COSINE = 0.25;

/** The axial, coronal and sagittal plane of a volume, or those nearest to them. */
export function planeLayouts(affine: Affine): PlaneLayout[] {
  const directions = AXES.map(axis => unit(stepLpsMm(affine, axis)));
  const axisOf = nearestAxes(directions);
  const cosines = axisOf.map((axis, patient) => directions[axis][patient]);
  const obliqueDegrees = Math.max(
    ...cosines.map(cosine => degrees(Math.min(1, Math.abs(cosine))))
  );

  const view = (
    title: PlaneTitle,
    still: number,
    vertical: number,
    topIsLow: boolean,
    horizontal: number
  ): PlaneLayout => {
    const rowAxis = axisOf[vertical];
    const columnAxis = axisOf[horizontal];
    const flipRows = cosines[vertical] > 0 !== topIsLow;
    const flipColumns = cosines[horizontal] < 0;
    const down = times(directions[rowAxis], flipRows ? -1 : 1);
    const across = times(directions[columnAxis], flipColumns ? -1 : 1);
    return {
      title,
      axis: axisOf[still],
      rowAxis,
      columnAxis,
      flipRows,
      flipColumns,
      heightMm: spacingMm(affine, rowAxis),
      widthMm: spacingMm(affine, columnAxis),
      letters: {
        top: directionLetters(times(down, -1)),
        right: directionLetters(across),
        bottom: directionLetters(down),
        left: directionLetters(times(across, -1))
      },
      obliqueDegrees
    };
  };
  return [
    view('axial', 2, 1, true, 0),
    view('coronal', 1, 2, false, 0),
    view('sagittal', 0, 2, false, 1)
  ];
}

/** The letters of a direction in the patient, nearest first, such as "AL". */
export function directionLetters(direction: Triple): string {
  return [...unit(direction).entries()]
    .filter(([, cosine]) => Math.abs(cosine) >= LEAST_COSINE)
    .sort(([, one], [, other]) => Math.abs(other) - Math.abs(one))
    .map(([patient, cosine]) => PATIENT_LETTERS[patient][cosine > 0 ? 1 : 0])
    .join('');
}

/** For each patient axis the index axis that is nearest to it, each taken once and all together as near as can be. */
function nearestAxes(directions: readonly Triple[]): Axis[] {
  const orders: Axis[][] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0]
  ];
  const nearness = (order: Axis[]) =>
    order.reduce<number>(
      (sum, axis, patient) => sum + Math.abs(directions[axis][patient]),
      0
    );
  return orders.reduce((best, order) =>
    nearness(order) > nearness(best) ? order : best
  );
}

function unit(vector: Triple): Triple {
  return times(vector, 1 / Math.hypot(...vector));
}

function times(vector: Triple, factor: number): Triple {
  return [vector[0] * factor, vector[1] * factor, vector[2] * factor];
}

function degrees(cosine: number): number {
  return (Math.acos(cosine) * 180) / Math.PI;
}
