import { Plane } from '../plane';
import { automaticWindow, draggedWindow, presetsFor } from '../windowing';

describe('presetsFor', () => {
  it('knows the windows of CT by level and width', () => {
    const presets = presetsFor('CT', 'HU');
    expect(presets.find(({ name }) => name === 'Lung')?.window).toEqual({
      low: -1350,
      high: 150
    });
    expect(presets.map(({ name }) => name)).toContain('Brain');
  });

  it('has none where values have no meaning of their own', () => {
    expect(presetsFor('MR', null)).toEqual([]);
    expect(presetsFor('CT', null)).toEqual([]);
    expect(presetsFor('PT', 'BQML')).toEqual([]);
    expect(presetsFor('PT', 'GML')).toHaveLength(3);
  });
});

describe('automaticWindow', () => {
  it('leaves out the darkest and the brightest voxels', () => {
    const voxels = Int16Array.from({ length: 1000 }, (_, n) => n);
    voxels[0] = -30000;
    voxels[999] = 30000;
    expect(automaticWindow(new Plane(voxels), 'MR')).toEqual({
      low: 10,
      high: 994
    });
  });

  it('is of real values where planes travel as they are stored', () => {
    const plane = new Plane(Uint16Array.of(0, 0), 2, -1000);
    expect(automaticWindow(plane, 'MR').low).toBe(-1000);
  });

  it('starts at zero for PET and is never empty', () => {
    expect(automaticWindow(new Plane(Float32Array.of(1, 2, 3)), 'PT').low).toBe(
      0
    );
    expect(automaticWindow(new Plane(Int16Array.of(7, 7)), 'MR')).toEqual({
      low: 7,
      high: 8
    });
    expect(automaticWindow(new Plane(Float32Array.of(NaN)), 'MR')).toEqual({
      low: 0,
      high: 1
    });
  });
});

describe('draggedWindow', () => {
  it('is wider to the right and brighter upwards', () => {
    const window = { low: 0, high: 100 };
    const wider = draggedWindow(window, 50, 0);
    expect(wider.high - wider.low).toBeGreaterThan(100);
    expect((wider.high + wider.low) / 2).toBeCloseTo(50);
    const brighter = draggedWindow(window, 0, 50);
    expect(brighter.high).toBeLessThan(100);
    expect(brighter.high - brighter.low).toBeCloseTo(100);
  });
});
