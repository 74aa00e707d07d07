import { bestColumns } from '../arrangement';
import { formatted, readoutOf } from '../readout';
import { untranslated } from '../translate';

test('a voxel is told by value and unit, patient position, index and file', () => {
  const info = {
    shape: [2, 2, 2] as [number, number, number],
    affine_kji_to_lps: [
      [0, 0, 0.5, -61.5],
      [0, 0.8, 0, 38.25],
      [2.5, 0, 0, -90.125],
      [0, 0, 0, 1]
    ],
    dtype: 'int16' as const,
    unit: 'HU',
    modality: 'CT',
    slope: 1,
    intercept: 0,
    inverted: false,
    window: null,
    slice_files: ['a.dcm', 'b.dcm'],
    has_headers: true,
    resampled: false,
    warnings: []
  };
  expect(readoutOf(info, [1, 1, 0], -1024)).toEqual({
    value: '-1024 HU',
    position: 'R 61.5 P 39.0 F 87.6 mm',
    slice: '[1, 1, 0] b.dcm'
  });
  expect(readoutOf({ ...info, slice_files: [] }, [0, 0, 0], null)).toEqual({
    value: '',
    position: 'R 61.5 P 38.3 F 90.1 mm',
    slice: '[0, 0, 0]'
  });
});

test('numbers are short, and whole ones whole', () => {
  expect([0.123456, 123456, 2.5, NaN].map(formatted)).toEqual([
    '0.12346',
    '123456',
    '2.5',
    '–'
  ]);
});

test('columns are chosen so that pictures become largest', () => {
  const square: Array<[number, number]> = [
    [100, 100],
    [100, 100],
    [100, 100]
  ];
  expect(bestColumns(square, 900, 300, [3, 2, 1])).toBe(3);
  expect(bestColumns(square, 600, 600, [3, 2, 1])).toBe(2);
  expect(bestColumns(square, 300, 900, [3, 2, 1])).toBe(1);
});

test('values take their places in a text that nobody translates', () => {
  expect(untranslated('%1 plane, slice %2 of %3', 'axial', '1', '2')).toBe(
    'axial plane, slice 1 of 2'
  );
});
