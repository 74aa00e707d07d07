import { SeriesSummary } from './generated/types';

/** Code of the verdict on a series that can be processed. */
export const USABLE = 'usable';

/** Such as "20 slices · 256 × 256 · 0.86 × 0.86 × 7 mm · 2.6 MB"; of a refused series what is known of it. */
export function sizeText(series: SeriesSummary): string {
  const { shape, spacing_kji_mm, files, frames, file_bytes } = series;
  const images = shape?.[0] ?? frames ?? files;
  return [
    shape === null
      ? images === 1
        ? '1 image'
        : `${images} images`
      : images === 1
        ? '1 slice'
        : `${images} slices`,
    // DICOM says rows by columns, people say width by height
    ...(shape === null ? [] : [`${shape[2]} × ${shape[1]}`]),
    ...(spacing_kji_mm === null
      ? []
      : [`${[...spacing_kji_mm].reverse().map(millimetres).join(' × ')} mm`]),
    byteText(file_bytes)
  ].join(' · ');
}

function millimetres(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** Such as "2.6 MB", in powers of 1000 as disks are sold. */
export function byteText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toPrecision(2)} ${units[unit]}`;
}
