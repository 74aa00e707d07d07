/** A slice before and after a task, as an anywidget. */

import { element } from './element';
import {
  MessageView,
  pictureUrl,
  renderer,
  revokePictures
} from './message_view';

/** What the kernel tells. */
export type PreviewTold =
  | { type: 'busy' }
  | { type: 'note'; text: string }
  | { type: 'pictures'; names: string[]; caption: string };

/** Two pictures side by side, or a sentence that says why there are none. */
export class SlicePreviewView implements MessageView<PreviewTold> {
  constructor() {
    this.node.append(this._pictures, this._caption);
    this._caption.setAttribute('role', 'status');
  }

  hear(told: PreviewTold, buffers: readonly DataView[]): void {
    this.node.dataset.state = told.type;
    switch (told.type) {
      case 'busy':
        return;
      case 'note':
        this._show([]);
        this._caption.textContent = told.text;
        return;
      case 'pictures':
        this._show(
          told.names.map((name, index) => {
            const image = element('img', '');
            image.alt = name;
            image.src = pictureUrl(buffers[index]);
            return element('figure', 'dlp-SlicePreview-picture', '', [
              image,
              element('figcaption', '', name)
            ]);
          })
        );
        this._caption.textContent = told.caption;
    }
  }

  dispose(): void {
    this._show([]);
    this.node.remove();
  }

  private _show(pictures: HTMLElement[]): void {
    revokePictures(this._pictures);
    this._pictures.replaceChildren(...pictures);
  }

  readonly node = element('div', 'dlp-SlicePreview');
  private readonly _pictures = element('div', 'dlp-SlicePreview-pictures');
  private readonly _caption = element('div', 'dlp-SlicePreview-caption');
}

export default { render: renderer(() => new SlicePreviewView()) };
