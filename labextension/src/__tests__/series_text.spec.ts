import { SeriesSummary } from '../generated/types';
import { byteText, sizeText } from '../series_text';

const SERIES: SeriesSummary = {
  series_instance_uid: '1.2.3',
  description: 'T1',
  modality: 'MR',
  sop_class: 'MR Image Storage',
  files: 20,
  frames: null,
  verdict: 'usable',
  reason: '',
  shape: [20, 384, 256],
  spacing_kji_mm: [7.0012, 0.5, 0.8594],
  warnings: [],
  file_bytes: 2_630_000
};

it('tells size as width by height, and spacing in the same order', () => {
  expect(sizeText(SERIES)).toBe(
    '20 slices · 256 × 384 · 0.859 × 0.5 × 7 mm · 2.6 MB'
  );
});

it('tells of a refused series what is known of it', () => {
  const refused = { ...SERIES, shape: null, spacing_kji_mm: null };
  expect(sizeText(refused)).toBe('20 images · 2.6 MB');
  expect(sizeText({ ...refused, files: 1, frames: 8 })).toMatch(/^8 images/);
  expect(sizeText({ ...refused, files: 1 })).toMatch(/^1 image ·/);
});

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [99_600, '100 kB'],
  [999_600, '1.0 MB'],
  [3.2e12, '3.2 TB'],
  [5e15, '5000 TB']
])('tells %d bytes as %s', (bytes, text) => {
  expect(byteText(bytes)).toBe(text);
});
