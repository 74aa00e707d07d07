import { PlanePane } from './plane_pane';

/** What panes show, as a canvas of its own, each at its place in `frame`; null where nothing is seen. */
export function pictureOf(
  frame: HTMLElement,
  panes: readonly PlanePane[]
): HTMLCanvasElement | null {
  const { left, top, width, height } = frame.getBoundingClientRect();
  if (width === 0 || height === 0) {
    return null;
  }
  const ratio = window.devicePixelRatio || 1;
  const picture = document.createElement('canvas');
  picture.width = Math.round(width * ratio);
  picture.height = Math.round(height * ratio);
  const context = picture.getContext('2d')!;
  context.fillRect(0, 0, picture.width, picture.height);
  for (const { canvas } of panes) {
    const place = canvas.getBoundingClientRect();
    context.drawImage(
      canvas,
      (place.left - left) * ratio,
      (place.top - top) * ratio
    );
  }
  return picture;
}

/** Let the user save a picture as a PNG file. */
export function savePicture(picture: HTMLCanvasElement): void {
  picture.toBlob(blob => {
    if (blob) {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = 'slices.png'; // no name of a folder, which may be the patient's
      link.click();
      URL.revokeObjectURL(link.href);
    }
  });
}
