import { planeLayouts } from '../orientation';
import { PlacedPlane, roundLength, WHOLE, zoomedAbout } from '../plane_layout';

/** 7 x 5 x 6 voxels of 2.5 x 0.8 x 0.5 mm: slices to the left, rows to the feet, columns to the back. */
const SHAPE = [7, 5, 6] as const;
const LAYOUTS = planeLayouts([
  [2.5, 0, 0, 0],
  [0, 0, 0.5, 0],
  [0, -0.8, 0, 0],
  [0, 0, 0, 1]
]);

describe.each(LAYOUTS.map(layout => [layout.title, layout] as const))(
  'the %s plane',
  (_, layout) => {
    const placed = new PlacedPlane(layout, SHAPE, 300, 200, WHOLE);

    it('has its true proportions and fits', () => {
      expect(placed.width / placed.height).toBeCloseTo(
        (placed.columns * layout.widthMm) / (placed.rows * layout.heightMm)
      );
      expect(Math.min(300 - placed.width, 200 - placed.height)).toBeCloseTo(0);
    });

    it('finds every voxel again at the point where it is drawn', () => {
      for (let k = 0; k < 7; k++) {
        for (let j = 0; j < 5; j++) {
          for (let i = 0; i < 6; i++) {
            const voxel = [k, j, i] as const;
            expect(placed.voxelAt(placed.pointOf(voxel), voxel)).toEqual(voxel);
          }
        }
      }
    });

    it('puts stored voxels where their centres are', () => {
      const [a, b, c, d, e, f] = placed.transform;
      const voxel = [1, 3, 2] as const;
      const offset = placed.offsetOf(voxel);
      const column = (offset % placed.stored.columns) + 0.5;
      const row = Math.floor(offset / placed.stored.columns) + 0.5;
      const point = placed.pointOf(voxel);
      expect(a * column + c * row + e).toBeCloseTo(point.x);
      expect(b * column + d * row + f).toBeCloseTo(point.y);
    });

    it('has no voxel outside', () => {
      expect(placed.voxelAt({ x: -1, y: 100 }, [0, 0, 0])).toBeNull();
      expect(
        placed.voxelAt({ x: placed.left + placed.width + 1, y: 100 }, [0, 0, 0])
      ).toBeNull();
    });
  }
);

test('zooming leaves the point under the pointer where it is', () => {
  const [axial] = LAYOUTS;
  const view = { zoom: 1.5, shiftXMm: 2, shiftYMm: -1 };
  const before = new PlacedPlane(axial, SHAPE, 300, 200, view);
  const point = { x: 70, y: 130 };
  const after = new PlacedPlane(
    axial,
    SHAPE,
    300,
    200,
    zoomedAbout(view, before, point, 2)
  );
  const at = (placed: PlacedPlane) => [
    (point.x - placed.left) / placed.width,
    (point.y - placed.top) / placed.height
  ];
  expect(after.pixelsPerMm).toBeCloseTo(2 * before.pixelsPerMm);
  expect(at(after)[0]).toBeCloseTo(at(before)[0]);
  expect(at(after)[1]).toBeCloseTo(at(before)[1]);
});

test.each([
  [137, 100],
  [99, 50],
  [2.2, 2],
  [0.07, 0.05]
])('a scale bar of at most %d mm has a round length', (longest, length) => {
  expect(roundLength(longest)).toBeCloseTo(length);
});
