/** Width and height of a picture in mm. */
export type SizeMm = readonly [number, number];

/**
 * How many columns of panes let the smallest scale of all pictures be largest.
 *
 * @param sizes - Of the pictures, pane by pane, row by row.
 * @param width - Of the place for all.
 * @param height - Of the place for all.
 * @param choices - Numbers of columns that make sense; the first is taken where all are alike.
 */
export function bestColumns(
  sizes: readonly SizeMm[],
  width: number,
  height: number,
  choices: readonly number[]
): number {
  const scaleOf = (columns: number) => {
    const rows = Math.ceil(sizes.length / columns);
    return Math.min(
      ...sizes.map(([widthMm, heightMm]) =>
        Math.min(width / columns / widthMm, height / rows / heightMm)
      )
    );
  };
  return choices.reduce((best, columns) =>
    scaleOf(columns) > scaleOf(best) * 1.01 ? columns : best
  );
}
