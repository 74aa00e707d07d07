/**
 * The grid of a volume in the patient: voxels are counted (slice, row, column), positions are millimetres in LPS, where
 * x grows to the patient's Left, y to the Posterior, z to the Head.
 */

export type Axis = 0 | 1 | 2;
export type Triple = readonly [number, number, number];

export const AXES: readonly Axis[] = [0, 1, 2];

/** Four rows of four numbers: index (k, j, i, 1) to the position of the voxel's centre. */
export type Affine = ReadonlyArray<ReadonlyArray<number>>;

/** The position of a voxel's centre. */
export function positionLpsMm(affine: Affine, indexKji: Triple): Triple {
  const along = (row: ReadonlyArray<number>) =>
    row[0] * indexKji[0] + row[1] * indexKji[1] + row[2] * indexKji[2] + row[3];
  return [along(affine[0]), along(affine[1]), along(affine[2])];
}

/** The step in the patient from one index along an axis to the next, in mm. */
export function stepLpsMm(affine: Affine, axis: Axis): Triple {
  return [affine[0][axis], affine[1][axis], affine[2][axis]];
}

/** Its length. */
export function spacingMm(affine: Affine, axis: Axis): number {
  return Math.hypot(...stepLpsMm(affine, axis));
}

/** Whether two grids have their voxels at the same places, to a thousandth of a millimetre at each corner. */
export function sameGrid(
  one: { shape: Triple; affine_kji_to_lps: Affine },
  other: { shape: Triple; affine_kji_to_lps: Affine }
): boolean {
  if (one.shape.some((length, axis) => length !== other.shape[axis])) {
    return false;
  }
  const [k, j, i] = one.shape.map(length => [0, length - 1]);
  const corners = k.flatMap(a =>
    j.flatMap(b => i.map((c): Triple => [a, b, c]))
  );
  return corners.every(corner => {
    const here = positionLpsMm(one.affine_kji_to_lps, corner);
    const there = positionLpsMm(other.affine_kji_to_lps, corner);
    return here.every((mm, n) => Math.abs(mm - there[n]) <= 1e-3);
  });
}
