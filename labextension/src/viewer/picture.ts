/** A canvas of as many pixels as a plane has voxels, into which its pixels go before they are drawn at their size. */
export class Picture {
  readonly canvas = document.createElement('canvas');

  /** Paint anew where `key` is another than the last: what the pixels were made of, compared by identity. */
  paint(
    columns: number,
    rows: number,
    key: readonly unknown[],
    fill: (pixels: Uint32Array) => void
  ): void {
    if (
      this._key.length === key.length &&
      key.every((part, n) => part === this._key[n])
    ) {
      return;
    }
    if (this._image?.width !== columns || this._image.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
      this._image = new ImageData(columns, rows);
    }
    fill(new Uint32Array(this._image.data.buffer));
    this.canvas.getContext('2d')!.putImageData(this._image, 0, 0);
    this._key = key;
  }

  private _image: ImageData | null = null;
  private _key: readonly unknown[] = [];
}
