import { Affine } from '../affine';
import { directionLetters, planeLayouts } from '../orientation';

/** An affine from the steps of slice, row and column index. */
function affine(
  slice: number[],
  row: number[],
  column: number[],
  origin = [-61.5, 38.25, -90.125]
): Affine {
  return [0, 1, 2]
    .map(axis => [slice[axis], row[axis], column[axis], origin[axis]])
    .concat([[0, 0, 0, 1]]);
}

function lettersOf(grid: Affine): string[] {
  return planeLayouts(grid).map(({ letters }) =>
    [letters.top, letters.right, letters.bottom, letters.left].join(' ')
  );
}

const STANDARD = ['A L P R', 'H L F R', 'H P F A'];

describe('planeLayouts', () => {
  it.each([
    ['axial', affine([0, 0, 2.5], [0, 0.8, 0], [0.5, 0, 0])],
    ['axial from the head', affine([0, 0, -2.5], [0, 0.8, 0], [0.5, 0, 0])],
    ['axial, turned by 180', affine([0, 0, 2.5], [0, -0.8, 0], [-0.5, 0, 0])],
    ['coronal', affine([0, 2.5, 0], [0, 0, -0.8], [0.5, 0, 0])],
    ['sagittal', affine([2.5, 0, 0], [0, 0, -0.8], [0, 0.5, 0])],
    ['transposed', affine([0, 0, -2.5], [0.8, 0, 0], [0, 0.5, 0])]
  ])('shows %s slices the way that radiologists do', (_, grid) => {
    expect(lettersOf(grid)).toEqual(STANDARD);
    expect(planeLayouts(grid)[0].obliqueDegrees).toBeCloseTo(0);
  });

  it('takes rows and columns of a plane from the right axes', () => {
    const [axial, coronal, sagittal] = planeLayouts(
      affine([2.5, 0, 0], [0, 0, -0.8], [0, 0.5, 0])
    );
    expect(axial).toMatchObject({
      axis: 1,
      rowAxis: 2,
      columnAxis: 0,
      heightMm: 0.5,
      widthMm: 2.5,
      flipRows: false,
      flipColumns: false
    });
    expect(coronal).toMatchObject({ axis: 2, rowAxis: 1, columnAxis: 0 });
    expect(coronal.flipRows).toBe(false);
    expect(sagittal).toMatchObject({ axis: 0, rowAxis: 1, columnAxis: 2 });
  });

  it('takes each axis once, also of a volume turned by half a right angle', () => {
    const half = Math.SQRT1_2;
    const grid = affine([0, 0, 2], [half, half, 0], [half, -half, 0]);
    const axes = planeLayouts(grid).map(({ axis }) => axis);
    expect([...axes].sort()).toEqual([0, 1, 2]);
    expect(planeLayouts(grid)[0].obliqueDegrees).toBeCloseTo(45);
  });

  it('gives the edges of oblique slices the letters of all directions they have', () => {
    const turn = (20 * Math.PI) / 180;
    const grid = affine(
      [0, -Math.sin(turn), Math.cos(turn)],
      [0, Math.cos(turn), Math.sin(turn)],
      [1, 0, 0]
    );
    expect(lettersOf(grid)).toEqual(['AF L PH R', 'HA L FP R', 'HA PH FP AF']);
    expect(planeLayouts(grid)[0].obliqueDegrees).toBeCloseTo(20);
  });
});

describe('directionLetters', () => {
  it('names the nearest direction first and leaves out those across', () => {
    expect(directionLetters([-10, 0.1, 5])).toBe('RH');
    expect(directionLetters([1, 2, -3])).toBe('FPL');
    expect(directionLetters([0, 0, -3])).toBe('F');
  });
});
