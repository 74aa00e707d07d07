/** Colours of the least to the greatest value, as 256 pixels of a canvas. */
export type Colors = Uint32Array;

export type ColorMapName = 'gray' | 'hot' | 'cool' | 'spectrum' | 'difference';

type Rgb = readonly [number, number, number];

/** Colours at even distances; those between are mixed. */
const STOPS: Record<ColorMapName, readonly Rgb[]> = {
  gray: [
    [0, 0, 0],
    [255, 255, 255]
  ],
  hot: [
    [0, 0, 0],
    [170, 0, 0],
    [255, 110, 0],
    [255, 225, 60],
    [255, 255, 255]
  ],
  cool: [
    [0, 0, 0],
    [0, 60, 140],
    [0, 160, 200],
    [140, 230, 230],
    [255, 255, 255]
  ],
  spectrum: [
    [48, 18, 59],
    [70, 117, 237],
    [27, 207, 212],
    [98, 252, 107],
    [210, 233, 53],
    [254, 155, 45],
    [219, 58, 7],
    [122, 4, 3]
  ],
  difference: [
    [70, 160, 255],
    [20, 60, 120],
    [0, 0, 0],
    [130, 60, 10],
    [255, 170, 60]
  ]
};

/** What users choose from. */
export const COLOR_MAPS: readonly ColorMapName[] = [
  'gray',
  'hot',
  'cool',
  'spectrum'
];

export function colorsOf(name: ColorMapName, inverted = false): Colors {
  const stops = STOPS[name];
  const colors = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    const at = (n / 255) * (stops.length - 1);
    const before = Math.min(Math.floor(at), stops.length - 2);
    const [red, green, blue] = stops[before].map((from, channel) =>
      Math.round(from + (stops[before + 1][channel] - from) * (at - before))
    );
    colors[inverted ? 255 - n : n] = pixel(red, green, blue);
  }
  return colors;
}

/** Colours of labels: told apart by eye, the same in every viewer. */
const LABEL_COLORS: readonly Rgb[] = [
  [230, 80, 70],
  [80, 180, 80],
  [75, 130, 230],
  [240, 190, 50],
  [180, 90, 210],
  [60, 200, 200],
  [240, 130, 40],
  [235, 110, 170],
  [150, 120, 80],
  [160, 210, 90]
];

export function labelColor(label: number): Rgb {
  const count = LABEL_COLORS.length;
  return LABEL_COLORS[(((label - 1) % count) + count) % count];
}

/** A pixel in the order in which a canvas keeps bytes on little-endian machines, which all browsers run on. */
export function pixel(
  red: number,
  green: number,
  blue: number,
  alpha = 255
): number {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
