import { Annotations } from '../annotations';

/** Where each text is written, on a canvas so wide; a letter is ten pixels wide. */
function titlesOn(width: number): [string, number, number][] {
  const written: [string, number, number][] = [];
  const context = {
    measureText: (text: string) => ({ width: 10 * text.length }),
    strokeText: () => undefined,
    fillText: (text: string, x: number, y: number) => {
      written.push([text, x, y]);
    }
  } as unknown as CanvasRenderingContext2D;
  const annotations = new Annotations(context, width, 300);
  annotations.titles(['axial', '3 / 20'], 'source');
  return written;
}

test('titles stand in the corners, beside the letter at the top', () => {
  expect(titlesOn(200)).toEqual([
    ['axial', 6, 13],
    ['3 / 20', 6, 28],
    ['source', 194, 13]
  ]);
});

test('titles stand below the letter where there is no room beside it', () => {
  expect(titlesOn(120)).toEqual([
    ['axial', 6, 28],
    ['3 / 20', 6, 43],
    ['source', 6, 58]
  ]);
});
