import { Triple } from './affine';
import { EdgeLetters } from './orientation';
import { PlacedPlane, roundLength } from './plane_layout';

const LETTER_COLOR = '#ffd166';
const LINE_COLOR = '#4fc3f7';
const TEXT_COLOR = '#e6e9ec';
const MARGIN = 6;
const FONT = '11px sans-serif';
/** Between two lines of text. */
const LINE = 15;
/** How far from the middle letters such as "PRH" may reach. */
const LETTER_REACH = 20;

/** Draws what explains a picture: all in CSS pixels, on whatever is drawn already. */
export class Annotations {
  constructor(
    private readonly _context: CanvasRenderingContext2D,
    private readonly _width: number,
    private readonly _height: number
  ) {
    _context.textBaseline = 'middle';
    _context.lineJoin = 'round';
  }

  crosshair(placed: PlacedPlane, position: Triple): void {
    const { x, y } = placed.pointOf(position);
    const context = this._context;
    const gap = 6;
    context.strokeStyle = LINE_COLOR;
    context.globalAlpha = 0.75;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, Math.round(y) + 0.5);
    context.lineTo(x - gap, Math.round(y) + 0.5);
    context.moveTo(x + gap, Math.round(y) + 0.5);
    context.lineTo(this._width, Math.round(y) + 0.5);
    context.moveTo(Math.round(x) + 0.5, 0);
    context.lineTo(Math.round(x) + 0.5, y - gap);
    context.moveTo(Math.round(x) + 0.5, y + gap);
    context.lineTo(Math.round(x) + 0.5, this._height);
    context.stroke();
    context.globalAlpha = 1;
  }

  letters({ top, right, bottom, left }: EdgeLetters): void {
    const { _width: width, _height: height } = this;
    const font = 'bold 13px sans-serif';
    this._text(top, width / 2, MARGIN + 7, 'center', LETTER_COLOR, font);
    this._text(
      bottom,
      width / 2,
      height - MARGIN - 7,
      'center',
      LETTER_COLOR,
      font
    );
    this._text(left, MARGIN, height / 2, 'left', LETTER_COLOR, font);
    this._text(right, width - MARGIN, height / 2, 'right', LETTER_COLOR, font);
  }

  /** Lines of text in the upper left corner, and one in the upper right; all below the letter where it is narrow. */
  titles(lines: string[], right: string): void {
    this._context.font = FONT;
    const widest = Math.max(
      ...[...lines, right].map(line => this._context.measureText(line).width)
    );
    const isNarrow = MARGIN + widest > this._width / 2 - LETTER_REACH;
    const below = isNarrow ? [...lines, right] : lines;
    const top = MARGIN + 7 + (isNarrow ? LINE : 0);
    below.forEach((line, n) =>
      this._text(line, MARGIN, top + n * LINE, 'left', TEXT_COLOR)
    );
    if (!isNarrow) {
      this._text(right, this._width - MARGIN, top, 'right', TEXT_COLOR);
    }
  }

  scaleBar(placed: PlacedPlane): void {
    const lengthMm = roundLength((this._width * 0.3) / placed.pixelsPerMm);
    const length = lengthMm * placed.pixelsPerMm;
    const bottom = this._height - MARGIN - 4;
    const context = this._context;
    for (const [color, width] of [
      ['#000', 5],
      [TEXT_COLOR, 2]
    ] as const) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(MARGIN, bottom - 4);
      context.lineTo(MARGIN, bottom);
      context.lineTo(MARGIN + length, bottom);
      context.lineTo(MARGIN + length, bottom - 4);
      context.stroke();
    }
    const label =
      lengthMm >= 10 ? `${lengthMm / 10} cm` : `${+lengthMm.toPrecision(1)} mm`;
    this._text(label, MARGIN, bottom - 13, 'left', TEXT_COLOR);
  }

  swipeLine(x: number): void {
    const context = this._context;
    context.fillStyle = LETTER_COLOR;
    context.fillRect(x - 1, 0, 2, this._height);
    context.beginPath();
    context.arc(x, this._height / 2, 6, 0, 2 * Math.PI);
    context.fill();
  }

  message(text: string): void {
    this._text(text, this._width / 2, this._height / 2, 'center', TEXT_COLOR);
  }

  private _text(
    text: string,
    x: number,
    y: number,
    align: CanvasTextAlign,
    color: string,
    font = FONT
  ): void {
    const context = this._context;
    context.font = font;
    context.textAlign = align;
    context.strokeStyle = 'rgb(0 0 0 / 80%)';
    context.lineWidth = 3;
    context.strokeText(text, x, y);
    context.fillStyle = color;
    context.fillText(text, x, y);
  }
}
